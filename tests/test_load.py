"""Finished builds into an engine that only pretends: under which name, what it is sent, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.build import build as builds
from scripts.build.load import load_all
from scripts.build.plan import plan_builds
from scripts.build.settings import Settings
from scripts.errors import BuildError
from scripts.recipe.matrix import expand_all, load_families

from .conftest import DIGEST

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Docker, Repository


@pytest.fixture
def settings(repository: Repository, docker: Docker, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A repository with one image, whose base is in its registry, and disk enough for it."""
    repository.family()
    docker.answer(registry={"python:3.11": DIGEST})
    monkeypatch.setattr(builds, "SPACE", {False: 0, True: 0})
    return Settings(root=repository.root, out=repository.root / "out", cache=cache, registry="r", progress="plain")


def built(settings: Settings) -> None:
    builds.carry_out(plan_builds(expand_all(load_families(settings.root)), settings), settings, lambda _: None)


def test_what_was_built_is_loaded_under_the_name_of_the_registry_and_once(settings: Settings, docker: Docker) -> None:
    built(settings)
    ((row, loaded),) = load_all([("app:1", "r/app:1")], settings.out)
    assert loaded
    assert docker.images == {"r/app:1": row["digest"]}
    assert (row["id"], row["reference"], row["stand-in"]) == ("app:1", "r/app:1", False)
    assert row["layout"] == str(settings.out / "app_1")
    ((_, again),) = load_all([("app:1", "r/app:1")], settings.out)
    assert not again
    assert docker.calls("image", "rm") == []


def test_the_image_that_had_the_name_before_is_removed(settings: Settings, docker: Docker) -> None:
    built(settings)
    docker.answer(images={"r/app:1": "sha256:old"})
    list(load_all([("app:1", "r/app:1")], settings.out))
    assert docker.calls("image", "rm") == [["image", "rm", "sha256:old"]]


def test_an_image_that_has_another_name_too_is_kept(settings: Settings, docker: Docker) -> None:
    built(settings)
    docker.answer(images={"r/app:1": "sha256:old", "mine/keep:1": "sha256:old"})
    list(load_all([("app:1", "r/app:1")], settings.out))
    assert docker.calls("image", "rm") == []


def test_an_engine_that_does_not_take_an_image_is_quoted(settings: Settings, docker: Docker) -> None:
    built(settings)
    docker.answer(load="fail")
    with pytest.raises(BuildError) as caught:
        list(load_all([("app:1", "r/app:1")], settings.out))
    said = "Error response from daemon: no space left on device"
    assert str(caught.value) == f"r/app:1: the engine did not take the image: {said}"


def test_an_engine_that_built_an_image_is_only_told_of_it(settings: Settings, docker: Docker) -> None:
    built(settings)
    list(load_all([("app:1", "r/app:1")], settings.out))
    assert len(docker.calls("image", "load")) == 1


def test_an_engine_that_lacks_layers_gets_them(settings: Settings, docker: Docker) -> None:
    built(settings)
    docker.answer(load="lacks")
    ((row, loaded),) = load_all([("app:1", "r/app:1")], settings.out)
    assert loaded
    assert docker.images == {"r/app:1": row["digest"]}
    assert len(docker.calls("image", "load")) == 2
    assert docker.calls("image", "rm") == [["image", "rm", "--force", "r/app:1"]]


def test_what_was_not_built_cannot_be_loaded(settings: Settings) -> None:
    with pytest.raises(BuildError) as caught:
        list(load_all([("app:1", "r/app:1")], settings.out))
    assert str(caught.value) == "app:1: not built"

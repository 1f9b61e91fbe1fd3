"""What a plan decides, and why it says so."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build import plan
from scripts.build.layout import Record, directory_of, finish, partial
from scripts.build.plan import Action, Step, plan_build, plan_builds
from scripts.build.settings import Settings
from scripts.build.sources import Base
from scripts.recipe.matrix import expand_all, load_families

from .conftest import DIGEST, DOCKERFILE, NO_SUCH_HOST, VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

    from .conftest import Docker, Repository

REAL = Base(reference="python:3.11", digest=DIGEST, context=f"docker-image://python:3.11@{DIGEST}")
NOT_MADE = Base(reference="python:3.11", digest="", context="", stand_in=True, why="no such host")


@pytest.fixture
def spec(repository: Repository) -> ImageSpec:
    repository.family()
    (spec,) = expand_all(load_families(repository.root))
    return spec


def settings(repository: Repository, **chosen: Any) -> Settings:
    root = repository.root
    return Settings(**{"root": root, "out": root / "out", "cache": root / "cache", "registry": "r", **chosen})


def record_of(step: Step, digest: str = "sha256:" + "1" * 64) -> Record:
    return Record(
        id=step.spec.id, digest=digest, size=1, recipe=step.recipe.parts, base="", stand_in=False, commit="", epoch=0
    )


def test_an_image_without_a_record_is_built(repository: Repository, spec: ImageSpec) -> None:
    step = plan_build(spec, REAL, None, settings(repository))
    assert (step.action, step.why) == (Action.BUILD, "never built here")
    assert step.recipe.parts["base"] == DIGEST


def test_an_image_whose_recipe_is_that_of_its_record_is_not_built(repository: Repository, spec: ImageSpec) -> None:
    record = record_of(plan_build(spec, REAL, None, settings(repository)))
    step = plan_build(spec, REAL, record, settings(repository))
    assert (step.action, step.why) == (Action.NOTHING, "recipe, lock and base are those of sha256:111111111111")


def test_a_change_is_the_reason_to_build(repository: Repository, spec: ImageSpec) -> None:
    record = record_of(plan_build(spec, REAL, None, settings(repository)))
    (repository.root / "files" / "hello").write_text("changed")
    step = plan_build(spec, replace(REAL, digest="sha256:2"), record, settings(repository))
    assert (step.action, step.why) == (Action.BUILD, "base moved; recipe changed: files/hello")


def test_a_package_that_moved_is_named_as_the_reason(repository: Repository) -> None:
    lock = repository.family(dockerfile=DOCKERFILE + "COPY fam/locks/${ROW}/rest.txt /lock/\n") / "locks" / "1"
    lock.mkdir(parents=True)
    (lock / "rest.txt").write_text("one==1\n")
    (spec,) = expand_all(load_families(repository.root))
    record = record_of(plan_build(spec, REAL, None, settings(repository)))
    (lock / "rest.txt").write_text("one==1.1\n")
    assert plan_build(spec, REAL, record, settings(repository)).why == "lock changed: one 1 -> 1.1"


def test_force_is_the_reason_for_what_has_not_changed(repository: Repository, spec: ImageSpec) -> None:
    record = record_of(plan_build(spec, REAL, None, settings(repository)))
    step = plan_build(spec, REAL, record, settings(repository, force="forced: --force"))
    assert (step.action, step.why) == (Action.BUILD, "forced: --force")


def test_a_base_that_cannot_be_had_makes_an_image_impossible(
    repository: Repository, spec: ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "STAND_INS", {})
    step = plan_build(spec, NOT_MADE, None, settings(repository))
    assert (step.action, step.why) == (Action.IMPOSSIBLE, "base not resolvable, and no stand-in: no such host")


def test_a_stand_in_that_can_be_made_is_no_hindrance(
    repository: Repository, spec: ImageSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "STAND_INS", {"python:3.11": None})
    assert plan_build(spec, NOT_MADE, None, settings(repository)).action is Action.BUILD


def test_each_base_is_asked_for_once_and_all_at_a_time(repository: Repository, docker: Docker, tmp_path: Path) -> None:
    rows = "".join(
        f'[[image]]\nversion = "{number}"\nbase = "python:{number}"\npython = "3.11"\n' for number in range(2, 6)
    )
    repository.family(versions=VERSIONS + rows)
    repository.family("other", VERSIONS.replace('"app"', '"other"'))
    docker.answer(slow=1)
    specs = expand_all(load_families(repository.root))
    start = time.monotonic()
    steps = plan_builds(specs, settings(repository, cache=tmp_path))
    assert time.monotonic() - start < 4
    assert len(steps) == len(specs) == 6
    assert len(docker.calls("buildx", "imagetools", "inspect")) == 5
    assert {step.why for step in steps} == {f"base not resolvable, and no stand-in: {NO_SUCH_HOST}"}


def test_the_second_plan_after_a_build_is_empty(repository: Repository, docker: Docker, tmp_path: Path) -> None:
    repository.family()
    docker.answer(registry={"python:3.11": DIGEST})
    out = tmp_path / "out"

    def planned() -> Step:
        (step,) = plan_builds(expand_all(load_families(repository.root)), settings(repository, out=out))
        return step

    first = planned()
    assert (first.action, first.base) == (Action.BUILD, REAL)
    with partial(out, first.spec.id) as work:
        (work / "blobs" / "sha256").mkdir(parents=True)
        for name in ("oci-layout", "index.json"):
            (work / name).touch()
        finish(out, work, record_of(first))
    assert planned().action is Action.NOTHING
    (directory_of(out, first.spec.id) / "build.json").write_text("{")
    assert (planned().action, planned().why) == (Action.BUILD, "never built here")


def test_a_plan_of_nothing_is_empty(repository: Repository) -> None:
    assert plan_builds((), settings(repository)) == ()

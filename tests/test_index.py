"""Images of several platforms, built by a docker that only pretends: one index, whichever builders made its parts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.build.bases import STAND_INS
from scripts.build.build import carry_out
from scripts.build.layout import directory_of_platform, layout_of, load_record, read_descriptor
from scripts.build.plan import plan_builds
from scripts.build.settings import Settings
from scripts.contents.inventory_read import find_image
from scripts.errors import BuildError, UsageError
from scripts.recipe.matrix import expand_all, load_families
from scripts.recipe.selection import narrow_platforms

from .conftest import DIGEST, VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.build.layout import Record

    from .conftest import Docker, Repository

AMD64, ARM64 = "linux/amd64", "linux/arm64"
TWO = f'{VERSIONS}\n[defaults]\nplatforms = ["{AMD64}", "{ARM64}"]\n'
HERE = "docker: linux/amd64*, linux/amd64/v2"
FAR = "remote: linux/arm64"
STAND_IN = next(iter(STAND_INS))


@pytest.fixture
def settings(repository: Repository, docker: Docker, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr("scripts.build.build.SPACE", {False: 0, True: 0})
    repository.family(versions=TWO)
    docker.answer(registry={"python:3.11": DIGEST})
    root = repository.root
    return Settings(root=root, out=root / "out", cache=cache, registry="localhost:5000", progress="plain")


def build(settings: Settings, *platforms: str) -> tuple[Record, list[str]]:
    """Build the image; its record and what was said."""
    said: list[str] = []
    specs = expand_all(load_families(settings.root))
    specs = narrow_platforms(specs, platforms) if platforms else specs
    carry_out(plan_builds(specs, settings), settings, said.append)
    record = load_record(settings.out, "app:1")
    assert record is not None
    return record, said


def test_each_platform_is_a_target_and_an_index_names_what_they_made(settings: Settings, docker: Docker) -> None:
    record, _ = build(settings)
    targets = docker.baked["target"]
    assert {name: target["platforms"] for name, target in targets.items()} == {
        "app_1__linux_amd64": [AMD64],
        "app_1__linux_arm64": [ARM64],
    }
    layout = settings.out / "app_1"
    assert read_descriptor(layout).media_type == "application/vnd.oci.image.index.v1+json"
    index = json.loads((layout / "blobs" / record.digest.replace(":", "/")).read_text())
    assert [(entry["platform"], entry["digest"]) for entry in index["manifests"]] == [
        ({"architecture": "amd64", "os": "linux"}, record.platforms[AMD64]),
        ({"architecture": "arm64", "os": "linux"}, record.platforms[ARM64]),
    ]
    assert len(set(record.platforms.values())) == 2
    # The index, and of each image its manifest, config and the layer that both have.
    assert len(list((layout / "blobs" / "sha256").iterdir())) == 1 + 2 * 2 + 1


def test_the_image_of_each_platform_is_a_layout_too(settings: Settings) -> None:
    record, _ = build(settings)
    for image in record.images:
        layout = layout_of(settings.out, image)
        assert layout == directory_of_platform(settings.out / "app_1", image.platform)
        assert read_descriptor(layout).digest == image.digest == record.platforms[image.platform]
        assert find_image(layout, None, print).digest == image.digest
        assert find_image(settings.out / "app_1", image.platform, print).digest == image.digest
    with pytest.raises(UsageError, match="no image for linux/s390x, there: linux/amd64, linux/arm64"):
        find_image(settings.out / "app_1", "linux/s390x", print)


def test_an_image_of_one_platform_is_built_as_it_always_was(settings: Settings, docker: Docker) -> None:
    record, _ = build(settings, AMD64)
    assert list(docker.baked["target"]) == ["app_1"]
    assert (record.platforms, record.images) == ({}, (record,))
    assert read_descriptor(settings.out / "app_1").media_type == "application/vnd.oci.image.manifest.v1+json"
    assert not (settings.out / "app_1" / "platforms").exists()
    assert docker.calls("buildx", "inspect") == []


def test_the_image_of_a_platform_is_the_same_with_others_and_without(settings: Settings) -> None:
    together, _ = build(settings)
    alone, _ = build(settings, ARM64)
    assert together.platforms[ARM64] == alone.digest
    again, said = build(settings)
    assert again.digest == together.digest
    assert "app:1: building: recipe changed: platforms" in said


def test_two_builders_make_what_one_makes(settings: Settings, docker: Docker) -> None:
    one, _ = build(settings)
    docker.answer(builders={"here": HERE, "far": FAR})
    two, said = build(replace(settings, builder="here,far", force="forced"))
    assert (two.digest, two.platforms) == (one.digest, one.platforms)
    assert "builder here: app:1 (linux/amd64)" in said
    assert "builder far: app:1 (linux/arm64)" in said
    assert "builder here has no linux/arm64: others build for it" in said
    words = [call[call.index("--builder") + 1] for call in docker.calls("buildx", "bake") if "--builder" in call]
    assert sorted(words) == ["far", "here"]


def test_a_platform_that_nobody_has_is_said_before_anything_is_built(settings: Settings, docker: Docker) -> None:
    docker.answer(builders={"default": HERE, "here": HERE, "other": HERE})
    with pytest.raises(BuildError) as caught:
        build(settings)
    assert str(caught.value).startswith(
        "linux/arm64: nothing here builds for it: the current builder has linux/amd64. Add a builder of that kind"
    )
    with pytest.raises(BuildError, match="builder here has linux/amd64; builder other has linux/amd64"):
        build(replace(settings, builder="here,other"))
    assert docker.calls("buildx", "bake") == []
    assert not settings.out.exists()


def test_a_stand_in_is_of_this_machine_only(settings: Settings, docker: Docker, repository: Repository) -> None:
    repository.family(versions=TWO.replace('base = "python:3.11"', f'base = "{STAND_IN}"'))
    docker.answer(registry={})
    with pytest.raises(BuildError, match=f"linux/arm64: the stand-in of {STAND_IN} is of linux/amd64 only: its real"):
        build(settings)
    assert docker.calls("buildx", "bake") == []


def test_a_base_without_the_platform_is_not_taken_for_one_that_has_it(settings: Settings, docker: Docker) -> None:
    docker.answer(makes=AMD64)
    with pytest.raises(BuildError, match="app:1: what was built for linux/arm64 is of linux/amd64: its base has no"):
        build(settings)
    assert load_record(settings.out, "app:1") is None

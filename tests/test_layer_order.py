"""The layers of Python packages have one order: that of ``versions.toml``, which the Dockerfiles' stages and copies keep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.matrix import load_families

if TYPE_CHECKING:
    from scripts.recipe.dockerfile import Dockerfile, DockerStage
    from scripts.recipe.family import Family

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = {family.name: family for family in load_families(ROOT) if family.manifest.lock}


def copied(stage: DockerStage) -> list[str]:
    """The stages that a stage copies from, in order."""
    return [source for item in stage.instructions if item.name == "COPY" and (source := item.flag("from"))]


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture
def dockerfile(family: Family) -> Dockerfile:
    return load_dockerfile(family.dockerfile)


def test_each_layer_is_a_stage_of_its_own_in_the_order_of_the_version_manifest(
    family: Family, dockerfile: Dockerfile
) -> None:
    stages = [stage.name for stage in dockerfile.stages if stage.base == "environment"]
    assert stages == list(family.manifest.layers)


def test_an_image_is_stacked_in_that_order_and_our_own_files_are_on_top(family: Family, dockerfile: Dockerfile) -> None:
    layers = list(family.manifest.layers)
    for name in family.manifest.stages:
        stage = dockerfile.stage(name)
        assert stage
        below = dockerfile.stage(stage.base)
        assert below
        *first, last = [*copied(below), *copied(stage)]
        assert last == "files"
        assert first[0] == "environment"
        assert first[1:] == [layer for layer in layers if layer in first]


def test_no_layer_depends_on_what_is_below_it(dockerfile: Dockerfile) -> None:
    copies = [item for stage in dockerfile.stages for item in stage.instructions if item.flag("from") is not None]
    assert copies
    assert all(item.flag("link") is not None for item in copies if item.name == "COPY")

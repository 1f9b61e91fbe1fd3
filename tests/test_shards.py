"""A plan as jobs: which images go together, and what GitHub and GitLab read."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.build.plan import Action, Step
from scripts.build.shards import MOST, render_github, render_gitlab, shards_of
from scripts.build.sources import Base
from scripts.errors import UsageError
from scripts.recipe.inputs import Recipe
from scripts.recipe.matrix import expand_all, load_families

from .conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

IMAGES = {spec.id: spec for spec in expand_all(load_families(ROOT))}
ROW = ("cuda:12.1", "torch:2.3.1-cuda12.1")


def step(spec: ImageSpec, action: Action = Action.BUILD) -> Step:
    base = Base(reference=spec.base, digest="", context="")
    return Step(spec=spec, base=base, recipe=Recipe(parts={}), action=action, why="for some reason")


def steps(*names: str) -> list[Step]:
    return [step(IMAGES[name]) for name in names]


def test_the_images_of_a_row_go_to_one_builder() -> None:
    found = shards_of(steps("python:3.11", *ROW, "cuda:12.4"))
    assert [(shard.name, [spec.id for spec in shard.images]) for shard in found] == [
        ("cpu 3.11", ["python:3.11"]),
        ("cuda 12.1", list(ROW)),
        ("cuda 12.4", ["cuda:12.4"]),
    ]


def test_only_what_is_to_be_built_is_in_a_job() -> None:
    found = shards_of([step(IMAGES[ROW[0]], Action.NOTHING), step(IMAGES[ROW[1]])])
    assert [[spec.id for spec in shard.images] for shard in found] == [[ROW[1]]]


def test_an_image_that_cannot_be_built_has_a_job_that_will_say_so_and_the_others_too() -> None:
    found = shards_of([step(IMAGES["python:3.11"], Action.IMPOSSIBLE), *steps(*ROW)])
    assert [shard.name for shard in found] == ["cpu 3.11", "cuda 12.1"]


@pytest.mark.parametrize("name", ["my family", "a=b", "x;reboot", "$(reboot)"])
def test_a_family_that_a_shell_would_take_apart_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="a family with jobs of its own"):
        shards_of([step(replace(IMAGES["python:3.11"], family=name))])


def test_a_child_pipeline_is_what_gitlab_takes(tmp_path: Path) -> None:
    for number, names in enumerate(((), ("python:3.11",), ROW)):
        path = tmp_path / f"{number}.yml"
        path.write_text(render_gitlab(shards_of(steps(*names))))
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("rows", "most", "jobs"), [(300, MOST, 150), (256, MOST, 256), (5, 2, 2), (5, 1, 1), (1, 9, 1)]
)
def test_rows_go_together_where_they_are_more_than_the_jobs(rows: int, most: int, jobs: int) -> None:
    made = [replace(IMAGES["python:3.11"], id=f"python:{row}", version=str(row)) for row in range(rows)]
    found = shards_of([step(spec) for spec in made], most)
    assert len(found) == jobs <= max(most, 1)
    assert [spec for shard in found for spec in shard.images] == made


def test_two_families_are_never_in_one_job() -> None:
    assert [shard.family for shard in shards_of(steps("python:3.11", *ROW), 1)] == ["cpu", "cuda"]


def test_a_matrix_is_one_line_with_what_a_job_needs() -> None:
    text = render_github(shards_of(steps(*ROW)))
    assert "\n" not in text
    assert json.loads(text) == {
        "include": [
            {
                "name": "cuda 12.1",
                "rows": "cuda=12.1",
                "images": "cuda:12.1 torch:2.3.1-cuda12.1",
                "repositories": "cuda torch",
                "platforms": "linux/amd64",
                "gpu": True,
            }
        ]
    }


def test_an_empty_plan_is_a_matrix_that_a_job_can_be_skipped_on() -> None:
    assert json.loads(render_github(())) == {"include": []}


def test_a_child_pipeline_has_a_job_for_each_row() -> None:
    pipeline = json.loads(render_gitlab(shards_of(steps("python:3.11", *ROW))))
    assert pipeline.keys() == {"stages", ".images", "cpu 3.11", "cuda 12.1"}
    assert pipeline["cuda 12.1"] == {
        "extends": ".images",
        "variables": {"ROWS": "cuda=12.1", "IMAGES": "cuda:12.1 torch:2.3.1-cuda12.1"},
    }
    assert pipeline[".images"]["stage"] in pipeline["stages"]


def test_a_child_pipeline_of_nothing_has_a_job_all_the_same() -> None:
    pipeline = json.loads(render_gitlab(()))
    assert pipeline["nothing to build"]["script"] == ["echo nothing to build"]

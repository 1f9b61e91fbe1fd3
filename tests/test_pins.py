"""Refreshing the pins of bases, and what a pin means for a build; with a docker that only pretends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.build.pins import show_move, unpinned
from scripts.recipe.matrix import expand_all, load_families

from .conftest import DIGEST, NO_SUCH_HOST, VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Docker, Tasks

OTHER = "sha256:" + "cd" * 32
SECOND = '[[image]]\nversion = "2"\nbase = "python:3.12" # why\npython = "3.12"\n'
FROZEN = '[[image]]\nversion = "0"\nbase = "python:3.9"\npython = "3.9"\nstate = "frozen"\nreason = "Old"\nsince = 2025-10-31\n'


@pytest.fixture
def manifest(tasks: Tasks) -> Path:
    tasks.repository.family(versions=VERSIONS + SECOND + FROZEN)
    return tasks.repository.root / "fam" / "versions.toml"


def test_a_refresh_writes_what_the_registry_answers_and_says_what_moved(
    tasks: Tasks, docker: Docker, manifest: Path
) -> None:
    docker.answer(registry={"python:3.11": DIGEST, "python:3.12": DIGEST})
    before = manifest.read_text()
    done = tasks.run("bases", "--refresh", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    rows = json.loads(done.stdout)
    assert [(row["row"], row["pin"], row["before"], row["now"]) for row in rows] == [
        ("fam 1", "pinned", None, DIGEST), ("fam 2", "pinned", None, DIGEST),
    ]  # fmt: skip
    assert manifest.read_text() == before.replace('"python:3.11"', f'"python:3.11@{DIGEST}"').replace(
        '"python:3.12"', f'"python:3.12@{DIGEST}"'
    )
    docker.answer(registry={"python:3.11": DIGEST, "python:3.12": OTHER})
    lines = tasks.run("bases", "fam", "--refresh").stdout.splitlines()
    assert [line.split() for line in lines[2:]] == [
        ["fam", "1", "python:3.11", "unchanged", "abababababab"],
        ["fam", "2", "python:3.12", "moved", "abababababab", "->", "cdcdcdcdcdcd"],
    ]
    assert f'"python:3.12@{OTHER}" # why\n' in manifest.read_text()


def test_a_dry_run_shows_what_would_move_and_writes_nothing(tasks: Tasks, docker: Docker, manifest: Path) -> None:
    docker.answer(registry={"python:3.11": DIGEST, "python:3.12": DIGEST})
    before = manifest.read_bytes()
    done = tasks.run("bases", "--refresh", "--dry-run", "--format", "json")
    assert [row["pin"] for row in json.loads(done.stdout)] == ["pinned", "pinned"]
    assert manifest.read_bytes() == before


def test_a_base_whose_registry_does_not_answer_keeps_its_pin_and_the_others_are_written(
    tasks: Tasks, docker: Docker, manifest: Path
) -> None:
    docker.answer(registry={"python:3.12": DIGEST})
    before = manifest.read_text()
    done = tasks.run("bases", "--refresh", "--format", "json")
    assert done.returncode == 3
    assert done.stderr.splitlines() == [
        f"python:3.11: unknown: its registry gave no answer: {NO_SUCH_HOST} (fam 1)",
        "these were left as they are",
    ]
    assert [row["pin"] for row in json.loads(done.stdout)] == ["unknown", "pinned"]
    assert manifest.read_text() == before.replace('"python:3.12"', f'"python:3.12@{DIGEST}"')


def test_a_frozen_row_is_refreshed_only_by_its_name(tasks: Tasks, docker: Docker, manifest: Path) -> None:
    docker.answer(registry={"python:3.9": DIGEST})
    done = tasks.run("bases", "fam", "--version", "0", "--refresh", "--format", "json")
    assert [row["row"] for row in json.loads(done.stdout)] == ["fam 0"]
    assert f'"python:3.9@{DIGEST}"' in manifest.read_text()


def test_a_pinned_base_is_built_upon_though_its_tag_has_moved_on(tasks: Tasks, docker: Docker, manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace('"python:3.11"', f'"python:3.11@{DIGEST}"'))
    docker.answer(registry={"python:3.11": OTHER, f"python:3.11@{DIGEST}": DIGEST})
    done = tasks.run("build", "fam", "--version", "1")
    assert done.returncode == 0, done.stderr
    target = docker.baked["target"]["app_1"]
    assert target["contexts"]["python:3.11"] == f"docker-image://python:3.11@{DIGEST}"
    assert target["args"]["BASE_IMAGE"] == target["labels"]["org.opencontainers.image.base.name"] == "python:3.11"
    (row,) = json.loads(tasks.run("plan", "fam", "--version", "1", "--against", "built", "--format", "json").stdout)
    assert (row["action"], row["base"], row["base digest"], row["pinned"]) == (
        "up to date", "python:3.11", DIGEST, True,
    )  # fmt: skip
    docker.answer(registry={"python:3.11": OTHER, f"python:3.11@{OTHER}": OTHER})
    manifest.write_text(manifest.read_text().replace(DIGEST, OTHER))
    (row,) = json.loads(tasks.run("plan", "fam", "--version", "1", "--against", "built", "--format", "json").stdout)
    assert (row["action"], row["why"]) == ("build", "base moved")


def test_a_base_that_is_not_pinned_is_said_by_plan_and_list(tasks: Tasks, docker: Docker, manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace('"python:3.11"', f'"python:3.11@{DIGEST}"'))
    docker.answer(registry={f"python:3.11@{DIGEST}": DIGEST, "python:3.12": DIGEST})
    done = tasks.run("plan", "--against", "built", "--format", "json")
    assert [row["pinned"] for row in json.loads(done.stdout)] == [True, False, False]
    # The frozen one is not built, so its pin is nobody's worry.
    assert done.stderr == "not pinned to a digest: python:3.12 (invoke bases --refresh)\n"
    listed = json.loads(tasks.run("list", "--format", "json").stdout)
    assert [(row["base"], row["base digest"]) for row in listed] == [
        ("python:3.11", DIGEST), ("python:3.12", None), ("python:3.9", None),
    ]  # fmt: skip
    assert unpinned(expand_all(load_families(tasks.repository.root))) == ("python:3.12",)


def test_a_dry_run_of_the_stand_ins_says_which_are_to_be_made(tasks: Tasks, manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace("python:3.12", "python:3.11-slim-bookworm"))
    done = tasks.run("bases", "--dry-run", "--format", "json")
    assert json.loads(done.stdout) == [{"base": "python:3.11-slim-bookworm", "digest": "to be made"}]


def test_a_move_is_shown_short() -> None:
    assert show_move(None, DIGEST) == "abababababab"
    assert show_move(DIGEST, DIGEST) == "abababababab"
    assert show_move(DIGEST, OTHER) == "abababababab -> cdcdcdcdcdcd"

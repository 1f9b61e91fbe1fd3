"""The smoke sessions of nox: one for every image, tagged, with clean results; an image that is nowhere is no pass."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.recipe.matrix import expand_all, load_families

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Docker

ROOT = Path(__file__).resolve().parent.parent
SPECS = {spec.id: spec for spec in expand_all(load_families(ROOT))}


@pytest.fixture
def nox(docker: Docker, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Nox on this checkout, with a docker that only pretends, and has nothing."""
    (docker.folder / "ssh").symlink_to("/bin/true")
    environment = {
        "PATH": os.pathsep.join([str(docker.folder), str(Path(sys.executable).parent), os.defpath]),
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "IMAGES_SETUP": "1",
        "INVOKE_IMAGES_OUT": str(tmp_path / "out"),
    }

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "nox", "-f", "noxfile.py", "--envdir", str(tmp_path / "nox"), *words]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return run


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What is on stdout, which has to be JSON Lines and nothing else."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_image_has_its_session(nox: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    listed = json.loads(nox("--list", "--json", "--tags", "active", "frozen", "deprecated").stdout)
    tags = {item["session"]: set(item["tags"]) for item in listed if item["name"] == "smoke"}
    assert tags == {
        f"smoke({name})": {spec.family, str(spec.state), *({"gpu"} if spec.gpu else ())} for name, spec in SPECS.items()
    }


def test_images_that_are_nowhere(nox: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """Each active one of the family is NOT TESTED, each other one is left out with a word on why."""
    family = [spec for spec in SPECS.values() if spec.family == "cpu"]
    active = [spec.id for spec in family if spec.state == "active"]
    done = nox("-t", "cpu", "--", "--format", "json")
    assert done.returncode == 1
    assert [(row["id"], row["outcome"]) for row in rows(done)] == [(name, "NOT TESTED") for name in active]
    for spec in family:
        if spec.state != "active":
            assert f"{spec.state} since {spec.since}: {spec.reason} (to test it: " in done.stderr
    allowed = nox("-s", "smoke(python:3.11)", "--", "--format", "json", "--allow-missing")
    assert allowed.returncode == 0
    assert [row["outcome"] for row in rows(allowed)] == ["NOT TESTED"]
    assert "NOT TESTED: there is no such image, and --allow-missing was given" in allowed.stderr


def test_one_that_is_frozen_is_tested_if_it_is_asked_for(nox: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = nox("-s", "smoke(python:3.9)", "--", "--format", "json")
    assert [(row["id"], row["outcome"]) for row in rows(done)] == [("python:3.9", "NOT TESTED")]
    assert done.returncode == 1

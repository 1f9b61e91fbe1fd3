"""What the integration tests work on: the images that the session `integration` has just built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from tests.integration.containers import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


def built(family: str, version: str) -> dict[str, Any]:
    """The row that ``build`` prints; the images are built already, so this takes no time, or fails loudly."""
    command = [str(Path(sys.executable).with_name("invoke")), "build", family, "--version", version, "--format", "json"]
    stage = ["--stage", "cuda"] if family == "cuda" else []
    done = subprocess.run([*command, *stage], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    return dict(row)


@pytest.fixture(scope="session")
def cpu() -> dict[str, Any]:
    return built("cpu", "3.11")


@pytest.fixture(scope="session")
def cuda() -> dict[str, Any]:
    return built("cuda", "12.1")


@pytest.fixture(scope="session")
def image(cpu: dict[str, Any]) -> str:
    return os.environ.get("IMAGES_TEST_IMAGE") or str(cpu["reference"])


@pytest.fixture(scope="session", autouse=True)
def _no_container_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if hasattr(request.config, "workerinput"):
        return  # other workers may still use theirs
    left = docker.from_env().containers.list(all=True, filters={"label": LABEL})
    names = [container.name for container in left]
    for container in left:
        container.remove(force=True)
    assert not names, f"containers were left behind: {names}"

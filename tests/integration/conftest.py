"""What the integration tests work on: the images that the session `integration` has just built."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.containers import remove_left

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


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run if it leaves a container behind; the controller of xdist is the last to end."""
    if not hasattr(session.config, "workerinput") and (names := remove_left()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"containers were left behind: {names}")  # noqa: T201

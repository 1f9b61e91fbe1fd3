"""What a build leaves behind, and what the next one makes of it; what is in the images is tested by tests/smoke."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import ROOT

pytestmark = pytest.mark.engine


def test_a_layout_holds_what_its_digests_say(cpu: dict[str, Any]) -> None:
    layout = Path(cpu["layout"])
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["digest"] == cpu["digest"]
    for path in (layout / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


def invoke(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("invoke")), *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.usefixtures("cpu")
def test_a_second_build_does_nothing_and_says_why() -> None:
    began = time.monotonic()
    done = invoke("build", "cpu", "--version", "3.11")
    assert time.monotonic() - began < 5
    assert done.returncode == 0, done.stderr
    assert "python:3.11: nothing to build: recipe, lock and base are those of sha256:" in done.stderr


@pytest.mark.usefixtures("cpu")
def test_another_registry_is_another_name_and_not_another_build(cpu: dict[str, Any]) -> None:
    done = invoke("build", "cpu", "--version", "3.11", "--registry", "localhost:5000/x", "--format", "json")
    try:
        assert done.returncode == 0, done.stderr
        assert "nothing to build" in done.stderr
        (row,) = json.loads(done.stdout)
        assert (row["reference"], row["digest"]) == ("localhost:5000/x/python:3.11", cpu["digest"])
    finally:
        subprocess.run(["docker", "image", "rm", "localhost:5000/x/python:3.11"], capture_output=True, check=False)


def test_real_bases_only_refuses_a_base_that_cannot_be_resolved(cpu: dict[str, Any]) -> None:
    assert cpu["stand-in"], "this test is for machines without the registry"
    done = invoke("build", "cpu", "--version", "3.11", "--real-bases")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("python:3.11-slim-bookworm: could not be resolved, and --real-bases was given: ")


def test_a_wheel_index_out_of_reach_is_said_before_anything_is_built() -> None:
    done = invoke("build", "cpu", "--version", "3.13")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1].startswith(
        "python:3.13: the wheel index https://download.pytorch.org/whl/cpu can't be reached ("
    )

"""What a build does with a wheel that is not the one that was locked; small, with wheels of our own from a folder."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

import pytest

from scripts.recipe.lock import Pin, render_layer
from tests.conftest import VERSIONS, Repository
from tests.integration.conftest import ROOT
from tests.integration.test_pinned_bases import checkout, invoke  # noqa: F401 - a fixture is used by its name
from tests.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

BASE = "python:3.11-slim-bookworm"
MOUNTS = """\
    --mount=type=bind,from=uv,source=/uv,target=/usr/local/bin/uv \\
    --mount=type=bind,source=scripts/image/python,target=/build \\
    --mount=type=bind,source=wheels,target=/wheels \\
"""
DOCKERFILE = f"""\
ARG BASE_IMAGE={BASE}
ARG UV_VERSION=1
FROM ghcr.io/astral-sh/uv:${{UV_VERSION}} AS uv
FROM ${{BASE_IMAGE}} AS app
ARG PYTHON_VERSION=3.11
ARG ROW=1
ENV UV_OFFLINE=1
COPY fam/locks/${{ROW}}/all.txt /lock/
RUN \\
{MOUNTS}    /build/make-python
RUN \\
{MOUNTS}    /build/install-python all
RUN PYTHONPATH=/layer/opt/venv/lib/python3.11/site-packages /opt/venv/bin/python -c 'import one'
"""


@pytest.fixture
def wheel(checkout: Repository) -> Path:  # noqa: F811 - the fixture
    """The wheel that the lock of a checkout is about, in the folder that its build takes wheels from."""
    root = checkout.root
    shutil.copytree(ROOT / "scripts" / "image" / "python", root / "scripts" / "image" / "python")
    (root / "wheels").mkdir()
    name, data = make_wheel("one", "1.0", code="word = 'locked'\n")
    (root / "wheels" / name).write_bytes(data)
    versions = VERSIONS.replace("lock = false\n", '[layers]\nall = ["*"]\n').replace("python:3.11", BASE)
    lock = checkout.family(versions=versions, dockerfile=DOCKERFILE) / "locks" / "1"
    lock.mkdir(parents=True)
    pin = Pin(name="one", version="1.0", hashes=(hashlib.sha256(data).hexdigest(),))
    (lock / "all.txt").write_text(render_layer([pin]))
    return root / "wheels" / name


def test_a_changed_wheel_fails_the_build_and_says_which_and_what_to_do(
    checkout: Repository,  # noqa: F811 - the fixture
    wheel: Path,
) -> None:
    done = invoke(checkout, "build", "fam", "--progress", "plain")
    assert done.returncode == 0, done.stderr
    locked = hashlib.sha256(wheel.read_bytes()).hexdigest()
    wheel.write_bytes(make_wheel("one", "1.0", code="word = 'changed'\n")[1])
    done = invoke(checkout, "build", "fam", "--progress", "plain", "--force")
    assert done.returncode == 3, done.stderr
    said = done.stderr
    assert "Hash mismatch for `one==1.0`" in said
    assert f"sha256:{locked}" in said
    assert f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}" in said
    assert (
        "install-python: a wheel is not the one that was locked in all.txt, so nothing of it was installed: find out "
        "who changed it; if it is meant, 'invoke lock' takes the new hash\n"
    ) in said
    assert said.splitlines()[-1] == ("app:1: the build failed; the failing step and the end of its output are above")

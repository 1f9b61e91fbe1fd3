"""What the integration tests work on: the images that the session `integration` has just built."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from tests.integration.containers import LABEL, Container
from tests.integration.workspaces import ENVIRONMENT, public, workspace

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


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert shutil.which("ssh"), "these tests need an ssh client: install openssh-client"
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture(scope="module")
def shared(image: str, key: Path) -> Iterator[tuple[Container, str]]:
    """One workspace with ssh for all tests that only look."""
    with workspace(image, environment={**ENVIRONMENT, "VESSL_SSH_PUBLIC_KEY": public(key)}) as (container, address):
        container.wait_for_port(22)
        yield container, address

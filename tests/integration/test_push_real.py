"""The whole way: a real image into a real registry, and out of it again by others' clients."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.conftest import ROOT
from tests.integration.test_builds import invoke
from tests.registries import serve_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.registries import RealRegistry

pytestmark = pytest.mark.engine


@pytest.fixture
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    folder = tmp_path_factory.mktemp("registry")
    with serve_registry(folder, delete=True) as served:
        yield served
    shutil.rmtree(folder)
    shutil.rmtree(ROOT / "out" / "ledgers" / served.host.replace(":", "_"), ignore_errors=True)


def push(registry: RealRegistry, *words: str) -> dict[str, Any]:
    # The session builds before it tests, so nothing has passed yet.
    options = ("--registry", f"{registry.host}/vessl-ai", "--unsafe-skip-smoke", "--format", "json")
    done = invoke("push", "cpu", "--version", "3.11", *options, *words)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    return dict(row)


def test_what_was_built_is_what_is_pulled(cpu: dict[str, Any], registry: RealRegistry) -> None:
    assert push(registry)["action"] == "new"
    assert push(registry)["why"] == "unchanged since r1"
    forced = push(registry, "--force", "--reason", "to see that no layer is sent again")
    assert (forced["revision"], forced["digest"]) == (2, cpu["digest"])
    blobs = [path for path in (registry.storage).rglob("data") if path.parent.parent.parent.name == "sha256"]
    assert sum(path.stat().st_size for path in blobs) < cpu["size"] * 1.01
    reference = f"{registry.host}/vessl-ai/python:3.11-r1"
    pulled = subprocess.run(["docker", "pull", "--quiet", reference], capture_output=True, text=True, check=False)
    try:
        assert pulled.returncode == 0, pulled.stderr
        inspected = ["docker", "image", "inspect", reference, "--format", "{{.Id}}"]
        assert subprocess.run(inspected, capture_output=True, text=True, check=True).stdout.strip() == cpu["digest"]
    finally:
        subprocess.run(["docker", "image", "rm", reference], capture_output=True, check=False)
    listed = invoke("revisions", "python:3.11", "--registry", f"{registry.host}/vessl-ai", "--format", "json")
    assert [(row["revision"], row["state"]) for row in json.loads(listed.stdout)] == [
        ("3.11-r2", "standard"),
        ("3.11-r1", ""),
    ]

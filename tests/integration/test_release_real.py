"""The whole way: a real image, tested, into a real registry, and out of it again by others' clients.

Run by the nox session `release`, after those that have built and tested the image.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from scripts.release.artifacts import EMPTY
from tests.integration.conftest import ROOT
from tests.integration.test_builds import invoke
from tests.registries import serve_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.registries import RealRegistry

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    folder = tmp_path_factory.mktemp("registry")
    with serve_registry(folder, delete=True) as served:
        yield served
    remove_names(served.host)
    shutil.rmtree(folder)
    shutil.rmtree(ROOT / "out" / "ledgers" / served.host.replace(":", "_"), ignore_errors=True)


def remove_names(host: str) -> None:
    """Take back the names of this registry that images were given in the engine to be tested."""
    listed = ["docker", "image", "ls", "--filter", f"reference={host}/*/*", "--format", "{{.Repository}}:{{.Tag}}"]
    names = subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()
    if names:
        subprocess.run(["docker", "image", "rm", *names], capture_output=True, check=True)


def run(registry: RealRegistry, *words: str, code: int = 0) -> list[dict[str, Any]]:
    done = invoke(*words, "--registry", f"{registry.host}/vessl-ai", "--format", "json")
    assert done.returncode == code, done.stderr
    return list(json.loads(done.stdout))


def release(registry: RealRegistry, *words: str) -> dict[str, Any]:
    (row,) = run(registry, "release", "cpu", "--version", "3.11", *words)
    return row


def test_what_was_built_and_tested_is_what_is_pulled(cpu: dict[str, Any], registry: RealRegistry) -> None:
    assert [row["action"] for row in run(registry, "tag", "cpu", "--version", "3.11", "--dry-run")] == ["new"]
    assert release(registry)["action"] == "new"
    assert release(registry)["why"] == "unchanged since r1"
    # The record of the smoke test is in the ledger: it was not tested again, and not skipped either.
    (path,) = (ROOT / "out" / "ledgers" / registry.host.replace(":", "_")).glob("cpu/*.jsonl")
    (line,) = map(json.loads, path.read_text().splitlines())
    assert line["digest"] == cpu["digest"]
    assert line["smoke"]["passed"] > 50
    forced = release(registry, "--force", "--reason", "to see that no layer is sent again")
    assert (forced["revision"], forced["digest"]) == (2, cpu["digest"])
    blobs = [path for path in (registry.storage).rglob("data") if path.parent.parent.parent.name == "sha256"]
    assert sum(path.stat().st_size for path in blobs) < cpu["size"] * 1.01 + len(EMPTY)
    reference = f"{registry.host}/vessl-ai/python:3.11-r1"
    pulled = subprocess.run(["docker", "pull", "--quiet", reference], capture_output=True, text=True, check=False)
    try:
        assert pulled.returncode == 0, pulled.stderr
        inspected = ["docker", "image", "inspect", reference, "--format", "{{.Id}}"]
        assert subprocess.run(inspected, capture_output=True, text=True, check=True).stdout.strip() == cpu["digest"]
    finally:
        subprocess.run(["docker", "image", "rm", reference], capture_output=True, check=False)


def test_layers_that_images_share_are_mounted_and_not_sent_twice(registry: RealRegistry) -> None:
    assert release(registry)["action"] == "unchanged"
    where = ("--registry", f"{registry.host}/vessl-ai")
    done = invoke("release", "cuda", "--version", "12.1", "--stage", "cuda", *where)
    assert done.returncode == 0, done.stderr
    assert "cuda:12.1: new: never published" in done.stderr
    assert re.search(r"^cuda:12\.1: [1-9]\d* mounted, \d+ sent", done.stderr, re.MULTILINE), done.stderr


def test_it_is_yanked_and_audited(registry: RealRegistry) -> None:
    listed = run(registry, "revisions", "python:3.11")
    assert [(row["revision"], row["state"]) for row in listed] == [("3.11-r2", "standard"), ("3.11-r1", "")]
    (row,) = run(registry, "yank", "python:3.11-r1", "--reason", "to see that it is told")
    assert row["action"] == "yanked"
    listed = run(registry, "revisions", "python:3.11")
    assert [(row["revision"], row["state"]) for row in listed] == [("3.11-r2", "standard"), ("3.11-r1", "yanked")]
    assert run(registry, "audit") == []
    # The same content is yanked with it: it does not come back by itself.
    (refused,) = run(registry, "release", "cpu", "--version", "3.11", code=2)
    assert "was yanked: to see that it is told" in refused["why"]

"""Pins of bases against a real registry and a real engine: the digest in versions.toml is what is built upon."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import DOCKERFILE, VERSIONS, Repository
from tests.integration.conftest import ROOT
from tests.registries import serve_registry

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

BUILT = "images.test/pinned"


def docker(*words: str, text: str | None = None) -> str:
    done = subprocess.run(["docker", *words], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def bottom(reference: str) -> str:
    """The lowest layer of an image in the engine: where it comes from."""
    layers: list[str] = json.loads(docker("image", "inspect", reference, "--format", "{{json .RootFS.Layers}}"))
    return layers[0]


def publish(base: str, word: str, folder: Path) -> tuple[str, str]:
    """Put an image of one file under a tag of a registry, and only there; its digest and its layer."""
    (folder / "word").write_text(word)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY word /\n")
    docker("buildx", "build", "--quiet", "--provenance=false", "--load", "--tag", base, str(folder))
    try:
        docker("push", "--quiet", base)
        (found,) = json.loads(docker("image", "inspect", base, "--format", "{{json .RepoDigests}}"))
        return str(found).partition("@")[2], bottom(base)
    finally:
        docker("image", "rm", base)


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Repository]:
    """A checkout with the real tasks and one family."""
    repository = Repository(tmp_path / "checkout")
    (repository.root / "files").mkdir(parents=True)
    (repository.root / "files" / "hello").write_text("hello\n")
    (repository.root / "scripts" / "image").mkdir(parents=True)
    (repository.root / "scripts" / "image" / "requirements.txt").touch()
    for name in ("tasks.py", "invoke.yaml"):
        shutil.copy(ROOT / name, repository.root)
    yield repository
    subprocess.run(["docker", "image", "rm", f"{BUILT}/app:1"], capture_output=True, check=False)


def invoke(checkout: Repository, *words: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("invoke")), "--search-root", str(checkout.root), *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "INVOKE_IMAGES_REGISTRY": BUILT}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def rows(checkout: Repository, *words: str) -> list[dict[str, Any]]:
    done = invoke(checkout, *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_a_pin_is_written_kept_moved_on_and_built_upon(checkout: Repository, tmp_path: Path) -> None:
    with serve_registry(tmp_path / "registry") as registry:
        base = f"{registry.host}/base:1"
        versions = VERSIONS.replace('"python:3.11"', f'"{base}" # the base').replace("[[image]]", "# A row.\n[[image]]")
        checkout.family(versions=versions, dockerfile=DOCKERFILE.replace("BASE_IMAGE=python:3.11", "BASE_IMAGE=x"))
        manifest = checkout.root / "fam" / "versions.toml"
        first, first_layer = publish(base, "first", tmp_path)
        assert [(row["pin"], row["now"]) for row in rows(checkout, "bases", "--refresh", "--dry-run")] == [
            ("pinned", first)
        ]
        assert manifest.read_text() == versions
        rows(checkout, "bases", "--refresh")
        assert manifest.read_text() == versions.replace(base, f"{base}@{first}")

        second, second_layer = publish(base, "second", tmp_path)
        (moved,) = rows(checkout, "outdated", "--only", "bases")
        assert (moved["name"], moved["change"], moved["rows"]) == (base, "base moved", ["fam 1"])
        (built,) = rows(checkout, "build", "fam")
        assert bottom(built["reference"]) == first_layer
        (planned,) = rows(checkout, "plan", "--against", "built")
        assert (planned["action"], planned["base digest"]) == ("up to date", first)

        assert rows(checkout, "bases", "--refresh")[0]["pin"] == "moved"
        assert manifest.read_text() == versions.replace(base, f"{base}@{second}")
        (planned,) = rows(checkout, "plan", "--against", "built")
        assert (planned["action"], planned["why"]) == ("build", "base moved")
        (built,) = rows(checkout, "build", "fam")
        assert bottom(built["reference"]) == second_layer
        docker("pull", "--quiet", base)

    try:
        done = invoke(checkout, "build", "fam", "--force", "--format", "json")
        assert f"{base}: using the engine's copy: its registry did not answer" in done.stderr
        assert json.loads(done.stdout)[0]["digest"] == built["digest"]
    finally:
        docker("image", "rm", base)
    done = invoke(checkout, "build", "fam", "--force")
    assert done.returncode == 3
    assert done.stderr.startswith(f"app:1: {base}: base not resolvable, and no stand-in: ")
    done = invoke(checkout, "bases", "--refresh")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (3, "these were left as they are")
    assert manifest.read_text() == versions.replace(base, f"{base}@{second}")

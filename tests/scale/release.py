"""A release of very many small images, for real: an engine, a registry, and nothing or one of them changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.console import say
from scripts.errors import BuildError
from scripts.release.product import load_product
from scripts.release.reference import parse_repository
from scripts.release.registry import put_manifest
from scripts.release.transport import Transport
from scripts.release.upload import upload_blobs
from tests.layouts import Made, write_layout
from tests.products import NO_EVIDENCE_SETTINGS
from tests.registries import serve_registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0
"""What a release may take when nothing has changed."""
CHANGED = 7
"""The row that is changed in the end."""
DOCKERFILE = "ARG BASE_IMAGE=base:1\nFROM ${BASE_IMAGE} AS app\nARG ROW=0\nCOPY many/files/${ROW} /content/\n"
HEAD = """\
description = "Very many small images"
default = "0"
lock = false
[stages.app]
repository = "many"
tag = "{version}"
"""
ROW = '[[image]]\nversion = "{row}"\nbase = "{base}"\npython = "3.11"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a release was, and what it took."""

    what: str
    images: int
    seconds: float
    built: int
    published: int

    @property
    def row(self) -> dict[str, Any]:
        """A row of the table."""
        name = f"{self.images} images, {self.what}"
        return {"release of": name, "s": round(self.seconds, 1), "built": self.built, "published": self.published}


def measure_releases(folder: Path, images: int) -> tuple[Release, ...]:
    """Build and publish so many images, then release them with nothing changed, and with one.

    :raises BuildError: if one of it fails, with the end of what it said.
    """
    root = folder / "checkout"
    with serve_registry(folder / "registry", delete=True) as registry:
        environment = _prepare(root, registry.host, images)
        try:
            began = time.monotonic()
            _run(root, environment, "build", "many", "--all")
            _run(root, environment, "push", "many", "--all", "--unsafe-skip-smoke")
            say(f"{images} images built and published for the first time: {time.monotonic() - began:.0f} s")
            same = _release(root, environment, "nothing changed", images)
            (root / "many" / "files" / str(CHANGED) / "text").write_text("changed\n", encoding="utf-8")
            reason = ("--unsafe-skip-smoke", "--reason", "another text")
            return same, _release(root, environment, "one changed", images, *reason)
        finally:
            names = [f"{registry.host}/many:{row}" for row in range(images)]
            subprocess.run(["docker", "image", "rm", "--force", *names], capture_output=True, check=False)


def missed(releases: Sequence[Release]) -> Iterator[str]:
    """Every goal that is not met, a sentence each."""
    for release, expected in zip(releases, (0, 1), strict=bool(releases)):
        if (release.built, release.published) != (expected, expected):
            yield f"release, {release.what}: {release.built} built and {release.published} published, not {expected}"
        if not expected and release.seconds > SECONDS:
            yield f"release, {release.what}: {release.seconds:.0f} s, the goal is {SECONDS:g} s"


def _prepare(root: Path, host: str, images: int) -> dict[str, str]:
    """A checkout with one family, its base in the registry; the environment of its tasks."""
    (root / "scripts" / "image").mkdir(parents=True)
    (root / "scripts" / "image" / "requirements.txt").touch()
    space = "\nimport scripts.build.build\nscripts.build.build.SPACE = {False: 0, True: 0}\n"
    (root / "tasks.py").write_text((ROOT / "tasks.py").read_text(encoding="utf-8") + space, encoding="utf-8")
    shutil.copy(ROOT / "invoke.yaml", root)
    family = root / "many"
    for row in range(images):
        (family / "files" / str(row)).mkdir(parents=True)
        (family / "files" / str(row) / "text").write_text(f"row {row}\n", encoding="utf-8")
    (family / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")
    base = f"{host}/base:1"
    rows = "".join(ROW.format(row=row, base=base) for row in range(images))
    (family / "versions.toml").write_text(HEAD + rows, encoding="utf-8")
    layout = root / "base"
    config = {"os": "linux", "architecture": "amd64", "config": {}}
    write_layout(layout, [("base", {"base": Made(text="base")})], config)
    product = load_product(layout)
    with Transport(credentials=lambda _: None) as transport:
        repository = parse_repository(f"{host}/base")
        upload_blobs(transport, repository, product.blobs)
        put_manifest(transport, repository.tag("1"), product.manifest)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INVOKE_")}
    own = {"PYTHONPATH": str(ROOT), "INVOKE_IMAGES_REGISTRY": host, "INVOKE_IMAGES_CACHE": str(root / "cache")}
    return {**kept, **NO_EVIDENCE_SETTINGS, **own}


def _release(root: Path, environment: dict[str, str], what: str, images: int, *words: str) -> Release:
    began = time.monotonic()
    rows = _run(root, environment, "release", "many", "--all", *words)
    return Release(
        what=what,
        images=len(rows) if len(rows) == images else -1,
        seconds=time.monotonic() - began,
        built=sum(row["build"] == "build" for row in rows),
        published=sum(row["action"] == "new" for row in rows),
    )


def _run(root: Path, environment: dict[str, str], *words: str) -> list[dict[str, Any]]:
    invoke = str(Path(sys.executable).with_name("invoke"))
    command = [invoke, "--search-root", str(root), *words, "--format", "json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{words[0]} of many images failed: {done.stderr.strip()[-600:]}")
    return list(json.loads(done.stdout))

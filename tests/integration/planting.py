"""Plant faults in an image and smoke test what comes out: ``python -m tests.integration.planting [NAME ...]``.

By hand it plants each fault alone, which takes a minute each. The session `integration` plants many at a time.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration import planted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PLANTING = "layers.times"
"""The check that every planted image fails: what a fault changes has the time of now."""
RECORDED = "installed.files"
"""The check that fails with each fault that edits a file of a distribution, which many do."""
ROOT = Path(__file__).resolve().parents[2]
REGISTRY = "quay.io/vessl-ai"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault."""

    name: str
    check: str
    """The check that has to fail."""
    dockerfile: str
    """What plants it, after ``FROM``; the user is root."""
    says: str
    """A part of what the check has to say: of its reason, or of what it measured."""
    on: str = "python:3.11"
    """The image that it is planted in."""
    together: str = "many"
    """Faults of an image that have this in common are planted together, so none may hide or break another's check."""
    also: tuple[str, ...] = ()
    """Other checks that cannot but fail with it."""
    options: tuple[str, ...] = ()
    """Options of the smoke test."""


def load_faults() -> tuple[Fault, ...]:
    """All faults of the modules in ``planted``."""
    found: list[Fault] = []
    for module in pkgutil.iter_modules(planted.__path__, f"{planted.__name__}."):
        found += importlib.import_module(module.name).FAULTS
    return tuple(found)


def edit(path: str, program: str) -> str:
    """A line that edits a file of the image with sed; it fails where there is nothing to edit."""
    return f"RUN cp -p {path} /tmp/before && sed -i '{program}' {path} && ! cmp -s {path} /tmp/before && rm /tmp/before"


def edit_python(path: str, program: str) -> str:
    """A line that edits a module of the image with sed, and compiles it again as the image's own are."""
    return f"{edit(path, program)} && python -m compileall -q -f --invalidation-mode unchecked-hash {path}"


@contextmanager
def plant(on: str, faults: Iterable[Fault]) -> Iterator[str]:
    """An image with these faults, by its digest; removed at the end."""
    lines = "\n".join(fault.dockerfile.strip("\n") for fault in faults)
    reference = f"planted-faults:{os.getpid()}"
    done = subprocess.run(
        ["docker", "buildx", "build", "--quiet", "--load", "--provenance=false", "--tag", reference, "-"],
        input=f"FROM {REGISTRY}/{on}\nUSER root\n{lines}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    try:
        yield reference
    finally:
        subprocess.run(["docker", "image", "rm", "--force", reference], capture_output=True, check=False)


def smoke(image_id: str, reference: str, *options: str) -> dict[str, Any]:
    """Smoke test an image as ``image_id``; the record."""
    command = [sys.executable, "-m", "scripts.smoke", image_id, "--reference", reference, "--format", "json", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 5), done.stderr
    assert done.stdout, done.stderr
    return dict(json.loads(done.stdout))


def disagreements(faults: Iterable[Fault], record: dict[str, Any]) -> list[str]:
    """Where the checks that failed are not those that had to, or do not say why."""
    failed = {result["check"]: result for result in record["results"] if result["outcome"] == "FAIL"}
    wanted = {name: fault.name for fault in faults for name in (fault.check, *fault.also)}
    if any(result["check"] == PLANTING for result in record["results"]):  # not with --only
        wanted[PLANTING] = "planting"
    found = [f"{fault}: not caught by {name}" for name, fault in wanted.items() if name not in failed]
    found += [
        f"{name} failed, which no fault explains: {failed[name]}" for name in failed.keys() - wanted.keys() - {RECORDED}
    ]
    for fault in faults:
        said = failed.get(fault.check, {})
        if said and fault.says not in said["reason"] + said["measured"]:
            found.append(f'{fault.name}: {fault.check} does not say "{fault.says}": {said}')
    return found


def main(names: list[str]) -> int:
    """Plant each of the named faults alone, or all of them."""
    faults = [fault for fault in load_faults() if not names or fault.name in names]
    wrong = 0
    for fault in faults:
        with plant(fault.on, [fault]) as reference:
            record = smoke(fault.on, reference, *fault.options)
        found = disagreements([fault], record)
        wrong += bool(found)
        print(f"{fault.name}: {'; '.join(found) or 'caught by ' + fault.check}", flush=True)  # noqa: T201
    return 1 if wrong or not faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""What a smoke test found, bound to the digest it looked at and to the checks it made; publishing asks for it."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

CHECKS = (
    "tests/smoke",
    "tests/containers.py",
    "tests/wheels.py",
    "tests/workspaces.py",
    "scripts/smoke",
    *(f"scripts/contents/{name}.py" for name in ("drivers", "gpu_probe", "layers", "leftovers", "scan")),
)
"""Where the checks are, and what they measure with; not what else is known of contents: it tests nothing."""


class Outcome(StrEnum):
    """How a check ended, or all of them."""

    PASS = "PASS"  # noqa: S105 - not a password
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One check: what it measured, what the version manifest or the design wants, and how long that took in seconds."""

    check: str
    outcome: Outcome
    measured: str
    expected: str
    reason: str
    """Why it was skipped or failed, in a line."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All checks of one image."""

    id: str
    digest: str
    checks: str
    """Hash of the checks and of what they compare with; see ``hash_checks``."""
    outcome: Outcome
    reference: str
    source: str
    stand_in: bool
    gpu: bool
    """Whether a GPU was there to test on."""
    started: str
    """UTC, RFC 3339."""
    seconds: float
    results: tuple[Result, ...]
    facts: Mapping[str, Any]
    """What was found out on the way and others want to know, such as the GPU architectures."""


def hash_checks(root: Path, spec: ImageSpec) -> str:
    """Hash of the checks' source and of the image's declared values: another hash, and the image is tested again."""
    digest = hashlib.sha256()
    for path in sorted(
        path for top in CHECKS for path in ((root / top), *(root / top).rglob("*.py")) if path.is_file()
    ):
        digest.update(
            f"{path.relative_to(root).as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode()
        )
    declared = {**asdict(spec), "dockerfile": None}  # its path is this checkout's
    digest.update(json.dumps(declared, sort_keys=True, default=str).encode())
    return digest.hexdigest()


def directory_of(out: Path, digest: str) -> Path:
    """Where the record and the JUnit file of an image stand, by the image's digest."""
    return out / "smoke" / digest.replace(":", "-")


def load_record(out: Path, digest: str) -> Record | None:
    """The last record of an image, or None: never tested, or by a version of this tool that wrote another record."""
    try:
        raw = json.loads((directory_of(out, digest) / "record.json").read_text(encoding="utf-8"))
        results = tuple(Result(**{**item, "outcome": Outcome(item["outcome"])}) for item in raw["results"])
        record = Record(**{**raw, "outcome": Outcome(raw["outcome"]), "results": results})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return record if record.digest == digest else None


def passed(out: Path, digest: str, checks: str) -> Record | None:
    """The record of an image that passed exactly these checks, or None."""
    record = load_record(out, digest)
    return record if record and record.checks == checks and record.outcome is Outcome.PASS else None


def save_record(out: Path, record: Record) -> Path:
    """Write a record in place of the last one of that digest; it is there whole or not at all."""
    directory = directory_of(out, record.digest)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "record.json"
    work = path.with_name(f".{path.name}.{os.getpid()}")
    work.write_text(json.dumps(asdict(record), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    work.replace(path)
    return path


def overall(results: tuple[Result, ...]) -> Outcome:
    """PASS only where something was measured and nothing failed."""
    outcomes = {result.outcome for result in results}
    return Outcome.PASS if Outcome.PASS in outcomes and Outcome.FAIL not in outcomes else Outcome.FAIL

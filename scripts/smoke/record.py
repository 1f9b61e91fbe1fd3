"""What a smoke test found, bound to the digest it looked at and to the checks it made; publishing asks for it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter

from scripts.recipe.inputs import lock_files

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

CHECKS = (
    "tests/smoke",
    "tests/containers.py",
    "tests/reaper.py",
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

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")


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
    planned: tuple[str, ...]
    """The names of all checks that this image has, as they were collected before the first of them ran."""
    facts: Mapping[str, Any]
    """What was found out on the way and others want to know, such as the GPU architectures."""

    # For `load_record`: types are checked, and whatever is not above is refused.
    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")


_RECORD = TypeAdapter(Record)


def hash_checks(root: Path, spec: ImageSpec) -> str:
    """Hash of the checks' source and of what they compare with: another hash, and the image is tested again.

    :raises UsageError: if a file of the image's lock is missing.
    """
    digest = hashlib.sha256()
    sources = {path for top in CHECKS for path in ((root / top), *(root / top).rglob("*.py")) if path.is_file()}
    for path in sorted({*sources, *lock_files(root, spec)}):
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
    """The last record of an image, or None: never tested, or the file is not one that this version of the tool wrote.

    A record counts only as a whole: its seal is over all of it, its types are checked, it is about ``digest``, there is
    one result for each planned check and for no other, and its outcome is not better than its results. So none that was
    cut off, edited, put together or moved counts. It is no signature: who may write below ``out/`` and means to deceive
    can make another seal, as they can put another image there.
    """
    try:
        raw = json.loads((directory_of(out, digest) / "record.json").read_text(encoding="utf-8"))
        seal = raw.pop("seal")
        record = _RECORD.validate_json(json.dumps(raw))
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    names = tuple(result.check for result in record.results)
    whole = seal == seal_of(raw) and record.digest == digest and names == record.planned
    return record if whole and record.outcome in {overall(record.results), Outcome.FAIL} else None


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
    content = asdict(record)
    content["seal"] = seal_of(content)
    work.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    work.replace(path)
    return path


def seal_of(content: Mapping[str, Any]) -> str:
    """SHA-256 over all that a record says, in hexadecimal."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def overall(results: Iterable[Result]) -> Outcome:
    """PASS only where something was measured and nothing failed."""
    outcomes = {result.outcome for result in results}
    return Outcome.PASS if Outcome.PASS in outcomes and Outcome.FAIL not in outcomes else Outcome.FAIL

"""The pins of bases: which digest each row's base is held at, which its tag has now, and the edit that moves one on."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from scripts.build.sources import latest_digest
from scripts.errors import BuildError
from scripts.recipe.family import FILENAME, State
from scripts.recipe.pinning import pin_bases

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scripts.recipe.family import Family, Row
    from scripts.recipe.matrix import ImageSpec

FIX = "invoke bases --refresh"
# Hexadecimal digits of a digest that a table shows.
SHORT = 12


class Move(StrEnum):
    """What has become of a row's base; the value is the word in the table."""

    PINNED = "pinned"
    """It had no pin."""
    MOVED = "moved"
    UNCHANGED = "unchanged"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinning:
    """The pin of one row's base, and what its tag is now."""

    family: Family
    row: Row
    now: str | None
    """Digest of the tag in its registry; None if that gave no answer."""
    why: str = ""
    """Why there is no answer."""

    @property
    def before(self) -> str | None:
        """The pin in versions.toml."""
        return self.row.base_digest

    @property
    def move(self) -> Move:
        """What a refresh does with it."""
        if self.now is None:
            return Move.UNKNOWN
        if self.before is None:
            return Move.PINNED
        return Move.UNCHANGED if self.now == self.before else Move.MOVED


def plan_pins(rows: Sequence[tuple[Family, Row]]) -> tuple[Pinning, ...]:
    """Ask for the digest of each row's base, each tag once."""
    names = list(dict.fromkeys(row.base_name for _, row in rows))
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = dict(zip(names, pool.map(latest_digest, names), strict=True))
    return tuple(
        Pinning(family=family, row=row, now=found[row.base_name][0], why=found[row.base_name][1])
        for family, row in rows
    )


def apply_pins(pinnings: Iterable[Pinning]) -> None:
    """Write what moved into the version manifests; a base whose registry gave no answer keeps what it has.

    :raises UsageError: if a version manifest is laid out so that it cannot be edited; it is left as it was then.
    """
    wanted: dict[str, dict[str, str]] = {}
    families: dict[str, Family] = {}
    for pinning in pinnings:
        if pinning.now and pinning.move in {Move.PINNED, Move.MOVED}:
            families[pinning.family.name] = pinning.family
            wanted.setdefault(pinning.family.name, {})[pinning.row.version] = pinning.now
    edits = []
    for name, digests in wanted.items():
        path = families[name].path / FILENAME
        with path.open(encoding="utf-8", newline="") as file:  # line ends as they are
            edits.append((path, pin_bases(file.read(), digests, families[name].where)))
    for path, text in edits:
        new = path.with_name(f".{path.name}.{os.getpid()}")
        new.write_text(text, encoding="utf-8", newline="")
        new.chmod(path.stat().st_mode)
        new.replace(path)


def pin_row(pinning: Pinning) -> dict[str, Any]:
    """A row of ``bases --refresh``."""
    return {
        "row": f"{pinning.family.name} {pinning.row.version}",
        "base": pinning.row.base_name,
        "pin": str(pinning.move),
        "what": pinning.why or show_move(pinning.before, pinning.now),
        "before": pinning.before,
        "now": pinning.now,
    }


def show_move(before: str | None, now: str | None) -> str:
    """Two digests, short: ``0123456789ab -> ba9876543210``."""
    return " -> ".join(show_digest(item) for item in dict.fromkeys((before, now)) if item)


def show_digest(digest: str) -> str:
    """The start of a digest, as tables have it."""
    return digest.removeprefix("sha256:")[:SHORT]


def silent_registries(pinnings: Iterable[Pinning]) -> list[str]:
    """A line for each base whose registry gave no answer, with the rows that stand on it."""
    lines: dict[str, list[str]] = {}
    for item in pinnings:
        if item.move is Move.UNKNOWN:
            said = f"{item.row.base_name}: unknown: its registry gave no answer: {item.why}"
            lines.setdefault(said, []).append(f"{item.family.name} {item.row.version}")
    return [f"{said} ({', '.join(rows)})" for said, rows in lines.items()]


def require_answers(pinnings: Iterable[Pinning]) -> None:
    """Refuse to call a refresh done that some registry did not answer.

    :raises BuildError: with a line for each base that is unknown.
    """
    if lines := silent_registries(pinnings):
        raise BuildError("\n".join([*lines, "these were left as they are"]))


def unpinned(images: Iterable[ImageSpec]) -> tuple[str, ...]:
    """The bases of active images that are not pinned."""
    return tuple(dict.fromkeys(spec.base for spec in images if spec.base_digest is None and spec.state is State.ACTIVE))

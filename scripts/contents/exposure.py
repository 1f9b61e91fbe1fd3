"""Known weaknesses that a new image no longer has, and those that it has anew: by scans of both, or not at all.

Without a scan of both nothing is said but that: none found and not looked up are not the same.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING

from scripts.build.wanted import Severity
from scripts.contents.words import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scripts.contents.weaknesses import Scan, Weakness

NAMED = 3
"""Weaknesses that a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A weakness of an image, in whichever of its packages."""

    id: str
    """Its CVE where it has one."""
    severity: Severity
    """The worst that the scanner gives it."""
    packages: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """The scans of an old and a new image; None: there is none."""

    old: Scan | None = None
    new: Scan | None = None

    @property
    def compared(self) -> bool:
        """Whether both were scanned, by the same program."""
        return self.old is not None and self.new is not None and self.old.program == self.new.program

    @property
    def exact(self) -> bool:
        """Whether what differs is the images' doing: the scanner and its database are the same."""
        one, two = self.old, self.new
        return bool(one and two and (one.scanner, one.database) == (two.scanner, two.database))

    @cached_property
    def fixed(self) -> tuple[Known, ...]:
        """What only the old image has, the worst first; empty where they are not compared."""
        return _only(self._before, self._after) if self.compared else ()

    @cached_property
    def added(self) -> tuple[Known, ...]:
        """What only the new image has, the worst first; empty where they are not compared."""
        return _only(self._after, self._before) if self.compared else ()

    @property
    def both(self) -> int:
        """How many weaknesses both have."""
        return len(self._before.keys() & self._after.keys()) if self.compared else 0

    @cached_property
    def _before(self) -> Mapping[str, Known]:
        return _by_name(self.old.found if self.old else ())

    @cached_property
    def _after(self) -> Mapping[str, Known]:
        return _by_name(self.new.found if self.new else ())


def choose_scans(old: Iterable[Scan], new: Iterable[Scan]) -> Exposure:
    """Of the scans of two images those that say most: with the same database, else by the same program, else the newest."""
    olds, news = _newest_first(old), _newest_first(new)
    pairs = [Exposure(old=one, new=two) for two, one in product(news, olds)]
    chosen = next((pair for pair in pairs if pair.exact), None) or next((pair for pair in pairs if pair.compared), None)
    return chosen or Exposure(old=next(iter(olds), None), new=next(iter(news), None))


def exposure_line(exposure: Exposure) -> str:
    """What is known of both images' weaknesses, in a line."""
    old, new = exposure.old, exposure.new
    if not (old and new):
        which = "the new image was not" if old else "the old image was not" if new else "neither image was"
        return f"Known weaknesses: not scanned: {which} (invoke scan IMAGE)."
    if not exposure.compared:
        return (
            f"Known weaknesses: not compared: the old image was scanned by {old.scanner}, the new one by {new.scanner}."
        )
    counts = f"Known weaknesses: {len(exposure.fixed)} fixed, {len(exposure.added)} new, {exposure.both} in both"
    if exposure.exact:
        return f"{counts} ({new.scanner}, its database of {_day(new)})."
    return (
        f"{counts} (the old image looked up by {old.scanner} with the database of {_day(old)}, the new one by "
        f"{new.scanner} with that of {_day(new)}: some may differ for that alone)."
    )


def exposure_words(exposure: Exposure) -> Iterator[str]:
    """What a user gains or loses, for the reason of a revision; nothing where the database may be what differs."""
    if exposure.exact:
        yield from _words("fixes", exposure.fixed)
        yield from _words("brings", exposure.added)


def _words(verb: str, found: Sequence[Known]) -> Iterator[str]:
    names = [item.id for item in found[:NAMED]]
    if len(found) > NAMED:
        yield f"{verb} {len(found)} known weaknesses, {listed(names)} among them"
    elif found:
        yield f"{verb} {listed(names)}"


def _only(these: Mapping[str, Known], others: Mapping[str, Known]) -> tuple[Known, ...]:
    worst = list(Severity)
    found = [item for name, item in these.items() if name not in others]
    return tuple(sorted(found, key=lambda item: (-worst.index(item.severity), item.id)))


def _by_name(found: Iterable[Weakness]) -> Mapping[str, Known]:
    """By the name that people know: scanners have one weakness under several."""
    groups: dict[str, list[Weakness]] = defaultdict(list)
    for item in found:
        names = sorted({item.id, *item.aliases}, key=lambda name: (not name.startswith("CVE-"), name != item.id, name))
        groups[names[0]].append(item)
    worst = list(Severity)
    return {
        name: Known(
            id=name,
            severity=max((item.severity for item in items), key=worst.index),
            packages=tuple(sorted({item.package for item in items})),
        )
        for name, items in groups.items()
    }


def _newest_first(scans: Iterable[Scan]) -> list[Scan]:
    return sorted(scans, key=lambda scan: (scan.database, scan.scanner), reverse=True)


def _day(scan: Scan) -> str:
    return scan.database[:10]

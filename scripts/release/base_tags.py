"""Newer tags of a base than the one that a row stands on, by the names of the tags that its registry lists.

A tag is read as words: ``12.8.1-cudnn-devel-ubuntu24.04`` is version 12.8.1 on ubuntu24.04, and another with the same words
otherwise is of the same kind (cuDNN's number in it is of no account: NVIDIA left it out from 12.4 on).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

VERSION = re.compile(r"[0-9]+(\.[0-9]+)*")
UBUNTU = re.compile(r"ubuntu([0-9]{2}\.[0-9]{2})")
LONGEST = 128
"""Characters of a tag (distribution-spec, "Pulling manifests"); a registry may list anything."""
CUDNN = re.compile(r"cudnn[0-9]+")


class Step(StrEnum):
    """In what a tag is newer."""

    PATCH = "newer patch"
    """The same version, and a later correction of it."""
    SYSTEM = "newer system"
    """The same version on a later release of the distribution."""
    VERSION = "newer version"
    """A later version than any row stands on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A tag, as its words tell it."""

    tag: str
    version: tuple[int, ...]
    system: int
    """The release of the distribution, by age; 0: the tag does not say."""
    rest: tuple[str, ...]

    @property
    def minor(self) -> tuple[int, ...]:
        """Its version as users know it: 12.8 of 12.8.1."""
        return self.version[:2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """A newer tag of a base."""

    base: str
    """With its tag, as versions.toml has it."""
    tag: str
    step: Step


def parse_tag(tag: str, codenames: Sequence[str]) -> Parsed | None:
    """Read a tag; None: it does not begin with a version, as ``latest`` and ``slim`` do not.

    :param codenames: releases of Debian, the oldest first.
    """
    first, *words = tag.split("-")
    if len(tag) > LONGEST or not VERSION.fullmatch(first):
        return None
    system, rest = 0, []
    for word in words:
        if found := UBUNTU.fullmatch(word):
            system, kind = int(found[1].replace(".", "")), "ubuntu"
        elif word in codenames:
            system, kind = codenames.index(word) + 1, "debian"
        else:
            kind = "cudnn" if CUDNN.fullmatch(word) else word
        rest.append(kind)
    return Parsed(tag=tag, version=tuple(map(int, first.split("."))), system=system, rest=tuple(rest))


def newer_tags(
    bases: Collection[str], every: Iterable[str], listed: Iterable[str], codenames: Sequence[str]
) -> tuple[Newer, ...]:
    """What is newer than the bases of one repository: for each at most one patch and one system, for all one version.

    :param bases: those that are asked about, as versions.toml has them, without digests.
    :param every: those of all rows: only what is later than all of them is a newer version.
    :param listed: all tags that the registry lists.
    """
    there = [found for tag in listed if (found := parse_tag(tag, codenames))]
    mine = {base: found for base in bases if (found := parse_tag(base.rpartition(":")[2], codenames))}
    result = []
    for base, own in mine.items():
        alike = [item for item in there if item.minor == own.minor and item.rest == own.rest]
        patches = [item for item in alike if item.system == own.system and _newer(item, own)]
        systems = [item for item in alike if item.system > own.system > 0 and len(item.version) == len(own.version)]
        for step, newer in ((Step.PATCH, patches), (Step.SYSTEM, systems)):
            if newer:
                best = max(newer, key=lambda item: (item.system, item.version))
                result.append(Newer(base=base, tag=best.tag, step=step))
    rows = {base: found for base in every if (found := parse_tag(base.rpartition(":")[2], codenames))}
    base = max(rows, key=lambda name: rows[name].version, default="")
    if base in mine:
        highest = mine[base]
        later = [item for item in there if item.minor > highest.minor and _alike(item, highest)]
        if later:
            best = max(later, key=lambda item: (item.version, item.system))
            result.append(Newer(base=base, tag=best.tag, step=Step.VERSION))
    return tuple(result)


def _alike(item: Parsed, own: Parsed) -> bool:
    """Whether it is the same kind of tag, and its system no older."""
    return item.rest == own.rest and item.system >= own.system and len(item.version) == len(own.version)


def _newer(item: Parsed, own: Parsed) -> bool:
    """Whether it is a later correction; 3.11.9 is none of 3.11, which moves by itself."""
    return len(item.version) == len(own.version) and item.version > own.version

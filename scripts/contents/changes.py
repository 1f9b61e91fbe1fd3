"""One thing that has a version, what became of it from one image to another, and which version is the newer one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from debian.debian_support import Version as DebianVersion
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Kind(StrEnum):
    """What became of something that has a version."""

    ADDED = "added"
    REMOVED = "removed"
    UPGRADED = "upgraded"
    DOWNGRADED = "downgraded"
    CHANGED = "changed"
    """From one version to another of which none is the newer one."""


class Step(StrEnum):
    """The first part of a version that differs, as a user reads versions."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"
    OTHER = "other"
    """Not comparable so, or below the third number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of a package, a distribution, or a program."""

    name: str
    old: str
    """Version; empty: it was not there."""
    new: str
    """Version; empty: it is not there any more."""
    kind: Kind
    step: Step = Step.OTHER
    direct: bool = False
    """Whether it was asked for by name."""
    source: str = ""
    """Debian source package."""
    where: str = ""
    """Environment of a Python distribution, architecture of a package where it is not the image's only one."""


_KIND: Mapping[int, Kind] = {1: Kind.UPGRADED, 0: Kind.CHANGED, -1: Kind.DOWNGRADED}
STEPS = tuple(Step)
KINDS = (Kind.UPGRADED, Kind.DOWNGRADED, Kind.CHANGED, Kind.ADDED, Kind.REMOVED)


def change_of(
    name: str,
    old: str,
    new: str,
    order: Callable[[str, str], tuple[int, Step]],
    *,
    direct: bool = False,
    source: str = "",
    where: str = "",
) -> Change | None:
    """What became of something; None: nothing."""
    if old == new:
        return None
    direction, step = order(old, new) if old and new else (0, Step.OTHER)
    kind = Kind.ADDED if not old else Kind.REMOVED if not new else _KIND[direction]
    return Change(name=name, old=old, new=new, kind=kind, step=step, direct=direct, source=source, where=where)


def python_order(old: str, new: str) -> tuple[int, Step]:
    """1 where the second version is the newer one, -1 where the first is, 0: neither; and the part that differs.

    PEP 440, which also the versions of CUDA and Python follow.
    """
    try:
        first, second = Version(old), Version(new)
    except InvalidVersion:
        return 0, Step.OTHER
    direction = (second > first) - (second < first)
    if first.epoch != second.epoch:
        return direction, Step.MAJOR
    pairs = zip((*first.release, 0, 0, 0), (*second.release, 0, 0, 0), strict=False)
    return direction, next((step for step, (a, b) in zip(STEPS, pairs, strict=False) if a != b), Step.OTHER)


def debian_order(old: str, new: str) -> tuple[int, Step]:
    """As ``python_order``, by deb-version(7); the step is not told, as packages number upstream's own way."""
    try:
        first, second = DebianVersion(old), DebianVersion(new)
    except ValueError:
        return 0, Step.OTHER
    return (second > first) - (second < first), Step.OTHER


def conda_order(old: str, new: str) -> tuple[int, Step]:
    """As ``python_order``, of a version with a build behind it."""
    return python_order(old.partition(" ")[0], new.partition(" ")[0])


def rank(change: Change) -> tuple[int, int, str, str]:
    """What a change is sorted by: major before minor before patch, then what became of it, then the name."""
    return STEPS.index(change.step), KINDS.index(change.kind), canonicalize_name(change.name), change.where

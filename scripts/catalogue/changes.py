"""A difference as the tables of a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.contents.changes import Kind
from scripts.contents.difference_pages import layer_rows, usual_place
from scripts.contents.difference_words import VERBS, distribution
from scripts.contents.words import size_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.contents.changes import Change
    from scripts.contents.difference import Difference

PARTS = {"env": "variable", "labels": "label", "working_dir": "directory"}
"""What the parts of a config are called, where not by their own name."""


@dataclass(frozen=True, slots=True)
class Row:
    """Something that changed; empty texts: it was not there, or is not there any more."""

    kind: str
    name: str
    old: str
    new: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Things of one sort that changed."""

    title: str
    rows: tuple[Row, ...]


def groups_of(difference: Difference) -> tuple[Group, ...]:
    """All that changed, in the order in which people want to read it, without groups that are empty."""
    usual = usual_place(difference.new)
    found = (
        Group("System", tuple(_changes(difference.programs, usual))),
        Group("Python packages", tuple(_changes(difference.python, usual))),
        Group(f"{distribution(difference)} packages", tuple(_changes(difference.apt, usual))),
        Group("Conda packages", tuple(_changes(difference.conda, usual))),
        Group("Settings", tuple(_settings(difference))),
        Group("Layers", tuple(_layers(difference))),
    )
    return tuple(group for group in found if group.rows)


def _changes(changes: Iterable[Change], usual: str) -> Iterator[Row]:
    for change in changes:
        notes = ["asked for"] if change.direct else []
        notes += [VERBS[change.kind]] if change.kind in {Kind.DOWNGRADED, Kind.CHANGED} else []
        notes += [change.where] if change.where not in {"", usual} else []
        yield Row(str(change.kind), change.name, change.old, change.new, ", ".join(notes))


def _settings(difference: Difference) -> Iterator[Row]:
    for item in difference.settings:
        kind = "added" if item.old is None else "removed" if item.new is None else "changed"
        part = PARTS.get(item.part, item.part)
        yield Row(kind, item.name or part, item.old or "", item.new or "", part if item.name else "")


def _layers(difference: Difference) -> Iterator[Row]:
    """Those that are pulled, and those that are no longer there."""
    for row in layer_rows(difference):
        size = size_words(row["size"])
        if row["state"] == "new":
            yield Row("added", row["made by"], "", size)
        elif row["state"] == "gone":
            yield Row("removed", row["made by"], size, "")

"""Tables in documents that people write: each stands between two marker lines, and all around it is theirs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scripts.errors import UsageError
from scripts.recipe.faults import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMAND = "invoke tables"
# What follows the name in the first marker is for people.
MARKER = re.compile(r"<!-- (?P<end>end of )?table (?P<name>[a-z-]+)(:[^\n]*)? -->")


class MarkerError(UsageError):
    """The markers of a document are not those that its tables need."""


def begin(name: str) -> str:
    """The line before a table."""
    return f"<!-- table {name}: written by {COMMAND}, do not edit -->"


def end(name: str) -> str:
    """The line after a table."""
    return f"<!-- end of table {name} -->"


def replace_tables(text: str, tables: Mapping[str, str], where: str) -> str:
    """The document with these tables between their markers; all else, the marker lines too, stays as it is.

    :param tables: Markdown by name; the document has to have each once, and no other.
    :param where: the document as errors name it.
    :raises MarkerError: with the first fault of the markers, and its line.
    """
    lines = text.split("\n")
    places = _find_places(lines, tables, where)
    for name in tables:
        if name not in places:
            raise MarkerError(f"{where}: no place for the table {name}: put in {begin(name)}\nand below it {end(name)}")
    for name, (first, last) in sorted(places.items(), key=lambda item: item[1], reverse=True):
        lines[first + 1 : last] = ["", *tables[name].splitlines(), ""]
    return "\n".join(lines)


def _find_places(lines: Sequence[str], tables: Mapping[str, str], where: str) -> dict[str, tuple[int, int]]:
    """First and last line (from 0) of each table that is there."""
    places: dict[str, tuple[int, int]] = {}
    opened: tuple[str, int] | None = None
    for number, line in enumerate(lines):
        if (match := MARKER.fullmatch(line.strip())) is None:
            continue
        name, here = match["name"], f"{where}:{number + 1}"
        if name not in tables:
            raise MarkerError(f'{here}: this document has no table "{name}"{did_you_mean(name, tables)}')
        if match["end"]:
            if opened is None or opened[0] != name:
                raise MarkerError(f"{here}: the table {name} ends here, and has not begun")
            places[name], opened = (opened[1], number), None
        elif opened or name in places:
            fault = f"the table {opened[0]} has not ended" if opened else f"the table {name} was there already"
            raise MarkerError(f"{here}: the table {name} begins here, and {fault}")
        else:
            opened = (name, number)
    if opened:
        raise MarkerError(f"{where}:{opened[1] + 1}: the table {opened[0]} does not end: expected {end(opened[0])}")
    return places

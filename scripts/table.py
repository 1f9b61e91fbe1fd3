"""Rows to what a person or a program reads: a table for 80 columns, or the same rows as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Row = Mapping[str, Any]


def render_json(rows: Iterable[Row]) -> str:
    """Rows as a JSON array, every key of every row."""
    return json.dumps(list(rows), indent=2, ensure_ascii=False, default=str)


def render_table(rows: Iterable[Row], columns: Mapping[str, int | None]) -> str:
    """Rows as a plain table.

    :param columns: the keys to show, in order, each with the width in characters it is wrapped at (None: as it is).
    """
    cells: list[Sequence[str]] = [[_cell(row[key]) for key in columns] for row in rows]
    return tabulate(
        cells, headers=list(columns), tablefmt="simple", maxcolwidths=list(columns.values()), disable_numparse=True
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{name}={item}" for name, item in value.items())
    return " ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)

"""A record for a person: a table for 80 columns, then what failed and what was left out, in full."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from scripts.smoke.record import Outcome
from scripts.table import render_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.smoke.record import Record, Result

COLUMNS = {"check": 28, "outcome": None, "measured": 17, "expected": 12, "s": None}
SUITE_SECONDS, START_SECONDS = 60, 3
"""What all checks of a CPU image, and a workspace's start, may take on two cores."""
START = "workspace start seconds"
"""The fact that says how long a workspace took from the container's start to its first answer."""


def render_record(record: Record) -> str:
    """All checks, in the order of their names, and a last line that sums them up."""
    lines = [render_table([_row(result) for result in record.results], COLUMNS), ""]
    lines += [f"{result.outcome} {result.check}: {result.reason}" for result in record.results if result.reason]
    return "\n".join([*lines, *_totals(record)])


def render_line(record: Record) -> str:
    """A record as one line of JSON, so that many images make JSON Lines."""
    return json.dumps(asdict(record), ensure_ascii=False)


def _row(result: Result) -> dict[str, str]:
    measured, expected = (_short(text) for text in (result.measured, result.expected))
    return {
        "check": result.check,
        "outcome": result.outcome,
        "measured": measured,
        "expected": "" if expected == measured else expected,
        "s": f"{result.seconds:.1f}",
    }


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def _totals(record: Record) -> Iterator[str]:
    counts = {outcome: sum(result.outcome is outcome for result in record.results) for outcome in Outcome}
    said = ", ".join(f"{number} {outcome}" for outcome, number in counts.items() if number)
    yield f"{record.id} ({record.source}, {record.digest}): {record.outcome}: {said}"
    start = record.facts.get(START)
    started = f"; a workspace answered after {start} s (limit {START_SECONDS} s)" if start is not None else ""
    yield f"all checks took {record.seconds} s (aim {SUITE_SECONDS} s){started}"
    if record.stand_in:
        yield "built on a stand-in base: what the base itself claims was not tested"

"""Results to what a person or a program reads: medians and ratios, as JSON, as a table, as lines. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from scripts.build.vcs import DIRTY
from scripts.table import render_table
from tests.bench.figures import BOUNDS, FIGURES, Side

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.bench.building import Phase

ENOUGH: Final = 3
"""Runs under which a median says little."""
COLUMNS: Final = {"figure": 36, "plain": None, "ours": None, "ratio": None, "goal": None, "": None}
HOW: Final = {Side.COMPILED: "… with pip compiling, its default", Side.SORTED: "… with its steps in the best order"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was measured for one figure: every value of each side, and the steps of the last build of each."""

    figure: str
    samples: dict[Side, list[float]] = field(default_factory=dict)
    phases: dict[Side, tuple[Phase, ...]] = field(default_factory=dict)

    def add(self, side: Side, value: float) -> None:
        """Keep a value."""
        self.samples.setdefault(side, []).append(value)


def render_result(result: Result, *, time: str, commit: str) -> dict[str, Any]:
    """A result as it stands in the JSON file, with medians, ratios and the goal.

    :param time: when it was measured.
    """
    figure = FIGURES[result.figure]
    medians = {side: median(values) for side, values in result.samples.items()}
    ratios = {
        side: math.floor(medians[side] / medians[Side.OURS] * 100) / 100 for side in figure.plain if side in medians
    }
    return {
        "title": figure.title,
        "unit": figure.unit,
        "goal": figure.goal,
        "met": medians[figure.plain[0]] >= figure.goal * medians[Side.OURS],
        "ratios": {str(side): ratio for side, ratio in ratios.items()},
        "medians": {str(side): round(value, 3) for side, value in medians.items()},
        "samples": {str(side): [round(value, 3) for value in values] for side, values in result.samples.items()},
        "phases": {
            str(side): [{"name": phase.name, "seconds": phase.seconds} for phase in phases]
            for side, phases in result.phases.items()
        },
        "measured": time,
        "commit": commit,
    }


def merge(before: Mapping[str, Any], image: str, machine: Mapping[str, Any], entries: Mapping[str, Any]) -> Any:
    """The whole of the JSON file: what was measured now, and of what was measured before the figures that were not."""
    kept = before.get("figures", {}) if before.get("image") == image else {}
    found = {**kept, **entries}
    return {
        "image": image,
        "machine": dict(machine),
        "figures": {name: found[name] for name in FIGURES if name in found},
    }


def rows(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each figure and each plain image that it was measured for."""
    for name, entry in document["figures"].items():
        for side, ratio in entry["ratios"].items():
            first = side == FIGURES[name].plain[0]
            yield {
                "figure": entry["title"] if first else HOW[Side(side)],
                "plain": quantity(entry["medians"][side], entry["unit"]),
                "ours": quantity(entry["medians"][Side.OURS], entry["unit"]),
                "ratio": times(ratio),
                "goal": f"{entry['goal']:g}" if first else "",
                "": ("met" if entry["met"] else "missed") if first else "",
            }


def quantity(value: float, unit: str) -> str:
    """A value to three digits or so."""
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}" if value >= 10 else f"{value:.2f} {unit}"


def times(ratio: float) -> str:
    """A ratio to two digits or so; rounded down, so that a goal that is missed does not look reached."""
    return f"{ratio:.0f}" if ratio >= 100 else f"{math.floor(ratio * 10 + 1e-9) / 10:.1f}"


def render_report(document: Mapping[str, Any]) -> str:
    """The table, with what falls short of its goal, and the longest steps of the cold builds."""
    parts = [f"{document['image']}, {machine_line(document['machine'])}", render_table(rows(document), COLUMNS)]
    if notes := list(remarks(document)):
        parts.append("\n".join(notes))
    parts += phase_tables(document)
    return "\n\n".join(parts)


def remarks(document: Mapping[str, Any]) -> Iterator[str]:
    """A line for each goal that is missed; then which figures have too few values for a median, or are of other commits."""
    few: dict[int, list[str]] = {}
    commits: dict[str, list[str]] = {}
    for name, entry in document["figures"].items():
        figure = FIGURES[name]
        if not entry["met"]:
            bound = BOUNDS.get(document["image"], {}).get(name)
            reason = f": {bound}" if bound else ""
            yield f"{name}: goal {entry['goal']:g}, measured {times(entry['ratios'][figure.plain[0]])}{reason}"
        fewest = min(map(len, entry["samples"].values()))
        if fewest < ENOUGH and not figure.exact:
            few.setdefault(fewest, []).append(name)
        if entry["commit"] != next(iter(document["figures"].values()))["commit"]:
            commits.setdefault(entry["commit"], []).append(name)
    for runs, names in few.items():
        yield f"{', '.join(names)}: {runs} run{'s' if runs > 1 else ''} only; a median wants {ENOUGH}"
    for commit, names in commits.items():
        changed = " with changes that are in no commit" if commit.endswith(DIRTY) else ""
        yield f"{', '.join(names)}: measured at another commit than the first, {commit[:12] or 'none'}{changed}"


def phase_tables(document: Mapping[str, Any], most: int = 6) -> Iterator[str]:
    """The longest steps of each side's cold build. Ours run at the same time, so they do not add up."""
    for side, phases in document["figures"].get("cold-build", {}).get("phases", {}).items():
        named = [{f"cold build, {side}": phase["name"][:66], "s": f"{phase['seconds']:.1f}"} for phase in phases[:most]]
        if named:
            yield render_table(named, {f"cold build, {side}": None, "s": None})


def machine_line(machine: Mapping[str, Any]) -> str:
    """The machine in a phrase."""
    return f"on {machine['cores']} cores, {machine['memory']:g} GiB of memory, Docker Engine {machine['engine']}"

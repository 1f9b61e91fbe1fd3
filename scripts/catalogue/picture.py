"""Pictures as numbers: where bars and points of an SVG stand. Templates draw them, so that every word is escaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.catalogue.model import Stand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.catalogue.model import Layer, Revision

WIDTH, HEIGHT = 640, 132
"""Of a plot, in its own units; so are the margins."""
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 12, 24
STACK = 1000
"""Width of a stacked bar."""
LABELS = 12
"""Revisions that are named below a plot."""
CLOSE = 14
"""Distance below which two words would touch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a stacked bar."""

    x: float
    width: float
    name: str
    size: int
    share: float
    """Of the whole, from 0 to 1."""
    rest: bool = False
    """Whether it is all that is not told one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A revision in a plot."""

    x: float
    y: float
    name: str
    value: int
    yanked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A line across a plot, or a name below it."""

    at: float
    value: int
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """One number over the revisions, oldest first."""

    points: tuple[Point, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]

    @property
    def line(self) -> str:
        """The ``points`` of the polyline."""
        return " ".join(f"{point.x},{point.y}" for point in self.points)


def stack(parts: Sequence[tuple[str, int]], most: int | None = None) -> tuple[Part, ...]:
    """A bar of parts, each with its name and bytes; those of no bytes are left out.

    :param most: how many are parts of their own; what comes after them is the rest.
    """
    whole = sum(size for _, size in parts) or 1
    found, x = [], 0.0
    for number, (name, size) in enumerate(parts):
        if size:
            width = STACK * size / whole
            found.append(
                Part(
                    x=round(x, 2),
                    width=round(width, 2),
                    name=name,
                    size=size,
                    share=size / whole,
                    rest=most is not None and number >= most,
                )
            )
            x += width
    return tuple(found)


def stack_layers(layers: Sequence[Layer]) -> tuple[Part, ...]:
    """A bar of layers, lowest first."""
    return stack([(layer.brings, layer.size) for layer in layers])


def plot_sizes(revisions: Sequence[Revision]) -> Plot:
    """Bytes to pull over the revisions."""
    return _plot([(item, item.size) for item in revisions])


def plot_packages(revisions: Sequence[Revision]) -> Plot:
    """Number of packages over the revisions whose contents are known."""
    return _plot([(item, item.contents.count) for item in revisions if item.contents])


def _plot(values: Sequence[tuple[Revision, int]]) -> Plot:
    """Even steps from left to right, whatever time is between revisions: people count in revisions."""
    ordered = sorted(values, key=lambda pair: pair[0].number)
    if not ordered:
        return Plot(points=(), rows=(), columns=())
    low, high = min(value for _, value in ordered), max(value for _, value in ordered)
    # Air above and below, so that a change of a hundredth does not look like a cliff.
    air = max((high - low) * 0.25, high * 0.005, 1)
    bottom, top = max(0.0, low - air), high + air
    step = (WIDTH - LEFT - RIGHT) / max(1, len(ordered) - 1)
    start = LEFT if len(ordered) > 1 else (WIDTH + LEFT - RIGHT) / 2

    def height(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (top - value) / (top - bottom), 1)

    points = tuple(
        Point(
            x=round(start + number * step, 1),
            y=height(value),
            name=f"r{revision.number}",
            value=value,
            yanked=revision.stand in {Stand.YANKED, Stand.GONE},
        )
        for number, (revision, value) in enumerate(ordered)
    )
    every = -(-len(points) // LABELS)
    # Counted from the newest, which is the one that people look for.
    named = [point for number, point in enumerate(reversed(points)) if number % every == 0]
    ticks = (high, low) if height(low) - height(high) >= CLOSE else (high,)
    rows = tuple(Tick(at=height(value), value=value) for value in ticks)
    return Plot(
        points=points, rows=rows, columns=tuple(Tick(at=point.x, value=0, name=point.name) for point in named[::-1])
    )

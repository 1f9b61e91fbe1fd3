"""What was measured, as a table for people and as JSON, and whether the goals are met."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from scripts.table import render_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.scale.measure import Cost

PLAN_SECONDS = 5.0
"""What a plan of ``PLAN_IMAGES`` may take on the clock."""
PLAN_IMAGES = 1000
MARGIN = 1.1
"""What the cost of an image may grow by with ten times as many and still count as flat: two runs differ by as much."""
COLUMNS: dict[str, int | None] = {
    "task": None,
    "images": None,
    "s": None,
    "ms each": None,
    "ms more": None,
    "MB": None,
    "kB each": None,
    "requests": None,
}


def rows_of(costs: Iterable[Cost]) -> list[dict[str, Any]]:
    """A row for each cost.

    ``ms each`` is work for each image; ``ms more`` is for each that was added, without what a task costs by itself.
    """
    rows: list[dict[str, Any]] = []
    before: Cost | None = None
    for cost in costs:
        smaller = before if before and before.task == cost.task else None
        more = (cost.work - smaller.work) / (cost.images - smaller.images) * 1000 if smaller else None
        rows.append(
            {
                "task": cost.task,
                "images": cost.images,
                "s": round(cost.seconds, 2),
                "work s": round(cost.work, 2),
                "ms each": round(work_of(cost), 2),
                "ms more": None if more is None else round(more, 2),
                "MB": round(cost.megabytes),
                "kB each": round(memory_of(cost), 1),
                "requests": cost.requests,
            }
        )
        before = cost
    return rows


def work_of(cost: Cost) -> float:
    """Milliseconds of processor time for each image."""
    return cost.work / cost.images * 1000


def memory_of(cost: Cost) -> float:
    """Kilobytes of memory for each image."""
    return cost.megabytes / cost.images * 1000


def missed(costs: Iterable[Cost]) -> Iterator[str]:
    """Every goal that is not met, a sentence each.

    :param costs: task by task, with growing numbers of images.
    """
    costs = list(costs)
    for smaller, cost in pairwise(costs):
        if smaller.task != cost.task:
            continue
        for name, unit, value in (("time", "ms", work_of), ("memory", "kB", memory_of)):
            if value(cost) > value(smaller) * MARGIN:
                yield (
                    f"{cost.task}: {name} for an image grows: {value(smaller):.1f} {unit} with {smaller.images} images, "
                    f"{value(cost):.1f} {unit} with {cost.images}"
                )
    for cost in costs:
        if cost.task == "plan" and cost.images <= PLAN_IMAGES and cost.seconds > PLAN_SECONDS:
            yield f"plan: {cost.images} images take {cost.seconds:.1f} s, the goal is {PLAN_SECONDS:g} s for {PLAN_IMAGES}"


def render_report(document: dict[str, Any]) -> str:
    """The table, and what was missed."""
    head = f"{document['revisions']} revisions of each image, an in-process registry; {document['machine']}"
    goals = [f"MISSED: {text}" for text in document["missed"]] or ["all goals are met"]
    lines = [render_table(document["tasks"], COLUMNS)] if document["tasks"] else []
    if found := document.get("release"):
        lines.append(render_table(found, {"release of": None, "s": None, "built": None, "published": None}))
    return "\n\n".join([head, *lines, "\n".join(goals)])

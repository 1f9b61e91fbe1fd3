"""Words, pictures and choices of the pages: what they say of sizes, versions and shares."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.catalogue.choices import choices_of, rows_of
from scripts.catalogue.instead import version_key
from scripts.catalogue.model import Stand
from scripts.catalogue.pages import Version
from scripts.catalogue.picture import HEIGHT, WIDTH, plot_packages, plot_sizes, stack
from scripts.catalogue.words import clean, package_list, size_text
from tests.inventories import digest
from tests.stock import Stock

if TYPE_CHECKING:
    from tests.conftest import Repository


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0.0 MB"), (9_949_999, "9.9 MB"), (312_000_000, "312 MB"), (3_512_000_000, "3.51 GB")]
)
def test_sizes(size: int, text: str) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("declared", "measured", "differs"),
    [
        ("3.11", "3.11.9", False), ("2.3.1", "2.3.1+cu121", False), ("12.1", "12.1", False), ("3.1", "3.11.9", True),
        ("2.3.1", "2.3.10", True), ("", "1", False), ("1", "", False),
    ],
)  # fmt: skip
def test_what_is_not_as_declared(declared: str, measured: str, *, differs: bool) -> None:
    assert Version("x", declared, measured).differs is differs


def test_a_list_of_packages_is_escaped_and_marks_what_was_asked_for() -> None:
    text = str(package_list([("a<b>", "1&2", True), ("c\x02\x03\x04d", "\x04", False)]))
    assert text == (
        '<dl class="packages">\n<div class="asked"><dt>a&lt;b&gt;</dt><dd>1&amp;2</dd></div>\n'
        "<div><dt>c   d</dt><dd> </dd></div>\n</dl>"
    )
    assert clean("a\u202eb\nc") == "a b c"


def test_a_bar_is_as_wide_as_its_parts() -> None:
    parts = stack([("a", 75), ("nothing", 0), ("b", 20), ("others", 5)], most=3)
    assert [(part.x, part.width, part.rest) for part in parts] == [(0, 750, False), (750, 200, False), (950, 50, True)]
    assert stack([]) == ()


def test_a_plot_has_a_point_for_each_revision_from_left_to_right(repository: Repository) -> None:
    repository.family()
    stock = Stock(repository)
    for number in range(1, 31):
        stock.publish(number, time="2026-11-01T00:00:00Z", size=1_000_000_000 + number * 1_000_000)
    revisions = stock.image().revisions
    yanked = (*revisions[:5], replace(revisions[5], stand=Stand.YANKED), *revisions[6:])
    plot = plot_sizes(yanked)
    assert [point.name for point in plot.points] == [f"r{number}" for number in range(1, 31)]
    assert [point.name for point in plot.points if point.yanked] == ["r25"]
    assert all(0 < point.x < WIDTH and 0 < point.y < HEIGHT for point in plot.points)
    assert [point.x for point in plot.points] == sorted(point.x for point in plot.points)
    assert plot.points[0].y > plot.points[-1].y, "more is higher"
    assert [tick.name for tick in plot.columns][-1] == "r30"
    assert len(plot.columns) <= 12
    assert [tick.value for tick in plot.rows] == [1_030_000_000, 1_001_000_000]
    assert plot_packages(revisions).points == ()
    assert len(plot_sizes(revisions[:1]).points) == 1


def test_standard_tags_are_in_the_order_of_their_versions() -> None:
    assert sorted(["3.11", "3.9", "2.3.1-cuda12.1", "edge"], key=version_key) == [
        "edge",
        "2.3.1-cuda12.1",
        "3.9",
        "3.11",
    ]


def test_only_what_there_is_can_be_chosen(repository: Repository) -> None:
    repository.family()
    stock = Stock(repository)
    stock.publish(1)
    stock.publish(1, tag="9", digest=digest(2))
    choices = {name: [value for value, _ in values] for name, _, values in choices_of(rows_of(stock.collect()))}
    assert choices["state"] == ["active", "retired"]
    assert choices["python"] == ["3.11", "-"]
    assert choices["cuda"] == ["-"]
    assert choices["platform"] == ["linux/amd64"]

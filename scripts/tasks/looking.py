"""The tasks that look at images and change nothing: ``inventory``, ``diff`` and ``size``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.console import command, say, show
from scripts.workplace import here

if TYPE_CHECKING:
    from invoke import Context


@command
def inventory(
    c: Context,
    ref: str,
    platform: str | None = None,
    registry: str | None = None,
    reread: bool = False,
    format: str = "table",
) -> None:
    """Show what is in an image, read from its layers without running it."""
    from scripts.contents.inventory_page import PAGES

    with here(c).reader(c, platform=platform, registry=registry, reread=reread) as reader:
        print(PAGES[format](reader.inventory(ref)), end="")


@command
def diff(
    c: Context,
    old: str,
    new: str,
    platform: str | None = None,
    registry: str | None = None,
    reread: bool = False,
    format: str = "table",
) -> None:
    """Show what changed from one image to another: packages, known weaknesses, settings, layers, and what is pulled."""
    from scripts.contents.difference import compare
    from scripts.contents.difference_pages import PAGES

    with here(c).reader(c, platform=platform, registry=registry, reread=reread) as reader:
        one, two = reader.inventory(old), reader.inventory(new)
        print(PAGES[format](compare(one, two, reader.exposure(one, two))))


@command
def size(
    c: Context, image: str, platform: str | None = None, registry: str | None = None, format: str = "table"
) -> None:
    """Show what the bytes of an image are: its largest layers, packages and folders."""
    from scripts.contents.size import measure_spec, rows_of
    from scripts.recipe.selection import find

    settings = here(c).settings(c, registry=registry)
    rows = rows_of(measure_spec(find(here(c).images(), image), settings, platform, say))
    show(rows, format, {"by": None, "what": 42, "MB": None, "%": None, "pulled MB": None})


TASKS = (inventory, diff, size)

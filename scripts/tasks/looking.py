"""The tasks that look at images and change nothing: ``inventory`` and ``diff``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.console import command
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
    """Show what changed from one image to another: packages, settings, layers, and what its users pull."""
    from scripts.contents.difference import compare
    from scripts.contents.difference_pages import PAGES

    with here(c).reader(c, platform=platform, registry=registry, reread=reread) as reader:
        print(PAGES[format](compare(reader.inventory(old), reader.inventory(new))))


TASKS = (inventory, diff)

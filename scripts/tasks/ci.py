"""The tasks that a CI's jobs run besides those of people: review, login, join."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.console import command, say, show
from scripts.errors import UsageError
from scripts.tasks.documents import follow, published_to
from scripts.workplace import here

if TYPE_CHECKING:
    from invoke import Context


@command
def review(c: Context, images: str, registry: str | None = None) -> None:
    """Say in Markdown how images that were built here differ from what is published: review "REPO:TAG REPO:TAG"."""
    from scripts.recipe.selection import find
    from scripts.release.review import render_review

    specs = [find(here(c).images(), name) for name in images.split()]
    if not specs:
        raise UsageError('review: expected images, such as "cuda:12.1 torch:2.3.1-cuda12.1"')
    with here(c).reader(c, platform=None, registry=registry, reread=False) as reader:
        print(render_review(reader, specs), end="")


@command
def login(c: Context, registry: str | None = None) -> None:
    """Log docker in to the registry as IMAGES_REGISTRY_USER: with IMAGES_REGISTRY_PASSWORD, or a CI job's identity."""
    from scripts.release.login import login as log_in

    say(log_in(here(c).settings(c, registry=registry), os.environ))


@command
def join(c: Context, folder: str, dry_run: bool = False, format: str = "table") -> None:
    """Add to the ledgers the lines that those of other checkouts have, below a folder, and write the change notes."""
    from scripts.release.join import apply_join, plan_join

    place = Path(os.environ.get("IMAGES_CALLER") or Path.cwd()) / folder
    lines = plan_join(here(c).root, place)
    if not dry_run:
        apply_join(lines)
        follow(here(c), published_to(here(c).root))
    rows = [
        {"family": path.parent.name, "revision": line.name, "line": line.kind, "why": line.reason}
        for path, added in lines.items()
        for line in added
    ]
    show(rows, format, {"family": None, "revision": 34, "line": None, "why": 24})


TASKS = (review, login, join)

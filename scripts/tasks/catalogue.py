"""The task that makes pages of what is published: ``catalogue``."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.console import command, say, show
from scripts.tasks.documents import planned, show_documents
from scripts.workplace import here

if TYPE_CHECKING:
    from invoke import Context


@command
def catalogue(
    c: Context,
    output: str = "",
    offline: bool = False,
    check: bool = False,
    registry: str | None = None,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Write a static site of what is published; --check: only see that the tables of the READMEs are not stale."""
    from scripts.catalogue.commands import write_catalogue
    from scripts.catalogue.documents import require_current

    place = here(c)
    if check:
        documents = planned(place)
        require_current(documents)
        show_documents(documents, format)
        return
    settings = place.settings(c, registry=registry)
    folder = Path(os.environ.get("IMAGES_CALLER") or Path.cwd(), output) if output else settings.root / "site"
    today = datetime.datetime.now(datetime.UTC).date()
    row = write_catalogue(place.families(), settings, folder, say, today=today, offline=offline, dry_run=dry_run)
    show([row], format, {name: 10 if name == "as of" else None for name in row if name != "output"})


TASKS = (catalogue,)

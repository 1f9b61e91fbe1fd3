"""The task of the documents that have tables in them: ``tables``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import Config

from scripts.console import command, show
from scripts.workplace import here

if TYPE_CHECKING:
    from pathlib import Path

    from invoke import Context


@command
def tables(c: Context, check: bool = False, dry_run: bool = False, format: str = "table") -> None:
    """Write the image tables of README.md and FAMILY/README.md anew, from versions.toml, locks and ledgers."""
    from scripts.catalogue.documents import apply_documents, load_facts, plan_documents, require_current

    place = here(c)
    facts = load_facts(place.root, place.families(), place.images(), published_to(place.root))
    documents = plan_documents(place.root, facts)
    if check:
        require_current(documents)
    elif not dry_run:
        apply_documents(documents)
    done = "to be written" if dry_run else "written"
    rows = [{"document": item.name, "tables": done if item.stale else "as they should be"} for item in documents]
    show(rows, format, {"document": None, "tables": None})


def published_to(root: Path) -> str:
    """The registry that invoke.yaml names, whatever INVOKE_* says: a document is for everybody, not for one run."""
    config = Config(project_location=root)
    config.load_project()
    return str(config.images.registry).rstrip("/")


TASKS = (tables,)

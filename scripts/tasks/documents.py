"""The task of the documents that have tables in them: ``tables``; those that publish write them too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke import Config

from scripts.console import command, say, show
from scripts.errors import ImagesError
from scripts.workplace import here

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from invoke import Context

    from scripts.catalogue.documents import Document
    from scripts.workplace import Workplace


@command
def tables(c: Context, check: bool = False, dry_run: bool = False, format: str = "table") -> None:
    """Write the image tables of README.md and FAMILY/README.md anew, from versions.toml, locks and ledgers."""
    from scripts.catalogue.documents import apply_documents, require_current

    documents = planned(here(c))
    if check:
        require_current(documents)
    elif not dry_run:
        apply_documents(documents)
    show_documents(documents, format, "to be written" if dry_run else "written")


def show_documents(documents: Iterable[Document], format: str, done: str = "") -> None:
    """Print what became of the tables of each document."""
    rows = [{"document": item.name, "tables": done if item.stale else "as they should be"} for item in documents]
    show(rows, format, {"document": None, "tables": None})


def planned(place: Workplace) -> tuple[Document, ...]:
    """The documents of a checkout, as they are and as they are to be."""
    from scripts.catalogue.documents import load_facts, plan_documents

    facts = load_facts(place.root, place.families(), place.images(), published_to(place.root))
    return plan_documents(place.root, facts)


def follow(place: Workplace, registry: str) -> None:
    """Write the tables anew after something was published where they say it is; a fault in them undoes no publish."""
    from scripts.catalogue.documents import apply_documents

    if registry != published_to(place.root):
        return
    try:
        documents = planned(place)
        apply_documents(documents)
    except ImagesError as error:
        say(f"warning: the image tables are not written anew: {error}")
        return
    if stale := [document.name for document in documents if document.stale]:
        say(f"image tables written: {', '.join(stale)}: commit them with the ledger")


def published_to(root: Path) -> str:
    """The registry that invoke.yaml names, whatever INVOKE_* says: a document is for everybody, not for one run."""
    config = Config(project_location=root)
    config.load_project()
    return str(config.images.registry).rstrip("/")


TASKS = (tables,)

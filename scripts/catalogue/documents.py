"""The documents that have tables in them: README.md and that of each family. Reads the checkout, asks no registry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from scripts.catalogue.markers import COMMAND, replace_tables
from scripts.catalogue.tables import (
    Facts,
    render_active,
    render_contents,
    render_families,
    render_family,
    render_retired,
)
from scripts.errors import UsageError
from scripts.recipe.lock import REQUIREMENTS, asked_names, load_lock
from scripts.release.ledger import load_ledgers
from scripts.release.place import ledger_paths

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from scripts.recipe.family import Family
    from scripts.recipe.matrix import ImageSpec

FILENAME = "README.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as it is, and as it is to be."""

    path: Path
    name: str
    """The path as errors and tables name it."""
    text: str
    wanted: str

    @property
    def stale(self) -> bool:
        """Whether its tables say something else than the data."""
        return self.text != self.wanted


def load_facts(root: Path, families: tuple[Family, ...], images: tuple[ImageSpec, ...], registry: str) -> Facts:
    """What the tables are made of: version manifests, locks, and the ledgers that are kept in git.

    :param registry: the one whose revisions are told; those on loopback are trials, and in no document.
    :raises UsageError: if a row has no lock and its family has locks, or the shared requirements cannot be read.
    :raises LedgerError: if a ledger has faults.
    """
    return Facts(
        families=families,
        images=images,
        locks={
            (family.name, row.version): {
                canonicalize_name(pin.name): pin.version for pins in load_lock(family, row).values() for pin in pins
            }
            for family in families
            if family.manifest.lock
            for row in family.manifest.image
        },
        asked=tuple(sorted(asked_names(_read(root / REQUIREMENTS, REQUIREMENTS), ()))),
        registry=registry,
        ledger=load_ledgers(ledger_paths(root)),
    )


def plan_documents(root: Path, facts: Facts) -> tuple[Document, ...]:
    """Every document with its tables as they are to be.

    :raises UsageError: if one cannot be read.
    :raises MarkerError: if the markers of one are not those that its tables need.
    """
    tables: dict[str, Mapping[str, str]] = {
        FILENAME: {
            "families": render_families(facts),
            "images": render_active(facts),
            "retired": render_retired(facts),
        }
    }
    for family in facts.families:
        tables[f"{family.name}/{FILENAME}"] = {
            "images": render_family(facts, family),
            "contents": render_contents(facts, family),
        }
    return tuple(_plan(root / name, name, wanted) for name, wanted in tables.items())


def apply_documents(documents: Iterable[Document]) -> None:
    """Write those that are stale; each is there whole, before or after, at any moment."""
    for document in documents:
        if document.stale:
            work = document.path.with_name(f".{document.path.name}.{os.getpid()}")
            try:
                work.write_text(document.wanted, encoding="utf-8", newline="")
                work.replace(document.path)
            finally:
                work.unlink(missing_ok=True)


def require_current(documents: Iterable[Document]) -> None:
    """See that no document is stale.

    :raises UsageError: with a line for each that is.
    """
    stale = [document.name for document in documents if document.stale]
    if stale:
        raise UsageError(
            "\n".join(f"{name}: its tables are not what versions.toml, locks and ledgers say" for name in stale)
            + f"\nrun `{COMMAND}` and commit the result"
        )


def _plan(path: Path, name: str, tables: Mapping[str, str]) -> Document:
    text = _read(path, name) if path.exists() else ""  # the markers that it lacks are what is to be said
    return Document(path=path, name=name, text=text, wanted=replace_tables(text, tables, name))


def _read(path: Path, name: str) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{name}: not UTF-8 at byte {error.start}") from error
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror}") from error

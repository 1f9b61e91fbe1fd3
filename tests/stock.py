"""What is published, without a registry: ledgers in a checkout and inventories on the shelf, for tests of the catalogue."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scripts.build.settings import Settings
from scripts.catalogue.collect import collect
from scripts.catalogue.commands import shelf_of
from scripts.catalogue.inquiry import Inquiry
from scripts.recipe.lifetimes import load_lifetimes
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.ledger import FILENAME, append_lines
from scripts.release.lines import Gone, Published, Yanked
from scripts.release.place import ledger_root
from scripts.release.reference import parse_repository
from tests.inventories import digest, inventory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.catalogue.model import Catalogue, Image
    from scripts.catalogue.shelf import Shelf
    from scripts.contents.inventory import Inventory
    from scripts.release.lines import Line
    from scripts.release.transport import Transport
    from tests.conftest import Repository

HOST = "localhost:5000"
TODAY = datetime.date(2026, 11, 26)


def ignore(_: str) -> None:
    """Nobody is told."""


@dataclass
class Stock:
    """A checkout and what its ledgers say."""

    repository: Repository
    host: str = HOST
    said: list[str] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        root = self.repository.root
        return Settings(
            root=root, out=root / "out", cache=root / "cache", registry=f"{self.host}/x", source="https://example.com/x"
        )

    @property
    def shelf(self) -> Shelf:
        return shelf_of(self.settings)

    def ledger(self, family: str = "fam") -> Path:
        return ledger_root(self.settings, parse_repository(f"{self.host}/x/any")) / family / FILENAME

    def write(self, *lines: Line, family: str = "fam") -> None:
        append_lines(self.ledger(family), *lines)

    def publish(
        self, revision: int, *, repository: str = "app", tag: str = "1", family: str = "fam", **changed: Any
    ) -> None:
        """A line; the digest is that of the inventory of the same number."""
        fields: dict[str, Any] = {
            "repository": f"{self.host}/x/{repository}",
            "tag": tag,
            "revision": revision,
            "time": f"2026-11-{revision:02}T12:00:00Z",
            "reason": f"reason {revision}",
            "digest": digest(revision),
            "size": 100_000_000 + revision,
        }
        self.write(Published(**{**fields, **changed}), family=family)

    def mark(self, kind: type[Yanked | Gone], revision: int, reason: str = "broken") -> None:
        self.write(
            kind(
                repository=f"{self.host}/x/app", tag="1", revision=revision, time="2026-11-20T12:00:00Z", reason=reason
            )
        )

    def keep(self, number: int, **parts: Any) -> Inventory:
        made = inventory(number, **parts)
        self.shelf.put_inventory(made)
        return made

    def collect(self, transport: Transport | None = None, say: Callable[[str], None] = ignore) -> Catalogue:
        families = load_families(self.repository.root)
        inquiry = Inquiry(transport, self.shelf, self.settings.out, say)
        return collect(families, expand_all(families), self.settings, inquiry, load_lifetimes(), TODAY)

    def image(self, name: str = "app:1") -> Image:
        return next(image for image in self.collect().images if image.id == name)

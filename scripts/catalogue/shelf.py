"""What was read of a registry, kept by digest: what is attached to a digest is small, and is not asked for twice.

An inventory is checked against its digest each time it is taken off the shelf; a file that does not fit counts as none.
"""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from scripts.contents.inventory import Inventory, render_inventory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Shelf:
    """A folder with the documents of digests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def is_full(self, digest: str) -> bool:
        """Whether all that may be kept of a digest is here."""
        return all(self._path(digest, kind).exists() for kind in ("inventory", "test"))

    def inventory(self, digest: str) -> Inventory | None:
        """The inventory of a digest; None: it is not here."""
        path = self._path(digest, "inventory")
        try:
            found = Inventory.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        return found if found.image.digest == digest else None

    def document(self, digest: str) -> str:
        """The inventory of a digest as it is kept, byte for byte; empty: it is not here."""
        path = self._path(digest, "inventory")
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def put_inventory(self, inventory: Inventory) -> None:
        """Keep an inventory."""
        self._write(self._path(inventory.image.digest, "inventory"), render_inventory(inventory))

    def test(self, digest: str) -> Mapping[str, Any] | None:
        """The predicate of the smoke test of a digest; None: it is not here."""
        try:
            found = json.loads(self._path(digest, "test").read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def put_test(self, digest: str, predicate: Mapping[str, Any]) -> None:
        """Keep the predicate of a smoke test."""
        self._write(self._path(digest, "test"), json.dumps(predicate, sort_keys=True).encode())

    def _path(self, digest: str, kind: str) -> Path:
        return self.folder / f"{digest.replace(':', '-')}.{kind}.json"

    @staticmethod
    def _write(path: Path, content: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        work = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        work.write_bytes(content)
        work.replace(path)

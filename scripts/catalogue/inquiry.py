"""What a registry is asked for the catalogue: where standard tags are, and what is attached to digests.

A registry that does not answer is asked once: from then on everything is as the ledgers and the shelf have it.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from scripts.contents.inventory import MEDIA_TYPE, parse_inventory
from scripts.errors import ImagesError, RegistryError
from scripts.release.ahead import ask_ahead
from scripts.release.attestations import find_bundles, find_documents
from scripts.release.progress import counted
from scripts.release.provenance import test_result_of
from scripts.release.referrers import list_referrers
from scripts.release.refusal import DeniedError, TemporaryError
from scripts.release.registry import head_manifest
from scripts.release.statements import IN_TOTO, TEST_RESULT, MalformedStatementError, parse_statement
from scripts.smoke.record import load_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from scripts.catalogue.shelf import Shelf
    from scripts.contents.inventory import Inventory
    from scripts.release.reference import Digest, Repository
    from scripts.release.referrers import Referrer
    from scripts.release.transport import Transport

T = TypeVar("T")
OFFLINE = "it was not to be asked (--offline)"


class Inquiry:
    """Asks a registry, as long as it answers; what was attached to a digest is asked for once, and kept."""

    def __init__(self, transport: Transport | None, shelf: Shelf, out: Path, say: Callable[[str], None]) -> None:
        """An inquiry that has asked nothing yet.

        :param transport: None: nobody is asked.
        :param out: where smoke tests that were made here are recorded.
        """
        self.transport = transport
        self.shelf = shelf
        self.trouble = "" if transport else OFFLINE
        """Why the registry is not asked any more; empty: it is."""
        self._out = out
        self._say = say
        self._lock = Lock()
        self._absent: set[tuple[str, Digest]] = set()
        self._referrers: dict[Digest, tuple[Referrer, ...]] = {}

    def prefetch(self, images: Iterable[Digest]) -> None:
        """Ask for what is attached to some images and not on the shelf yet, several at a time."""
        wanted = [image for image in dict.fromkeys(images) if not self.shelf.is_full(image.value)]
        if self.transport is None or not wanted:
            return
        try:
            for _ in counted(ask_ahead(self._fetch, wanted), len(wanted), "images asked about", self._say):
                pass
        except KeyboardInterrupt:
            self.trouble = "interrupted"  # or those under way would be asked about to the end
            raise

    def _fetch(self, image: Digest) -> None:
        """Put what is attached to an image on the shelf. Kept in memory, those of 50,000 revisions would be gigabytes."""
        self.inventory(image)
        self.test(image)
        self._referrers.pop(image, None)

    def drift(self, repository: Repository, tag: str, digest: str) -> str:
        """How the registry differs from what the ledgers say a standard tag is; empty: not at all, or not asked."""
        return self._ask(lambda transport: _drift(transport, repository, tag, digest)) or ""

    def inventory(self, image: Digest) -> Inventory | None:
        """The inventory that is attached to an image; None: none is known."""
        if found := self.shelf.inventory(image.value):
            return found
        if found := self._ask_once("inventory", image, self._attached_inventory):
            self.shelf.put_inventory(found)
        return found

    def test(self, image: Digest) -> Mapping[str, Any] | None:
        """The result of the smoke test of an image as it is attached, else as it was made here; None: none is known."""
        if found := self.shelf.test(image.value):
            return found
        if found := self._ask_once("test", image, self._attached_test):
            self.shelf.put_test(image.value, found)
            return found
        record = load_record(self._out, image.value)
        return test_result_of(record) if record else None

    def _ask_once(self, kind: str, image: Digest, question: Callable[[Transport, Digest], T | None]) -> T | None:
        """What is attached; what is not there is not asked for again, nor is it said again why."""
        if (kind, image) in self._absent:
            return None
        found = self._ask(lambda transport: question(transport, image))
        if found is None:
            self._absent.add((kind, image))
        return found

    def _ask(self, question: Callable[[Transport], T]) -> T | None:
        if self.transport is None or self.trouble:
            return None
        try:
            return question(self.transport)
        except (TemporaryError, DeniedError) as error:
            with self._lock:
                if not self.trouble:
                    self.trouble = str(error)
                    self._say(f"warning: {error}: going on with what the ledgers say")
        except RegistryError as error:
            self._say(f"warning: {error}")
        return None

    def _attached(self, transport: Transport, image: Digest) -> tuple[Referrer, ...]:
        if image not in self._referrers:
            self._referrers[image] = list_referrers(transport, image)
        return self._referrers[image]

    def _attached_inventory(self, transport: Transport, image: Digest) -> Inventory | None:
        """The one that fits; of several that differ none is, as ``inventories.find_inventory`` has it."""
        fitting: list[Inventory] = []
        for content in find_documents(transport, image, MEDIA_TYPE, known=self._attached(transport, image)):
            try:
                inventory = parse_inventory(content, f"the inventory attached to {image}")
            except ImagesError as error:
                self._say(f"warning: {error}")
                continue
            if inventory.image.digest == image.value:
                fitting.append(inventory)
            else:
                self._say(f"warning: the inventory attached to {image} is that of {inventory.image.digest}")
        if any(other != fitting[0] for other in fitting):
            self._say(f"warning: {image}: {len(fitting)} inventories are attached to it, which differ: none is used")
            return None
        return fitting[0] if fitting else None

    def _attached_test(self, transport: Transport, image: Digest) -> Mapping[str, Any] | None:
        known = self._attached(transport, image)
        for bundle in find_bundles(transport, image, TEST_RESULT, known):
            if bundle.statement.subject == image.value:
                return bundle.statement.predicate
        for content in find_documents(transport, image, IN_TOTO, TEST_RESULT, known):
            try:
                statement = parse_statement(content, str(image))
            except MalformedStatementError as error:
                self._say(f"warning: {error}")
                continue
            if statement.subject == image.value:
                return statement.predicate
        return None


def _drift(transport: Transport, repository: Repository, tag: str, digest: str) -> str:
    found = head_manifest(transport, repository.tag(tag))
    if found is None:
        return f"the registry has no tag {tag}" if digest else ""
    if not digest:
        return f"the registry has {tag}, and the ledger has no revision that is there"
    return "" if found.digest == digest else f"the registry has {found.digest} under {tag}"

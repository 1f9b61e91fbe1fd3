"""What the registry is asked for the catalogue: once, kept, believed only where it fits, and not at all when it is down."""

from __future__ import annotations

import json
import socket
import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.build.layout import Descriptor
from scripts.catalogue import commands, inquiry
from scripts.catalogue.inquiry import Inquiry
from scripts.catalogue.shelf import Shelf
from scripts.contents.inventory import render_inventory
from scripts.recipe.matrix import load_families
from scripts.release.ahead import CONNECTIONS
from scripts.release.attestations import attach_document, statement_document
from scripts.release.patience import Patience
from scripts.release.provenance import test_result_of as result_of
from scripts.release.registry import Manifest, digest_of
from scripts.release.statements import TEST_RESULT, Statement, render_statement
from scripts.release.transport import Transport
from tests.faulty_registry import FaultyRegistry
from tests.inventories import apt, attach_inventory, digest, inventory
from tests.stock import TODAY, Stock, ignore
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.contents.inventory import Inventory
    from tests.conftest import Repository


@pytest.fixture
def stock(repository: Repository) -> Stock:
    repository.family()
    return Stock(repository)


def transport() -> Transport:
    return Transport(credentials=lambda _: None, patience=Patience(attempts=2, first=0.001))


def test_a_registry_that_cannot_be_reached_is_asked_once(stock: Stock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        stock.host = f"127.0.0.1:{free.getsockname()[1]}"
    for number in (1, 2, 3):
        stock.publish(number)
    stock.keep(2)
    said: list[str] = []
    with transport() as client:
        found = stock.collect(client, said.append)
    assert [item.number for item in found.published[0].revisions] == [3, 2, 1]
    assert stock.host in found.trouble
    assert said == [f"warning: {found.trouble}: going on with what the ledgers say"]
    assert found.published[0].revisions[1].contents, "what was read before is known all the same"


def test_a_registry_that_hangs_is_not_waited_for_long(stock: Stock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "TIMEOUTS", replace(commands.TIMEOUTS, read=0.1))
    monkeypatch.setattr(commands, "PATIENCE", Patience(attempts=2, first=0.001))
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:  # connects, and never says a word
        stock.host = f"127.0.0.1:{silent.getsockname()[1]}"
        stock.publish(1)
        found = commands.load_catalogue(load_families(stock.repository.root), stock.settings, ignore, today=TODAY)
    assert stock.host in found.trouble
    assert [item.number for item in found.published[0].revisions] == [1]


def test_who_interrupts_does_not_wait_for_all_that_was_to_be_asked(
    stock: Stock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def interrupted(_: object, image: object) -> tuple[()]:
        asked.append(image)
        time.sleep(0.05)
        if len(asked) > CONNECTIONS:
            raise KeyboardInterrupt
        return ()

    monkeypatch.setattr(inquiry, "list_referrers", interrupted)
    for number in range(1, 25):
        stock.publish(number)
    with transport() as client, pytest.raises(KeyboardInterrupt):
        stock.collect(client)
    assert len(asked) <= 3 * CONNECTIONS < 2 * 24


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def published(stock: Stock, registry: FaultyRegistry) -> Manifest:
    """An image of the registry, with its line in the ledger."""
    stock.host = registry.host
    content = json.dumps({"schemaVersion": 2, "config": {}, "layers": []}).encode()
    kind = "application/vnd.oci.image.manifest.v1+json"
    found = registry.put(content, kind, "1", "1-r1", name="x/app")
    stock.publish(1, digest=found)
    return Manifest(media_type=kind, content=content)


def test_what_is_fetched_ahead_is_not_kept_in_memory(
    stock: Stock, registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[Inventory]] = []
    alive: list[int] = []
    take = Shelf.inventory

    def watched(shelf: Shelf, name: str) -> Inventory | None:
        found = take(shelf, name)
        assert found
        made.append(weakref.ref(found))
        alive.append(sum(item() is not None for item in made))
        return found

    monkeypatch.setattr(Shelf, "inventory", watched)
    stock.host = registry.host
    for number in range(1, 61):
        stock.keep(number)
    with transport() as client:
        ahead = Inquiry(client, stock.shelf, stock.settings.out, ignore)
        ahead.prefetch(registry.repository("x/app").digest(digest(number)) for number in range(1, 61))
    assert len(alive) == 60
    assert max(alive) <= 2 * CONNECTIONS


def test_what_is_attached_is_found_and_asked_for_once(
    stock: Stock, registry: FaultyRegistry, published: Manifest
) -> None:
    repository = registry.repository("x/app")
    known = inventory(1, image=inventory(1).image.model_copy(update={"digest": published.digest}))
    with transport() as client:
        attach_inventory(client, repository, published, render_inventory(known))
        statement = Statement(
            subject=published.digest,
            predicate_type=TEST_RESULT,
            predicate=result_of(replace(RECORD, digest=published.digest)),
        )
        document = statement_document(render_statement(statement, repository), TEST_RESULT)
        subject = Descriptor(media_type=published.media_type, digest=published.digest, size=len(published.content))
        attach_document(client, repository.digest(published.digest), subject, document, ())
        for asked in (True, False):
            before = len(registry.requests)
            found = stock.collect(client)
            (revision,) = found.published[0].revisions
            assert revision.contents
            assert revision.test
            assert revision.test.passed == ("a.b",)
            assert (found.trouble, found.published[0].drift) == ("", "")
            paths = [seen.path for seen in registry.requests[before:]]
            assert any("referrers" in path for path in paths) is asked, paths
    # And without the registry all of it is still known.
    assert stock.image().revisions[0].contents


def test_an_inventory_of_another_image_is_not_believed(
    stock: Stock, registry: FaultyRegistry, published: Manifest
) -> None:
    said: list[str] = []
    with transport() as client:
        attach_inventory(client, registry.repository("x/app"), published, render_inventory(inventory(7)))
        found = stock.collect(client, said.append)
    assert (found.published[0].revisions[0].contents, found.trouble) == (None, "")
    place = f"{registry.host}/x/app@{published.digest}"
    assert said == [f"warning: the inventory attached to {place} is that of {digest(7)}"]


def test_of_inventories_that_differ_none_is_believed(
    stock: Stock, registry: FaultyRegistry, published: Manifest
) -> None:
    subject = inventory(1).image.model_copy(update={"digest": published.digest})
    said: list[str] = []
    with transport() as client:
        for parts in ({}, {"apt": apt(("bash", "1"))}):
            document = render_inventory(inventory(1, image=subject, **parts))
            attach_inventory(client, registry.repository("x/app"), published, document)
        found = stock.collect(client, said.append)
    assert found.published[0].revisions[0].contents is None
    place = f"{registry.host}/x/app@{published.digest}"
    assert said == [f"warning: {place}: 2 inventories are attached to it, which differ: none is used"]


def test_what_is_attached_and_damaged_is_said_and_the_rest_goes_on(
    stock: Stock, registry: FaultyRegistry, published: Manifest
) -> None:
    subject = inventory(1).image.model_copy(update={"digest": published.digest})
    content = render_inventory(inventory(1, image=subject))
    said: list[str] = []
    with transport() as client:
        attach_inventory(client, registry.repository("x/app"), published, content)
        registry.blobs["x/app"][digest_of(content)] = b"{}"
        found = stock.collect(client, said.append)
    assert (found.published[0].revisions[0].contents, found.trouble) == (None, "")
    assert said
    assert all("what the registry sent, 2 bytes" in line for line in said)


def test_a_standard_tag_that_is_elsewhere_is_said(stock: Stock, registry: FaultyRegistry, published: Manifest) -> None:
    with transport() as client:
        assert stock.collect(client).published[0].drift == ""
        registry.put(b'{"schemaVersion":2}', published.media_type, "1", name="x/app")
        assert "the registry has sha256:" in stock.collect(client).published[0].drift
        registry.tags["x/app"].clear()
        assert stock.collect(client, ignore).published[0].drift == "the registry has no tag 1"

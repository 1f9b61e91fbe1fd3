"""Ways in which a revision could change, or what nobody has tested be published: all must end in an error, not in that."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.settings import Settings
from scripts.errors import ImagesError, RegistryError
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.adopt import apply_adoption, plan_adoption
from scripts.release.claims import claim_of
from scripts.release.ledger import FILENAME, append_lines, load_ledger, load_ledgers
from scripts.release.lines import Published
from scripts.release.place import Place
from scripts.release.publish import Facts, publish
from scripts.release.push import Order, Pusher
from scripts.release.revision import DisagreeError, Step
from tests.faulty_registry import FaultyRegistry, connect, say
from tests.memory_registry import Reply, errors
from tests.products import NO_EVIDENCE, make_product
from tests.test_push import built

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.product import Product
    from scripts.release.transport import Transport
    from tests.conftest import Tasks

NAME, TAG = "vessl-ai/torch", "2.3.1-cuda12.1"
FACTS = Facts(reason="numpy 2.4.5 to 2.4.6", time="2026-11-25T12:00:00Z", recipe="ab" * 32)
NO_MANIFEST = say(404, errors("MANIFEST_UNKNOWN", "manifest unknown"))
NO_NAME = say(404, errors("NAME_UNKNOWN", "repository name not known to registry"))


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def transport() -> Iterator[Transport]:
    with connect() as client:
        yield client.transport


@pytest.fixture
def place(registry: FaultyRegistry, tmp_path: Path) -> Place:
    return Place(repository=registry.repository(NAME), tag=TAG, ledger=tmp_path / "family" / FILENAME)


@pytest.fixture
def two(tmp_path: Path) -> tuple[Product, Product]:
    return make_product(tmp_path / "1", "one"), make_product(tmp_path / "2", "two")


def test_a_registry_that_does_not_list_what_it_has(
    registry: FaultyRegistry, transport: Transport, place: Place, two: tuple[Product, Product], tmp_path: Path
) -> None:
    """A stale listing, or one that hides: it does not list our own claim either, so nobody else's would be seen."""
    publish(transport, place, two[0], FACTS)
    other = replace(place, ledger=tmp_path / "other" / FILENAME, publisher="12345678")
    registry.fail("GET", "tags/list", NO_NAME, times=99)
    registry.fail("HEAD", r"manifests/.*-r1$", NO_MANIFEST)
    with suppress(ImagesError):
        publish(transport, other, two[1], FACTS)
    assert registry.tags[NAME][f"{TAG}-r1"] == two[0].manifest.digest, "a revision was overwritten"


def test_a_deletion_that_arrives_late(
    registry: FaultyRegistry, transport: Transport, place: Place, two: tuple[Product, Product], tmp_path: Path
) -> None:
    """We gave way and took our claim back, unheard; that arrives when we have claimed the same number a second time."""
    third = replace(place, ledger=tmp_path / "third" / FILENAME, publisher="33333333")
    other = claim_of(replace(place, publisher="22222222"), 1, two[1].manifest.digest)
    registry.put(other.manifest.content, other.manifest.media_type, name=NAME)

    def claimed_by_another(exchange: Any) -> Any:
        reply = exchange.handle()
        registry.tags[NAME][other.name] = other.manifest.digest
        return reply

    def not_yet(exchange: Any) -> Any:
        exchange.read()
        registry.tags[NAME].pop(other.name, None)  # the other gives way, too
        return Reply(503)

    def now(exchange: Any) -> Any:
        reply = exchange.handle()
        assert reply.status == 404
        own = claim_of(place, 1, two[0].manifest.digest)
        registry.tags[NAME].pop(own.name, None)
        with connect() as client:
            publish(client.transport, third, two[1], FACTS)
        return reply

    registry.fail("PUT", rf"{TAG}-r1.claim-{place.publisher}", claimed_by_another)
    registry.fail("DELETE", "manifests", not_yet, times=5)
    registry.fail("HEAD", r"manifests/.*-r\d+$", now)
    with suppress(ImagesError):
        publish(transport, place, two[0], FACTS)
    (line,) = load_ledger(third.ledger).published(str(third.repository), TAG)
    assert registry.tags[NAME][f"{TAG}-r{line.revision}"] == two[1].manifest.digest, "a revision was overwritten"


def test_a_revision_that_another_has_overwritten_is_said(
    registry: FaultyRegistry, transport: Transport, place: Place, two: tuple[Product, Product]
) -> None:
    """Between our PUT of a revision and our HEAD: that is no reason to try the next number as if nothing had been."""

    def overwritten(exchange: Any) -> Any:
        reply = exchange.handle()
        registry.put(two[1].manifest.content, two[1].manifest.media_type, f"{TAG}-r1", name=NAME)
        return reply

    registry.fail("PUT", r"-r1$", overwritten)
    with pytest.raises(RegistryError, match="changed a revision"):
        publish(transport, place, two[0], FACTS)


def test_adopting_the_standard_tag_overwrites_no_revision(
    registry: FaultyRegistry, transport: Transport, place: Place, two: tuple[Product, Product], tmp_path: Path
) -> None:
    """The standard tag is from before there were revisions; while it is adopted as r1, another publishes an r1."""
    registry.put(two[0].manifest.content, two[0].manifest.media_type, TAG, name=NAME)
    adoption = plan_adoption(transport, place, FACTS.time)
    assert adoption.first
    registry.put(two[1].manifest.content, two[1].manifest.media_type, f"{TAG}-r1", name=NAME)
    with suppress(ImagesError):
        apply_adoption(transport, place, adoption)
    assert registry.tags[NAME][f"{TAG}-r1"] == two[1].manifest.digest, "a revision was overwritten"
    assert not load_ledger(place.ledger).published(str(place.repository), TAG)
    assert tmp_path.exists()


def test_what_is_built_during_a_push_is_not_published(tasks: Tasks, registry: FaultyRegistry) -> None:
    """Another `invoke build` finishes while a push asks the registry: what has been tested is what goes out, or nothing."""
    tested = built(tasks.repository, "one")
    root = tasks.repository.root

    def built_meanwhile(exchange: Any) -> Any:
        built(tasks.repository, "two", smoke=False)
        return exchange.handle()

    registry.fail("GET", "tags/list", built_meanwhile)
    settings = Settings(
        root=root, out=root / "out", cache=root / "cache", registry=f"{registry.host}/vessl-ai", evidence=NO_EVIDENCE
    )
    with connect() as client:
        pusher = Pusher(settings, client.transport, Order(time=FACTS.time), lambda _: None)
        list(pusher.push_all(expand_all(load_families(root))))
    assert set(registry.tags["vessl-ai/app"].values()) <= {tested}, "published what nobody has tested"


def test_a_newest_revision_that_is_listed_but_not_there(
    registry: FaultyRegistry, transport: Transport, place: Place, two: tuple[Product, Product]
) -> None:
    """As docker-registry leaves a tag when it is stopped in the middle of a deletion."""
    publish(transport, place, two[0], FACTS)
    registry.fail("GET|HEAD", r"manifests/.*-r1$", NO_MANIFEST, times=99)
    with suppress(ImagesError):
        assert publish(transport, place, two[0], FACTS).step is not Step.UNCHANGED


def test_what_the_error_says_helps_where_a_revision_is_listed_but_not_there(
    registry: FaultyRegistry, transport: Transport, place: Place, two: tuple[Product, Product]
) -> None:
    publish(transport, place, two[0], FACTS)
    registry.fail("GET|HEAD", r"manifests/.*-r1$", NO_MANIFEST, times=99)
    with pytest.raises(DisagreeError, match="ledger FAMILY --adopt"):
        publish(transport, place, two[1], FACTS)
    apply_adoption(transport, place, plan_adoption(transport, place, FACTS.time, "lost by the registry"))
    assert publish(transport, place, two[1], FACTS).revision == 2


def test_a_clock_that_was_wrong_once_blocks_nothing(place: Place, tmp_path: Path) -> None:
    """A row has moved to another family; in the old one's ledger, something else was published in the year 2036."""
    common = {"repository": str(place.repository), "reason": "x", "digest": "sha256:" + "a" * 64, "size": 1}

    def line(tag: str, revision: int, time: str) -> Published:
        return Published.model_validate({**common, "tag": tag, "revision": revision, "time": time})

    old, new = place.ledger, tmp_path / "new" / FILENAME
    append_lines(old, line("other", 1, "2036-01-01T00:00:00Z"), line(TAG, 1, "2026-01-01T00:00:00Z"))
    append_lines(new, line(TAG, 2, "2026-02-01T00:00:00Z"))
    lines = load_ledgers([old, new]).published(str(place.repository), TAG)
    assert [item.revision for item in lines] == [1, 2]

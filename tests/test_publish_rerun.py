"""A rerun ends what was begun, also where somebody else has published in between."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from scripts.errors import RegistryError
from scripts.release.ledger import FILENAME, append_lines, load_ledger
from scripts.release.lines import Published
from scripts.release.place import Place
from scripts.release.publish import Facts, publish
from scripts.release.revision import Step
from tests.faulty_registry import FaultyRegistry, connect, say
from tests.memory_registry import errors
from tests.products import make_product

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.transport import Transport

NAME, TAG = "vessl-ai/torch", "2.3.1-cuda12.1"
FACTS = Facts(reason="numpy 2.4.5 to 2.4.6", time="2026-11-25T12:00:00Z", recipe="ab" * 32)
UNKNOWN = errors("MANIFEST_UNKNOWN", "manifest unknown")


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


def test_a_tag_that_is_listed_before_it_can_be_read(
    registry: FaultyRegistry, transport: Transport, place: Place, tmp_path: Path
) -> None:
    """As docker-registry does, for a moment: it lists the folder of a tag that another publisher is just writing."""
    first, second = make_product(tmp_path / "1", "one"), make_product(tmp_path / "2", "two")

    def overtakes(exchange: Any) -> Any:
        reply = exchange.handle()
        registry.put(second.manifest.content, second.manifest.media_type, f"{TAG}-r2", name=NAME)
        return reply

    registry.fail("PUT", r"-r1$", overtakes)
    registry.fail("GET|HEAD", r"manifests/.*-r2$", say(404, UNKNOWN))
    assert publish(transport, place, first, FACTS).revision == 1
    assert registry.tags[NAME][TAG] == second.manifest.digest


def test_a_publish_that_was_cut_off_and_then_overtaken(
    registry: FaultyRegistry, transport: Transport, place: Place, tmp_path: Path
) -> None:
    """The one that was overtaken pulls the other's ledger, and publishes again what already has a revision."""
    first, second = make_product(tmp_path / "1", "one"), make_product(tmp_path / "2", "two")

    def overtakes(exchange: Any) -> Any:
        # The other decided before there was an r1, and so found nothing that its ledger lacks.
        reply = exchange.handle()
        registry.put(second.manifest.content, second.manifest.media_type, f"{TAG}-r2", TAG, name=NAME)
        return reply

    registry.fail("PUT", r"-r1$", overtakes)
    # And here the first one is cut off: at its next listing, before it moves the standard tag.
    fault = registry.fail("GET", rf"{NAME}/tags/list", say(403), skip=2)
    with suppress(RegistryError):
        publish(transport, place, first, FACTS)
    assert fault.times == 0
    assert registry.tags[NAME][f"{TAG}-r1"] == first.manifest.digest
    append_lines(
        place.ledger,
        Published(
            repository=str(place.repository),
            tag=TAG,
            revision=2,
            time=FACTS.time,
            reason=FACTS.reason,
            digest=second.manifest.digest,
            size=second.size,
        ),
    )

    done = publish(transport, place, first, FACTS)
    assert (done.step, done.revision) == (Step.FINISH, 1)
    assert registry.tags[NAME][TAG] == second.manifest.digest
    lines = load_ledger(place.ledger).published(str(place.repository), TAG)
    assert [line.digest for line in lines] == [first.manifest.digest, second.manifest.digest]

"""Publishing: in order, and whatever happens in between, a rerun ends where one run would have."""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from scripts.errors import RegistryError
from scripts.release import publish as publishing
from scripts.release.claims import claim, claim_of, parse_claims
from scripts.release.ledger import FILENAME, load_ledger
from scripts.release.lines import Gone, Yanked
from scripts.release.patience import Patience
from scripts.release.place import Place
from scripts.release.publish import Facts, publish
from scripts.release.refusal import TakenError
from scripts.release.registry import head_manifest
from scripts.release.revision import DisagreeError, Step, parse_revisions
from scripts.release.transport import Transport
from scripts.release.upload import upload_blobs
from tests.faulty_registry import FaultyRegistry, connect, hang_up, lose, say
from tests.products import make_product

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.product import Product
    from scripts.release.refusal import Answer
    from scripts.release.wire import Request

NAME, TAG = "vessl-ai/torch", "2.3.1-cuda12.1"
FACTS = Facts(reason="numpy 2.4.5 to 2.4.6", time="2026-11-25T12:00:00Z", recipe="ab" * 32)


class Killed(BaseException):
    """As a publisher that is killed: nothing of it runs any more."""


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
def products(tmp_path: Path) -> Iterator[Product]:
    """New products, one after another; all share a layer."""
    return (make_product(tmp_path / str(number), "base", f"layer {number}") for number in itertools.count(1))


def tags(registry: FaultyRegistry) -> dict[str, str]:
    return dict(registry.tags[NAME])


def check(registry: FaultyRegistry, before: dict[str, str]) -> None:
    """What holds at any moment: no revision has changed, and the standard tag is a whole revision."""
    now = tags(registry)
    for name, digest in before.items():
        if parse_revisions([name], TAG):
            assert now[name] == digest, f"{name} has changed"
    if TAG in now:
        revisions = {now[f"{TAG}-r{number}"] for number in parse_revisions(now, TAG)}
        assert now[TAG] in revisions, "the standard tag is no revision"
        _, content = registry.manifests[NAME][now[TAG]]
        for digest in set(re.findall(rb"sha256:[0-9a-f]{64}", content)):
            assert digest.decode() in registry.blobs[NAME], "the standard tag is not whole"


def settled(registry: FaultyRegistry, place: Place, *products: Product) -> None:
    """What holds in the end: these are the revisions, in this order, in the registry and in the ledger."""
    now = tags(registry)
    lines = load_ledger(place.ledger).published(str(place.repository), TAG)
    assert [line.digest for line in lines] == [product.manifest.digest for product in products]
    assert {f"{TAG}-r{line.revision}": line.digest for line in lines} | {TAG: lines[-1].digest} == now


def test_the_first_and_the_next(registry: FaultyRegistry, transport: Transport, place: Place, products: Any) -> None:
    first, second = next(products), next(products)
    decision = publish(transport, place, first, FACTS)
    assert (decision.step, decision.revision) == (Step.NEW, 1)
    settled(registry, place, first)
    decision = publish(transport, place, second, replace(FACTS, reason="openssl"))
    assert (decision.step, decision.revision, decision.replaces) == (Step.NEW, 2, 1)
    settled(registry, place, first, second)
    line = load_ledger(place.ledger).published(str(place.repository), TAG)[-1]
    assert (line.reason, line.size, line.replaces) == ("openssl", second.size, 1)


def test_nothing_changed_is_no_revision_and_few_requests(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    product = next(products)
    publish(transport, place, product, FACTS)
    before, ledger = len(registry.requests), place.ledger.read_text()
    decision = publish(transport, place, product, FACTS)
    assert (decision.step, decision.why) == (Step.UNCHANGED, "unchanged since r1")
    assert [seen.method for seen in registry.requests[before:]] == ["GET", "HEAD", "HEAD"]
    assert place.ledger.read_text() == ledger


def test_layers_that_are_there_are_not_sent_again(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    publish(transport, place, next(products), FACTS)
    outcomes: dict[str, int] = {}

    def progress(_: Any, __: int, outcome: Any) -> None:
        if outcome:
            outcomes[outcome] = outcomes.get(outcome, 0) + 1

    publish(transport, place, next(products), FACTS, progress=progress)
    assert outcomes == {"present": 1, "sent": 2}
    other = replace(place, repository=registry.repository("vessl-ai/other"), ledger=place.ledger.with_name("o.jsonl"))
    outcomes.clear()
    publish(transport, replace(other, siblings=(place.repository,)), next(products), FACTS, progress=progress)
    assert outcomes == {"mounted": 1, "sent": 2}


def test_an_old_digest_again_is_a_new_revision(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    first, second = next(products), next(products)
    for product in (first, second, first):
        publish(transport, place, product, FACTS)
    settled(registry, place, first, second, first)
    assert load_ledger(place.ledger).published(str(place.repository), TAG)[-1].same_as == 1


def test_force(registry: FaultyRegistry, transport: Transport, place: Place, products: Any) -> None:
    product = next(products)
    publish(transport, place, product, FACTS)
    again = replace(FACTS, reason="label of the licence")
    for step in (Step.NEW, Step.UNCHANGED):
        decision = publish(transport, place, product, again, force=again.reason)
        assert (decision.step, decision.revision) == (step, 2)
    settled(registry, place, product, product)


def killing(monkeypatch: pytest.MonkeyPatch, after: int, *, sent: bool) -> None:
    """Have the publisher killed at its request number ``after``: before it is sent, or before its answer is read."""
    real, count = Transport.ask, itertools.count()

    def ask(self: Transport, request: Request, *scopes: str) -> Answer:
        number = next(count)
        if number == after and not sent:
            raise Killed
        answer = real(self, request, *scopes)
        if number == after:
            raise Killed
        return answer

    monkeypatch.setattr(Transport, "ask", ask)


def test_killed_at_every_request_and_run_again(
    registry: FaultyRegistry,
    place: Place,
    products: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each point before and after each request of a publish of a second revision, and one before the ledger is written."""
    first, second = next(products), next(products)
    points = 0
    for sent in (False, True):
        for after in itertools.count():
            for store in (registry.tags, registry.manifests, registry.blobs):
                store.clear()
            place.ledger.unlink(missing_ok=True)
            with connect() as client:
                publish(client.transport, place, first, FACTS)
                before = tags(registry)
                with monkeypatch.context() as patch:
                    killing(patch, after, sent=sent)
                    try:
                        # one upload at a time, so that the number of a request says which it is
                        patch.setattr(publishing, "upload_blobs", partial(upload_blobs, workers=1))
                        publish(client.transport, place, second, FACTS)
                        finished = True
                    except Killed:
                        finished = False
            check(registry, before)
            if finished:
                break
            points += 1
            with connect() as client:
                decision = publish(client.transport, place, second, FACTS)
                assert decision.revision == 2
                check(registry, before)
                settled(registry, place, first, second)
                assert publish(client.transport, place, second, FACTS).step is Step.UNCHANGED
    with capsys.disabled():
        print(f"\npublish: killed at {points} points, each run again")  # noqa: T201
    assert points > 40


def test_killed_before_the_ledger_is_written(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    product = next(products)

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "record", die)
        with pytest.raises(Killed):
            publish(transport, place, product, FACTS)
    decision = publish(transport, place, product, FACTS)
    assert (decision.step, decision.revision) == (Step.FINISH, 1)
    settled(registry, place, product)


FAULTS = {
    "500": say(500),
    "502": say(502),
    "503": say(503),
    "429": say(429, b"", **{"Retry-After": "1"}),
    "401": say(401),
    "403": say(403),
    "404": say(404),
    "409": say(409),
    "answer lost": lose,
    "connection cut": hang_up,
}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize(
    ("fault", "times"),
    [*((fault, 1) for fault in FAULTS), ("500", 99), ("404", 99), ("403", 99), ("answer lost", 99)],
)
def test_faults_at_every_request(
    registry: FaultyRegistry, place: Place, products: Any, fault: str, times: int, method: str
) -> None:
    """Either it goes on, or it ends with an error; and the next run, with the registry well again, puts all right."""
    first, second = next(products), next(products)
    for skip in itertools.count():
        for store in (registry.tags, registry.manifests, registry.blobs):
            store.clear()
        place.ledger.unlink(missing_ok=True)
        with connect(attempts=3) as client:
            publish(client.transport, place, first, FACTS)
            before = tags(registry)
            registry.fail(method, "/v2/", FAULTS[fault], times=times, skip=skip)
            with suppress(RegistryError, DisagreeError):
                publish(client.transport, place, second, FACTS)
            reached = any(item.times < times for item in registry.faults)
            registry.faults.clear()
            check(registry, before)
            publish(client.transport, place, second, FACTS)
            check(registry, before)
        lines = load_ledger(place.ledger).published(str(place.repository), TAG)
        assert [line.digest for line in lines] == [first.manifest.digest, second.manifest.digest]
        assert tags(registry)[TAG] == second.manifest.digest
        if not reached:
            assert skip
            break


def test_a_revision_that_the_registry_keeps_is_taken(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    registry.fail("PUT", r"manifests/.*-r1$", say(409), times=99)
    said: list[str] = []
    product = next(products)
    assert publish(transport, place, product, FACTS, say=said.append).revision == 2
    assert tags(registry) == {TAG: product.manifest.digest, f"{TAG}-r2": product.manifest.digest}
    assert re.search(r"the registry keeps .*-r1 as it is: trying again$", said[0])


def test_a_registry_that_takes_no_revision_ends_with_its_reason(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    registry.fail("PUT", r"manifests/.*-r\d+$", say(409), times=99)
    with pytest.raises(TakenError, match=r"the registry keeps .*-r8 as it is"):
        publish(transport, place, next(products), FACTS)
    assert TAG not in tags(registry)
    assert not place.ledger.exists()


def test_a_revision_that_appears_meanwhile_is_not_overwritten(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    """Of a publisher that makes no claims: the tag is looked at once more just before it is written."""
    first, second = next(products), next(products)
    said: list[str] = []

    def appears(exchange: Any) -> Any:
        registry.put(first.manifest.content, first.manifest.media_type, f"{TAG}-r1", name=NAME)
        return exchange.handle()

    registry.fail("PUT", r"claim-", appears)
    with pytest.raises(DisagreeError, match="r1 is in the registry, but not in the ledger"):
        publish(transport, place, second, FACTS, say=said.append)
    assert tags(registry)[f"{TAG}-r1"] == first.manifest.digest
    assert said == [f"{place.repository}:{TAG}-r1: another publisher is at this revision: trying again"]


def test_the_claim_of_a_publisher_that_died_costs_a_number(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    first, second = next(products), next(products)
    other = replace(place, publisher="12345678")
    dead = claim_of(other, 1, first.manifest.digest)
    registry.put(dead.manifest.content, dead.manifest.media_type, dead.name, name=NAME)
    assert publish(transport, place, second, FACTS).revision == 2
    assert dead.name in tags(registry)
    # a rerun of the one that died takes its claim back
    assert publish(transport, other, first, FACTS).revision == 3
    assert not parse_claims(tags(registry), TAG)


def test_who_gives_way_leaves_the_claim_of_another_with_the_same_content(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    """Else a third publisher, of another content, would find the number free that the first is about to write."""
    product = next(products)
    first = claim_of(replace(place, publisher="12345678"), 1, product.manifest.digest)
    registry.put(first.manifest.content, first.manifest.media_type, first.name, name=NAME)
    with pytest.raises(TakenError):
        claim(transport, place.repository, claim_of(place, 1, product.manifest.digest))
    assert [name for name in tags(registry) if "claim" in name] == [first.name]


@pytest.mark.parametrize("status", [401, 403, 405, 500])
def test_a_registry_that_deletes_nothing_keeps_the_claims(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any, status: int
) -> None:
    registry.fail("DELETE", "/v2/", say(status), times=99)
    for number in (1, 2):
        assert publish(transport, place, next(products), FACTS).revision == number
    assert [item.revision for item in parse_claims(tags(registry), TAG)] == [1, 2]


def test_disagreement_stops_before_anything_is_sent(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    first, second = next(products), next(products)
    publish(transport, place, first, FACTS)
    place.ledger.unlink()
    with pytest.raises(DisagreeError):
        publish(transport, place, second, FACTS)
    assert not any(seen.method in {"PUT", "POST"} for seen in registry.requests[-5:])


def test_a_revision_that_was_changed_is_an_alarm(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    first, second = next(products), next(products)

    def changes(exchange: Any) -> Any:
        reply = exchange.handle()
        registry.tags[NAME][f"{TAG}-r1"] = first.manifest.digest
        return reply

    publish(transport, replace(place, tag="other"), first, FACTS)
    registry.fail("PUT", rf"manifests/{TAG}$", changes)
    with pytest.raises(
        RegistryError, match=r"-r1 was sha256:\w+ and is now sha256:\w+: somebody has changed a revision"
    ):
        publish(transport, place, second, FACTS)


@pytest.mark.parametrize(("rounds", "names"), [(100, "ab"), (20, "aa")])
def test_two_publishers_at_once(
    registry: FaultyRegistry, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str], rounds: int, names: str
) -> None:
    """As on two machines, each with the ledger as it was pulled, and with two digests each round.

    In the second case one is a copy of the other, with the same name: not even then is anything overwritten.
    """
    chance = random.Random(0)  # noqa: S311 - no secret
    for number in range(rounds):
        before = tags(registry)
        products = [make_product(tmp_path / f"{number}-{side}", "base", f"{number} {side}") for side in "ab"]
        places = [
            replace(place, ledger=tmp_path / side / FILENAME, publisher=name * 8)
            for side, name in zip("ab", names, strict=True)
        ]
        outcome: dict[int, Any] = {}
        barrier = threading.Barrier(2)

        def run(
            side: int, products: Any = products, places: Any = places, outcome: Any = outcome, barrier: Any = barrier
        ) -> None:
            patience = Patience(attempts=9, sleep=lambda _: time.sleep(chance.random() / 50))
            with Transport(credentials=lambda _: None, patience=patience) as transport:
                barrier.wait()
                try:
                    outcome[side] = publish(transport, places[side], products[side], FACTS).revision
                except (TakenError, DisagreeError) as error:
                    outcome[side] = error

        threads = [threading.Thread(target=run, args=(side,)) for side in (0, 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(registry, before)
        won = {side: revision for side, revision in outcome.items() if isinstance(revision, int)}
        assert won, outcome
        assert len(set(won.values())) == len(won)
        for side, revision in won.items():
            assert tags(registry)[f"{TAG}-r{revision}"] == products[side].manifest.digest, "a revision was overwritten"
        highest = max(parse_revisions(tags(registry), TAG))
        assert tags(registry)[TAG] == tags(registry)[f"{TAG}-r{highest}"]
        # then both pull what the other has committed, and the one that gave way knows what there is
        merge(tmp_path, registry, place)
    with capsys.disabled():
        print(f"\ntwo publishers: {rounds} rounds, {len(parse_revisions(tags(registry), TAG))} revisions, none lost")  # noqa: T201


def merge(tmp_path: Path, registry: FaultyRegistry, place: Place) -> None:
    """What git and `ledger --adopt` do between two runs: both ledgers have what the registry has."""
    from scripts.release.ledger import Ledger, render_ledger

    lines = {}
    for side in "ab":
        for line in load_ledger(tmp_path / side / FILENAME).lines:
            lines[line.revision] = line
    for number in parse_revisions(tags(registry), TAG):
        assert number in lines, f"r{number} is in no ledger"
    text = render_ledger(
        Ledger(lines=tuple(line.model_copy(update={"replaces": None}) for _, line in sorted(lines.items())))
    )
    for side in "ab":
        path = tmp_path / side / FILENAME
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert place.repository


def test_the_standard_tag_is_left_to_who_is_ahead(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    """A publisher that was overtaken puts the standard tag where the higher revision is, not back to its own."""
    first, second = next(products), next(products)

    def overtakes(exchange: Any) -> Any:
        reply = exchange.handle()
        registry.put(second.manifest.content, second.manifest.media_type, f"{TAG}-r2", name=NAME)
        return reply

    registry.fail("PUT", r"-r1$", overtakes)
    publish(transport, place, first, FACTS)
    assert tags(registry)[TAG] == second.manifest.digest
    assert head_manifest(transport, place.repository.tag(f"{TAG}-r1")) is not None


def test_yanked_and_gone_revisions_keep_their_numbers(
    registry: FaultyRegistry, transport: Transport, place: Place, products: Any
) -> None:
    from scripts.release.ledger import append_lines

    for _ in range(2):
        publish(transport, place, next(products), FACTS)
    common: dict[str, Any] = {"repository": str(place.repository), "tag": TAG, "time": FACTS.time, "reason": "broken"}
    append_lines(place.ledger, Yanked(revision=1, **common), Gone(revision=2, **common))
    del registry.tags[NAME][f"{TAG}-r2"]
    assert publish(transport, place, next(products), FACTS).revision == 3

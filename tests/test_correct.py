"""Going back and warning: new revisions and marks, never a change of what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.errors import RegistryError, UsageError
from scripts.release.artifacts import YANKED_TYPE
from scripts.release.audit import audit
from scripts.release.correct import rollback, yank
from scripts.release.ledger import FILENAME, load_ledger
from scripts.release.place import Place
from scripts.release.publish import publish
from scripts.release.referrers import list_referrers
from scripts.release.revision import Step
from tests.faulty_registry import FaultyRegistry, connect, say
from tests.products import make_product
from tests.test_publish import FACTS, NAME, TAG
from tests.test_push import built, push, rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.product import Product
    from scripts.release.transport import Transport
    from tests.conftest import Tasks

LATER = "2026-11-26T12:00:00Z"


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
def published(transport: Transport, place: Place, tmp_path: Path) -> list[Product]:
    products = [make_product(tmp_path / name, "base", name) for name in ("one", "two", "three")]
    for product in products:
        publish(transport, place, product, FACTS)
    return products


def whole(transport: Transport, place: Place) -> bool:
    return not list(audit(transport, place.repository, [TAG], load_ledger(place.ledger)))


def test_rollback_is_a_new_revision_of_the_old_digest(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    sent = sum(seen.method == "POST" for seen in registry.requests)
    decision = rollback(transport, place, 1, "three does not start", LATER)
    assert (decision.step, decision.revision, decision.same_as) == (Step.NEW, 4, 1)
    tags = registry.tags[NAME]
    assert tags[TAG] == tags[f"{TAG}-r4"] == tags[f"{TAG}-r1"] == published[0].manifest.digest
    line = load_ledger(place.ledger).published(str(place.repository), TAG)[-1]
    assert (line.reason, line.time, line.same_as, line.size) == (
        "three does not start",
        LATER,
        1,
        published[0].size,
    )
    assert sum(seen.method == "POST" for seen in registry.requests) == sent  # no blob was sent
    assert whole(transport, place)
    assert rollback(transport, place, 4, "again", LATER).step is Step.UNCHANGED


@pytest.mark.usefixtures("published")
def test_rollback_to_what_is_not_there(transport: Transport, place: Place) -> None:
    with pytest.raises(UsageError, match=r"has no revision r9 in the ledger; known: r1, r2, r3$"):
        rollback(transport, place, 9, "x", LATER)
    yank(transport, place, 1, "one is broken", LATER)
    with pytest.raises(UsageError, match=r"-r1 is yanked: one is broken$"):
        rollback(transport, place, 1, "x", LATER)


def test_yank_of_an_old_revision_moves_nothing(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    before = dict(registry.tags[NAME])
    assert yank(transport, place, 2, "two is broken", LATER) is None
    assert registry.tags[NAME] == before
    assert load_ledger(place.ledger).yanked(str(place.repository), TAG)[2].reason == "two is broken"
    subject = place.repository.digest(published[1].manifest.digest)
    (mark,) = list_referrers(transport, subject, YANKED_TYPE)
    assert mark.annotations["ai.vessl.images.yanked"] == f"{TAG}-r2"
    assert mark.annotations["ai.vessl.images.reason"] == "two is broken"
    assert whole(transport, place)


def test_yank_of_the_newest_goes_back_to_the_last_good_one(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product]
) -> None:
    yank(transport, place, 2, "two is broken", LATER)
    decision = yank(transport, place, 3, "three too", LATER)
    assert decision is not None
    assert (decision.revision, decision.same_as) == (4, 1)
    assert registry.tags[NAME][TAG] == published[0].manifest.digest
    line = load_ledger(place.ledger).published(str(place.repository), TAG)[-1]
    assert line.reason == "r3 is yanked: three too"
    assert whole(transport, place)
    assert yank(transport, place, 3, "three too", LATER) is None  # all is done


def test_yank_of_the_only_one_stays_and_says_so(
    transport: Transport, place: Place, registry: FaultyRegistry, tmp_path: Path
) -> None:
    publish(transport, place, make_product(tmp_path / "one", "one"), FACTS)
    said: list[str] = []
    assert yank(transport, place, 1, "broken", LATER, said.append) is None
    assert said == [f"{place.repository}:{TAG} stays at r1: there is none with another content to go back to"]
    assert set(registry.tags[NAME]) == {TAG, f"{TAG}-r1"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST"])
def test_a_yank_that_was_cut_off_goes_on(
    transport: Transport, place: Place, registry: FaultyRegistry, published: list[Product], method: str
) -> None:
    """With a registry that fails from its first, second, third ... request of a kind on."""
    for skip in range(12):
        registry.faults.clear()
        registry.fail(method, "/v2/", say(403), times=99, skip=skip)
        try:
            yank(transport, place, 3, "broken", LATER)
        except RegistryError:
            continue
        break
    registry.faults.clear()
    yank(transport, place, 3, "broken", LATER)
    numbers = [line.revision for line in load_ledger(place.ledger).published(str(place.repository), TAG)]
    assert numbers[:3] == [1, 2, 3]
    assert registry.tags[NAME][TAG] == published[1].manifest.digest
    subject = place.repository.digest(published[2].manifest.digest)
    assert len(list_referrers(transport, subject, YANKED_TYPE)) == 1
    assert whole(transport, place)


def test_the_tasks(tasks: Tasks, registry: FaultyRegistry) -> None:
    where = ("--registry", f"{registry.host}/vessl-ai", "--format", "json")
    digests = []
    for layer in ("one", "two"):
        digests.append(built(tasks.repository, layer))
        push(tasks, registry, "--reason", layer)
    tags = registry.tags["vessl-ai/app"]
    before = dict(tags)
    (row,) = rows(tasks.run("rollback", "app:1", "--to", "r1", "--reason", "two is slow", "--dry-run", *where))
    assert (row["action"], row["digest"], tags) == ("rollback", digests[0], before)
    (row,) = rows(tasks.run("rollback", "app:1", "--to", "r1", "--reason", "two is slow", *where))
    assert (row["action"], row["revision"], tags["1"]) == ("new", 3, digests[0])
    (row,) = rows(tasks.run("yank", "app:1-r3", "--reason", "one is worse", "--dry-run", *where))
    assert row["action"] == "yank"
    (row,) = rows(tasks.run("yank", "app:1-r3", "--reason", "one is worse", *where))
    assert (row["action"], row["why"], tags["1"]) == ("yanked", "1 is now r4", digests[1])
    listed = rows(tasks.run("revisions", "app:1", *where))
    assert [(row["revision"], row["state"], row["why"]) for row in listed] == [
        ("1-r4", "standard", "r3 is yanked: one is worse"),
        ("1-r3", "yanked", "one is worse"),
        ("1-r2", "", "two"),
        ("1-r1", "", "one"),
    ]
    assert tasks.run("audit", *where).returncode == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rollback", "app:1", "--to", "x", "--reason", "y"], '"x" is no revision: expected one such as r14\n'),
        (["rollback", "ap:1", "--to", "r1", "--reason", "y"], 'no image "ap:1", did you mean "app:1"?\n'),
        (["yank", "app:1", "--reason", "y"], '"app:1" is no revision: expected REPO:TAG-rN\n'),
        (["yank", "app:1-r0", "--reason", "y"], '"0" is no revision: expected one such as r14\n'),
    ],
)
def test_what_is_no_revision(tasks: Tasks, registry: FaultyRegistry, words: list[str], sentence: str) -> None:
    done = tasks.run(*words, "--registry", f"{registry.host}/vessl-ai")
    assert done.returncode == 2
    assert done.stderr == sentence

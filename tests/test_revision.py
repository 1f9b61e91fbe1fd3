"""The number of a revision, and whether there is a new one at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.release.ledger import Ledger
from scripts.release.lines import Gone, Published, Yanked
from scripts.release.revision import (
    Decision,
    DisagreeError,
    Found,
    Step,
    YankedError,
    compare,
    decide,
    own_tags,
    parse_revisions,
)
from tests.test_ledger import REPOSITORY, mark, published

if TYPE_CHECKING:
    from collections.abc import Mapping


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def ledger(*numbers: int) -> Ledger:
    return Ledger(lines=tuple(published(number) for number in numbers))


def found(revisions: Mapping[int, str | None], standard: int | None) -> Found:
    return Found(revisions=revisions, standard=None if standard is None else digest(standard))


def decided(new: int, state: Found, known: Ledger, *, force: str = "") -> Decision:
    return decide(REPOSITORY, "1.0", digest(new), state, known, force=force)


def test_only_the_revisions_of_the_whole_tag_count_in_whatever_order() -> None:
    tags = ["3.11-r9", "3.11-r10", "3.11", "3.1-r40", "3.11-r2", "13.11-r7", "3.11-r2", "3.11-r03", "3.11-r0", "3.11-r"]
    tags += ["3.11-r1-r5", "3.11-rc1", "3.11-r5x", "3x11-r8", "3.11-r-4", "3.11-r1\n", "3.11-r١"]  # noqa: RUF001
    assert parse_revisions(tags, "3.11") == (2, 9, 10)
    assert parse_revisions(tags, "3.1") == (40,)
    assert parse_revisions([], "3.11") == ()


def test_the_first() -> None:
    assert decided(7, found({}, None), Ledger()) == Decision(
        step=Step.NEW, revision=1, why="never published", replaces=None, same_as=None
    )


def test_the_next() -> None:
    decision = decided(7, found({1: None, 2: digest(2)}, 2), ledger(1, 2))
    assert decision == Decision(step=Step.NEW, revision=3, why="not what r2 is", replaces=2, same_as=None)


def test_gaps_are_fine_and_never_filled() -> None:
    assert decided(7, found({1: None, 5: None}, 5), ledger(1, 5)).revision == 6


def test_a_number_that_is_gone_is_not_used_again() -> None:
    known = Ledger(lines=(published(1), published(2), mark(Gone, 2)))
    assert decided(7, found({1: digest(1)}, 1), known).revision == 3


def test_what_is_gone_is_not_the_newest() -> None:
    known = Ledger(lines=(published(1), published(2), mark(Gone, 2)))
    decision = decided(2, found({1: digest(1)}, 2), known)
    assert (decision.step, decision.revision, decision.replaces, decision.same_as) == (Step.NEW, 3, 1, 2)
    assert decided(1, found({1: digest(1)}, 1), known).step is Step.UNCHANGED


def test_what_was_yanked_does_not_come_back_by_itself() -> None:
    known = Ledger(lines=(published(1), published(2), mark(Yanked, 2)))
    state = found({1: None, 2: digest(2)}, 2)
    with pytest.raises(YankedError) as raised:
        decided(2, state, known)
    assert str(raised.value) == (
        f"{REPOSITORY}:1.0: {digest(2)} is what r2 is, which was yanked: numpy was broken: build something else "
        "(--force --reason TEXT publishes it all the same)"
    )
    assert decided(2, state, known, force="it was not broken").revision == 3
    # one that was cut off was wanted, and is finished
    assert decided(2, found({1: None, 2: digest(2), 3: digest(2)}, 2), known).step is Step.FINISH


def test_unchanged() -> None:
    decision = decided(2, found({1: None, 2: digest(2)}, 2), ledger(1, 2))
    assert (decision.step, decision.revision, decision.why) == (Step.UNCHANGED, 2, "unchanged since r2")


def test_force_makes_a_revision_of_the_same_digest() -> None:
    state = found({1: None, 2: digest(2)}, 2)
    decision = decided(2, state, ledger(1, 2), force="label of the licence")
    assert (decision.step, decision.revision, decision.replaces, decision.same_as) == (Step.NEW, 3, 2, 2)
    assert decision.why == "forced"
    # run again, it is that revision that was wanted
    assert decided(2, state, ledger(1, 2), force=published(2).reason).step is Step.UNCHANGED


def test_what_an_older_revision_was_is_a_new_revision() -> None:
    decision = decided(1, found({1: None, 2: digest(2)}, 2), ledger(1, 2))
    assert (decision.step, decision.revision, decision.same_as) == (Step.NEW, 3, 1)


@pytest.mark.parametrize("standard", [None, 1])
def test_a_standard_tag_that_was_not_moved_is(standard: int | None) -> None:
    decision = decided(2, found({1: None, 2: digest(2)}, standard), ledger(1, 2))
    assert (decision.step, decision.revision) == (Step.MOVE, 2)


@pytest.mark.parametrize("standard", [None, 1, 2])
def test_a_publish_that_was_cut_off_is_finished(standard: int | None) -> None:
    decision = decided(2, found({1: digest(1), 2: digest(2)}, standard), ledger(1))
    assert (decision.step, decision.revision, decision.replaces) == (Step.FINISH, 2, 1)


@pytest.mark.parametrize(
    ("state", "known", "sentence"),
    [
        (found({1: None, 2: digest(9)}, 9), ledger(1), "r2 is in the registry, but not in the ledger"),
        (found({1: None, 2: None}, 1), ledger(1), "r2 is in the registry, but not in the ledger"),
        (found({1: digest(2), 2: None}, 2), ledger(2), "r1 is in the registry, but not in the ledger"),
        (
            found({1: digest(1)}, 7),
            ledger(1),
            f"1.0 is {digest(7)} in the registry, which is no revision of it",
        ),
        (found({}, 7), Ledger(), f"1.0 is {digest(7)} in the registry, which is no revision of it"),
        (
            found({1: digest(1)}, 1),
            Ledger(lines=(published(1), mark(Gone, 1))),
            "r1 is in the registry, but gone in the ledger",
        ),
        (found({}, None), ledger(1), "r1 is in the ledger, but not in the registry"),
        (found({1: digest(3)}, 1), ledger(1), f"r1 is {digest(3)} in the registry, but {digest(1)} in the ledger"),
    ],
)
def test_disagreement_stops_everything(state: Found, known: Ledger, sentence: str) -> None:
    with pytest.raises(DisagreeError) as raised:
        decided(2, state, known)
    assert str(raised.value) == (
        f"{REPOSITORY}:1.0: registry and ledger disagree, so nothing was published:\n  {sentence}\n"
        "pull first: somebody else may have published; then look at `invoke audit`, and if the registry is right:\n"
        "`invoke ledger FAMILY --adopt`"
    )


def test_a_cut_off_publish_beside_another_difference_is_no_excuse() -> None:
    with pytest.raises(DisagreeError):
        decided(3, found({2: None, 3: digest(3)}, 2), ledger(1, 2))


def test_other_tags_are_others() -> None:
    known = Ledger(lines=(published(1), Published(**{**published(9).model_dump(), "tag": "1"})))
    assert compare(REPOSITORY, "1.0", found({1: digest(1)}, 1), known) == ()


def test_the_tags_of_an_image_are_found_among_all_of_its_repository() -> None:
    tags = sorted(["2.3", "2.3-r1", "2.3-r10", "2.3-r2.claim-x", "2.3.1", "2.3.1-r1", "2.4", "2.30-r1", "1.3-r1"])
    found = own_tags(tags, "2.3")
    assert {"2.3", "2.3-r1", "2.3-r10", "2.3-r2.claim-x"} <= set(found)
    assert not {"1.3-r1", "2.4"} & set(found)
    assert parse_revisions(found, "2.3") == parse_revisions(tags, "2.3") == (1, 10)
    assert own_tags((), "2.3") == ()

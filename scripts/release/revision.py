"""Which revision a build becomes: decided from what the registry has and what the ledger says, never from one alone."""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scripts.errors import AuditError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scripts.release.ledger import Ledger

# No leading zero and no r0: one revision has one name.
_NUMBER = re.compile(r"[1-9][0-9]*")


def revision_tag(tag: str, revision: int) -> str:
    """The revision tag of a standard tag: ``3.11`` and 14 make ``3.11-r14``."""
    return f"{tag}-r{revision}"


def parse_revisions(tags: Iterable[str], tag: str) -> tuple[int, ...]:
    """The revisions of a standard tag among all tags of its repository, lowest first, whatever order they come in."""
    prefix = f"{tag}-r"
    return tuple(
        sorted(
            int(name.removeprefix(prefix))
            for name in set(tags)
            if name.startswith(prefix) and _NUMBER.fullmatch(name.removeprefix(prefix))
        )
    )


def own_tags(tags: Sequence[str], tag: str) -> Sequence[str]:
    """The part of a repository's tags that has all those of one standard tag: of the others there may be very many.

    :param tags: sorted, as ``registry.list_tags`` gives them.
    """
    return tags[bisect_left(tags, tag) : bisect_left(tags, f"{tag}\U0010ffff")]


class Step(StrEnum):
    """What a publish has to do."""

    NEW = "new"
    """Make the next revision tag, move the standard tag, write the ledger."""
    FINISH = "finish"
    """A publish of this digest was cut off after its revision tag: move the standard tag, write the ledger."""
    MOVE = "move"
    """The newest revision is this digest, but the standard tag is not there."""
    UNCHANGED = "unchanged"
    """The newest revision is this digest, and all is as it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What becomes of a build."""

    step: Step
    revision: int
    why: str
    replaces: int | None
    """The newest revision before it."""
    same_as: int | None
    """An older revision with the same digest."""
    late: bool = False
    """There is a higher revision already; see ``lines.Published``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the registry has for one standard tag."""

    revisions: Mapping[int, str | None]
    """Digest of each revision; None where it was not asked for."""
    standard: str | None
    """Digest that the standard tag has, None where there is no such tag."""
    claimed: int = 0
    """The highest revision that another publisher is at, or was when it died."""


class YankedError(UsageError):
    """What is to be published was yanked: it must not come back by itself."""


class DisagreeError(AuditError):
    """Registry and ledger say different things about one standard tag: nothing is published until somebody looked."""


def compare(repository: str, tag: str, found: Found, ledger: Ledger) -> tuple[str, ...]:
    """Every way in which registry and ledger differ about a standard tag, a sentence each."""
    written = {line.revision: line.digest for line in ledger.published(repository, tag)}
    gone = ledger.gone(repository, tag)
    differ = [
        f"r{number} is in the registry, but not in the ledger" for number in sorted(found.revisions.keys() - written)
    ]
    differ += [
        f"r{number} is in the ledger, but not in the registry"
        for number in sorted(written.keys() - found.revisions.keys() - gone.keys())
    ]
    differ += [
        f"r{number} is in the registry, but gone in the ledger" for number in sorted(found.revisions.keys() & gone)
    ]
    differ += [
        f"r{number} is {digest} in the registry, but {written[number]} in the ledger"
        for number, digest in sorted(found.revisions.items())
        if digest and number in written and digest != written[number]
    ]
    if found.standard and found.standard not in {*written.values(), *found.revisions.values()}:
        # Moving it would leave those bytes without a name.
        differ.append(f"{tag} is {found.standard} in the registry, which is no revision of it")
    return tuple(differ)


def decide(repository: str, tag: str, digest: str, found: Found, ledger: Ledger, *, force: str = "") -> Decision:
    """What to do to publish a digest under a standard tag.

    The number is 1 + the highest that registry or ledger ever had: none is used twice, not even one that was deleted.

    :param force: why to make a revision of what the newest one is, or of what was yanked; empty: do neither. Once: the
        newest revision with this digest and this reason is the one that was wanted.
    :raises DisagreeError: where registry and ledger differ in more than a publish of this digest that was cut off.
    :raises YankedError: if the digest was yanked.
    """
    lines = {line.revision: line for line in ledger.published(repository, tag)}
    written = {number: line.digest for number, line in lines.items()}
    highest = max([0, *written, *found.revisions])
    newest = max(written.keys() - ledger.gone(repository, tag).keys(), default=0)
    faults = compare(repository, tag, found, ledger)
    unknown = found.revisions.keys() - written.keys()
    is_newest = written.get(newest) == digest
    cut_off = min(unknown, default=0)
    if len(faults) == len(unknown) == 1 and found.revisions[cut_off] == digest and (cut_off > newest or not is_newest):
        before = {number: known for number, known in written.items() if number < cut_off}
        return Decision(
            step=Step.FINISH,
            revision=cut_off,
            why=f"a publish of this digest was cut off after {revision_tag(tag, cut_off)}",
            replaces=max(before.keys() - ledger.gone(repository, tag).keys(), default=None),
            same_as=_same_as(before, digest),
            late=cut_off < max(written, default=0),
        )
    refuse_disagreement(repository, tag, found, ledger)
    if not force:
        refuse_yanked(repository, tag, digest, ledger)
    if is_newest and force in {"", lines[newest].reason}:
        if found.standard == digest:
            step, why = Step.UNCHANGED, f"unchanged since r{newest}"
        else:
            step, why = Step.MOVE, f"{tag} is not at its highest revision, r{newest}"
        return Decision(step=step, revision=newest, why=why, replaces=None, same_as=None)
    return Decision(
        step=Step.NEW,
        revision=max(highest, found.claimed) + 1,
        why="forced" if is_newest else f"not what r{newest} is" if newest else "never published",
        replaces=newest or None,
        same_as=_same_as(written, digest),
    )


def refuse_yanked(repository: str, tag: str, digest: str, ledger: Ledger) -> None:
    """Refuse a digest that some revision of it says must not be used.

    :raises YankedError: with that revision and the reason.
    """
    yanked = ledger.yanked(repository, tag)
    bad = [
        line.revision for line in ledger.published(repository, tag) if line.digest == digest and line.revision in yanked
    ]
    if bad:
        raise YankedError(
            f"{repository}:{tag}: {digest} is what r{bad[-1]} is, which was yanked: {yanked[bad[-1]].reason}: build "
            f"something else (--force --reason TEXT publishes it all the same)"
        )


def _same_as(written: Mapping[int, str], digest: str) -> int | None:
    return max((number for number, known in written.items() if known == digest), default=None)


def refuse_disagreement(repository: str, tag: str, found: Found, ledger: Ledger) -> None:
    """Refuse to go on where registry and ledger differ.

    :raises DisagreeError: with every difference, and what to do.
    """
    if faults := compare(repository, tag, found, ledger):
        lines = [f"{repository}:{tag}: registry and ledger disagree, so nothing was published:"]
        lines += [f"  {fault}" for fault in faults]
        lines.append(
            "pull first: somebody else may have published; then look at `invoke audit`, and if the registry is right:"
        )
        lines.append("`invoke ledger FAMILY --adopt`")
        raise DisagreeError("\n".join(lines))

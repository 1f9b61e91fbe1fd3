"""Which revision a build becomes: decided from what the registry has and what the ledger says, never from one alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scripts.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the registry has for one standard tag."""

    revisions: Mapping[int, str | None]
    """Digest of each revision; None where it was not asked for."""
    standard: str | None
    """Digest that the standard tag has, None where there is no such tag."""
    claimed: int = 0
    """The highest revision that another publisher is at, or was when it died."""


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
        f"r{number} is {digest} in the registry, but {written[number]} in the ledger"
        for number, digest in sorted(found.revisions.items())
        if digest and number in written and digest != written[number]
    ]
    return tuple(differ)


def decide(repository: str, tag: str, digest: str, found: Found, ledger: Ledger, *, force: bool = False) -> Decision:
    """What to do to publish a digest under a standard tag.

    The number is 1 + the highest that registry or ledger ever had: none is used twice, not even one that was deleted.

    :param force: make a new revision although the newest one has this digest.
    :raises DisagreeError: where registry and ledger differ in more than a publish of this digest that was cut off.
    """
    written = {line.revision: line.digest for line in ledger.published(repository, tag)}
    newest = max(written, default=0)
    highest = max(newest, max(found.revisions, default=0))
    faults = compare(repository, tag, found, ledger)
    unknown = found.revisions.keys() - written.keys()
    if len(faults) == 1 and unknown == {highest} and highest > newest and found.revisions[highest] == digest:
        return Decision(
            step=Step.FINISH,
            revision=highest,
            why=f"a publish of this digest was cut off after {revision_tag(tag, highest)}",
            replaces=newest or None,
            same_as=_same_as(written, digest),
        )
    if faults:
        raise DisagreeError(_disagreement(repository, tag, faults))
    if newest and written[newest] == digest and not force:
        if found.standard == digest:
            step, why = Step.UNCHANGED, f"unchanged since r{newest}"
        else:
            step, why = Step.MOVE, f"{tag} is not at its highest revision, r{newest}"
        return Decision(step=step, revision=newest, why=why, replaces=None, same_as=None)
    return Decision(
        step=Step.NEW,
        revision=max(highest, found.claimed) + 1,
        why=f"not what r{newest} is" if newest else "never published",
        replaces=newest or None,
        same_as=_same_as(written, digest),
    )


def _same_as(written: Mapping[int, str], digest: str) -> int | None:
    return max((number for number, known in written.items() if known == digest), default=None)


def _disagreement(repository: str, tag: str, faults: Iterable[str]) -> str:
    lines = [f"{repository}:{tag}: registry and ledger disagree, so nothing was published:"]
    lines += [f"  {fault}" for fault in faults]
    lines.append("look at `invoke audit`; if the registry is right: `invoke ledger --adopt`")
    return "\n".join(lines)

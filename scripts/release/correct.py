"""Correct what is published without changing it: go back with a new revision, and warn of a bad one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.errors import UsageError
from scripts.release.artifacts import YANKED, YANKED_TYPE, make_artifact, upload_empty
from scripts.release.lines import Published, Yanked
from scripts.release.notes import record
from scripts.release.publish import Facts, look, publish
from scripts.release.published import find_product
from scripts.release.referrers import attach, list_referrers
from scripts.release.registry import get_manifest
from scripts.release.revision import refuse_disagreement, refuse_yanked, revision_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.release.ledger import Ledger
    from scripts.release.place import Place
    from scripts.release.revision import Decision
    from scripts.release.transport import Transport


def rollback(
    transport: Transport, place: Place, to: int, reason: str, time: str, say: Callable[[str], None] = lambda _: None
) -> Decision:
    """Publish an older revision's digest as a new revision, so that the standard tag still is the highest one.

    :raises UsageError: if there is no such revision, or it is yanked or gone.
    :raises RegistryError: as ``publish``; run it again.
    """
    ledger = place.history()
    line = find_published(ledger, place, to)
    repository, name = str(place.repository), revision_tag(place.tag, to)
    if to in ledger.yanked(repository, place.tag):
        raise UsageError(f"{place.repository}:{name} is yanked: {ledger.yanked(repository, place.tag)[to].reason}")
    refuse_yanked(repository, place.tag, line.digest, ledger)
    if to in ledger.gone(repository, place.tag):
        raise UsageError(f"{place.repository}:{name} is not in the registry any more")
    manifest = get_manifest(transport, place.repository.digest(line.digest))
    product = find_product(transport, place.repository, manifest)
    facts = Facts(
        reason=reason,
        time=time,
        recipe=line.recipe,
        base=line.base,
        commit=line.commit,
        smoke=line.smoke,
        platforms=line.platforms,
    )
    return publish(transport, place, product, facts, say=say)


def yank(
    transport: Transport,
    place: Place,
    revision: int,
    reason: str,
    time: str,
    say: Callable[[str], None] = lambda _: None,
) -> Decision | None:
    """Mark a revision as not to be used; nothing is deleted. If it is the newest, go back to the one before it.

    Gives what the rollback did, None where none was needed. Run again after a failure, it goes on.

    :raises UsageError: if there is no such revision.
    :raises DisagreeError: if registry and ledger differ.
    :raises RegistryError: if the registry is in the way; run it again.
    """
    ledger = place.history()
    line = find_published(ledger, place, revision)
    repository = str(place.repository)
    gone = ledger.gone(repository, place.tag)
    if revision not in ledger.yanked(repository, place.tag):
        # Before anything is said; a rerun, which finds its own half-done rollback, is past this.
        refuse_disagreement(repository, place.tag, look(transport, place, ledger, line.digest), ledger)
        said = Yanked(repository=repository, tag=place.tag, revision=revision, time=time, reason=reason)
        if revision not in gone:
            _mark(transport, place, line, said)
        record(place.ledger, said)
        ledger = place.history()
    there = [item for item in ledger.published(repository, place.tag) if item.revision not in gone]
    if not there or there[-1].digest != line.digest:
        return None
    yanked = ledger.yanked(repository, place.tag)
    bad = {item.digest for item in ledger.published(repository, place.tag) if item.revision in yanked}
    good = [item.revision for item in there if item.digest not in bad]
    if not good:
        say(f"{place.name} stays at r{there[-1].revision}: there is none with another content to go back to")
        return None
    why = f"r{revision} is yanked: {reason}"
    return rollback(transport, place, good[-1], why, time, say)


def find_published(ledger: Ledger, place: Place, revision: int) -> Published:
    """The line of a revision.

    :raises UsageError: if the ledger has none.
    """
    lines = {line.revision: line for line in ledger.published(str(place.repository), place.tag)}
    if revision not in lines:
        known = ", ".join(f"r{number}" for number in lines) or "none"
        raise UsageError(f"{place.repository}:{place.tag} has no revision r{revision} in the ledger; known: {known}")
    return lines[revision]


def _mark(transport: Transport, place: Place, line: Published, said: Yanked) -> None:
    """Say it in the registry too, beside the digest: whoever looks there sees it without our ledger."""
    subject = place.repository.digest(line.digest)
    name = f"{place.tag}-r{line.revision}"
    for referrer in list_referrers(transport, subject, YANKED_TYPE):
        if referrer.annotations.get(YANKED) == name:
            return
    manifest = get_manifest(transport, subject)
    annotations = {
        YANKED: name,
        "ai.vessl.images.reason": said.reason,
        "org.opencontainers.image.created": said.time,
    }
    upload_empty(transport, place.repository)
    attach(transport, place.repository, make_artifact(YANKED_TYPE, annotations, manifest.descriptor))

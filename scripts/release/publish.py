"""Publish a product: blobs, its revision tag, then the standard tag, then the ledger; each only after the one before.

Whatever happens in between, no revision changes, the standard tag is a whole revision, and another run goes on where
this one stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scripts.errors import RegistryError
from scripts.release.claims import claim, claim_of, parse_claims, release
from scripts.release.lines import PlatformImage, Published, Smoke
from scripts.release.notes import record
from scripts.release.refusal import TakenError
from scripts.release.registry import get_if_there, head_manifest, list_tags, put_manifest
from scripts.release.revision import Decision, Found, Step, decide, parse_revisions, revision_tag
from scripts.release.upload import upload_blobs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scripts.release.ledger import Ledger
    from scripts.release.place import Place
    from scripts.release.product import Product
    from scripts.release.reference import Repository
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport
    from scripts.release.upload import Blob, Outcome

ATTEMPTS = 8
"""How often a publisher gives way to others before it says so; the number of rounds in which tags may still move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the ledger says of a revision beside its number and digest; see ``ledger.Published``."""

    reason: str
    time: str
    recipe: str = ""
    base: str = ""
    commit: str = ""
    smoke: Smoke | None = None
    platforms: tuple[PlatformImage, ...] = ()


def look(transport: Transport, place: Place, ledger: Ledger, digest: str, tags: Iterable[str] | None = None) -> Found:
    """What the registry has for a standard tag: one listing, and the digests that a decision needs.

    :param tags: all tags of the repository, where they have just been listed for another of its images.
    """
    repository, tag = place.repository, place.tag
    known = list_tags(transport, repository) if tags is None else tuple(tags)
    numbers = parse_revisions(known, tag)
    written = {line.revision for line in ledger.published(str(repository), tag)}
    own = claim_of(place, 0, digest)
    trusted = written - ledger.gone(str(repository), tag).keys()
    asked = {number for number in numbers if number not in trusted} | set(numbers[-1:])
    digests = {number: _digest(transport, repository, revision_tag(tag, number)) for number in asked}
    # A tag that is listed, and is not there: half deleted, or half written by somebody at this moment.
    ghosts = {number for number, digest in digests.items() if digest is None}
    claimed = {item.revision for item in parse_claims(known, tag) if replace(item, revision=0) != own}
    return Found(
        revisions={number: digests.get(number) for number in numbers if number not in ghosts},
        standard=_digest(transport, repository, tag) if tag in known else None,
        claimed=max(ghosts | claimed, default=0),
    )


def publish(
    transport: Transport,
    place: Place,
    product: Product,
    facts: Facts,
    *,
    force: str = "",
    attach: Callable[[], None] = lambda: None,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[Blob, int, Outcome | None], None] = lambda *_: None,
) -> Decision:
    """Publish a product, or finish what was begun, or find that there is nothing to do; gives what was done.

    The caller holds the lock of this machine (``lock.locked``) and has asked whether this may be published at all.

    :param force: as ``revision.decide``.
    :param attach: attaches to the digest what is to be there before a tag names it.
    :raises DisagreeError: if registry and ledger differ.
    :raises YankedError: if the digest was yanked.
    :raises TakenError: if other publishers were in the way until the end.
    :raises RegistryError: whatever else goes wrong; run it again.
    """
    repository, tag, manifest = place.repository, place.tag, product.manifest
    given_up = 0
    for attempt in range(ATTEMPTS):
        ledger = place.history()
        found = look(transport, place, ledger, manifest.digest)
        # Our deletion of a claim that we gave up may still be on its way: it must not meet a new one.
        found = replace(found, claimed=max(found.claimed, given_up))
        decision = decide(str(repository), tag, manifest.digest, found, ledger, force=force)
        if decision.step is Step.UNCHANGED:
            return decision
        upload_blobs(transport, repository, product.blobs, sources=place.siblings, progress=progress)
        for item in (*product.images.values(), manifest):  # an index may not name what is not there
            if head_manifest(transport, repository.digest(item.digest)) is None:
                put_manifest(transport, repository.digest(item.digest), item)
        attach()
        if decision.step is not Step.NEW:
            # a run that was killed may have left its claim
            release(transport, repository, claim_of(place, decision.revision, manifest.digest))
            break
        try:
            make_revision(transport, place, decision.revision, manifest)
            break
        except TakenError as error:
            given_up = decision.revision
            if attempt == ATTEMPTS - 1:
                raise
            say(f"{error}: trying again")
            transport.patience.wait(min(attempt, 3))
    _move_standard(transport, place, decision.revision, manifest)
    _read_back(transport, place, decision.revision, manifest)
    if decision.step is not Step.MOVE:
        record(place.ledger, _line(place, product, facts, decision))
    return decision


def make_revision(transport: Transport, place: Place, revision: int, manifest: Manifest) -> None:
    """Write a revision tag that nobody has, and nobody else is about to write.

    :raises TakenError: if somebody has it, or is about to.
    :raises RegistryError: whatever else goes wrong; also if it is something else after it was written.
    """
    repository, name = place.repository, place.repository.tag(revision_tag(place.tag, revision))
    own = claim_of(place, revision, manifest.digest)
    claim(transport, repository, own)
    if head_manifest(transport, name) is not None:
        release(transport, repository, own)
        raise TakenError(f"{name} is there already")
    try:
        put_manifest(transport, name, manifest)
    except TakenError:
        # A request that was sent twice, as its first answer was lost, finds its own tag.
        if _digest(transport, repository, name.name) != manifest.digest:
            raise
    _read_back(transport, place, revision, manifest)
    release(transport, repository, own)


def _move_standard(transport: Transport, place: Place, revision: int, manifest: Manifest) -> None:
    """Make the standard tag its highest revision, whoever publishes that; it has to stay so when looked at again."""
    repository, standard = place.repository, place.repository.tag(place.tag)
    for attempt in range(ATTEMPTS):
        newest = max(parse_revisions(list_tags(transport, repository), place.tag), default=revision)
        wanted: Manifest | None = manifest
        if newest > revision:
            wanted = get_if_there(transport, repository.tag(revision_tag(place.tag, newest)))
        if wanted is None:  # listed already, and not there yet
            transport.patience.wait(min(attempt + 1, 3))
            continue
        if _digest(transport, repository, place.tag) == wanted.digest:
            return
        try:
            put_manifest(transport, standard, wanted)
        except TakenError as error:
            raise RegistryError(f"{error}: its rule must keep tags that end in -rN, and no others") from error
    raise RegistryError(f"{standard} is moved by somebody else all the time: look who publishes, and run it again")


def _read_back(transport: Transport, place: Place, revision: int, manifest: Manifest) -> None:
    """See that a revision is what was written; an answer from before it was is waited out."""
    name, attempt = revision_tag(place.tag, revision), 0
    while (stored := _digest(transport, place.repository, name)) != manifest.digest:
        attempt += 1
        if stored or not transport.patience.wait(attempt):
            raise RegistryError(
                f"{place.repository}:{name} was {manifest.digest} and is now {stored or 'gone'}: somebody has changed a revision"
            )


def _digest(transport: Transport, repository: Repository, tag: str) -> str | None:
    found = head_manifest(transport, repository.tag(tag))
    return found.digest if found else None


def _line(place: Place, product: Product, facts: Facts, decision: Decision) -> Published:
    return Published(
        repository=str(place.repository),
        tag=place.tag,
        revision=decision.revision,
        time=facts.time,
        reason=facts.reason,
        digest=product.manifest.digest,
        size=product.size,
        recipe=facts.recipe,
        base=facts.base,
        commit=facts.commit,
        smoke=facts.smoke,
        platforms=facts.platforms,
        replaces=decision.replaces,
        same_as=decision.same_as,
        late=decision.late,
    )

"""Make the ledger say what the registry has: for images published before there was one, and for what was deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.errors import UsageError
from scripts.release.lines import Back, Gone, Line, PlatformImage, Published
from scripts.release.notes import record
from scripts.release.product import blobs_of
from scripts.release.publish import make_revision
from scripts.release.published import find_product
from scripts.release.registry import get_if_there, head_manifest, list_tags
from scripts.release.revision import parse_revisions, revision_tag

if TYPE_CHECKING:
    from scripts.release.place import Place
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport

BEFORE = "published before the ledger was kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What a ledger lacks."""

    lines: tuple[Line, ...]
    first: Manifest | None
    """What the standard tag has, where that is no revision: it becomes the last of ``lines``, under its bytes."""


def plan_adoption(transport: Transport, place: Place, time: str, reason: str = "") -> Adoption:
    """The lines that make the ledgers say what the registry has; revisions that have changed are not among them.

    :param time: for all lines, as the ledger writes it.
    :param reason: why revisions are not in the registry any more.
    :raises UsageError: if there are such revisions, and no reason.
    :raises RegistryError: if the registry cannot be asked.
    """
    repository, tag, ledger = place.repository, place.tag, place.history()
    tags = list_tags(transport, repository)
    there = parse_revisions(tags, tag)
    written = {line.revision: line for line in ledger.published(str(repository), tag)}
    gone = ledger.gone(str(repository), tag)
    found = {
        number: manifest
        for number in there
        if (number not in written or number in gone)
        and (manifest := get_if_there(transport, repository.tag(revision_tag(tag, number))))
    }
    lines: list[Line] = [
        _published(transport, place, number, manifest, time)
        for number, manifest in found.items()
        if number not in written
    ]
    lines += [
        Back(repository=str(repository), tag=tag, revision=number, time=time, reason="in the registry again")
        for number, manifest in found.items()
        if number in gone and manifest.digest == written[number].digest
    ]
    # Also what is listed only: the registry has lost what such a tag pointed to.
    lost = [
        number
        for number in sorted(written.keys() - gone.keys())
        if number not in there or head_manifest(transport, repository.tag(revision_tag(tag, number))) is None
    ]
    if lost and not reason:
        names = ", ".join(f"r{number}" for number in lost)
        raise UsageError(
            f"{place.name}: {names} is not in the registry any more: --reason: say why, for who looks for it"
        )
    lines += [Gone(repository=str(repository), tag=tag, revision=number, time=time, reason=reason) for number in lost]
    standard = get_if_there(transport, repository.tag(tag)) if tag in tags else None
    known = {line.digest for line in (*written.values(), *lines) if isinstance(line, Published)}
    if standard is None or standard.digest in known:
        return Adoption(lines=tuple(lines), first=None)
    number = max([0, *written, *there]) + 1
    return Adoption(lines=(*lines, _published(transport, place, number, standard, time)), first=standard)


def apply_adoption(transport: Transport, place: Place, adoption: Adoption) -> None:
    """Write the lines, after the revision tag of what only has the standard tag.

    :raises TakenError: if somebody else makes that revision at this moment: look again.
    :raises RegistryError: if the registry refuses it.
    """
    if adoption.first:
        make_revision(transport, place, adoption.lines[-1].revision, adoption.first)
    if adoption.lines:
        record(place.ledger, *adoption.lines)


def _published(transport: Transport, place: Place, number: int, manifest: Manifest, time: str) -> Published:
    product = find_product(transport, place.repository, manifest)
    return Published(
        repository=str(place.repository),
        tag=place.tag,
        revision=number,
        time=time,
        reason=BEFORE,
        digest=manifest.digest,
        size=product.size,
        platforms=tuple(
            PlatformImage(
                platform=platform, digest=image.digest, size=sum(dict(blobs_of(image)).values()), untested=BEFORE
            )
            for platform, image in product.images.items()
        ),
        adopted=True,
    )

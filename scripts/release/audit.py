"""Compare everything that is published with the ledgers: the alarm for what must never change."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.errors import RegistryError
from scripts.release.artifacts import YANKED, YANKED_TYPE
from scripts.release.claims import parse_claims
from scripts.release.product import blobs_of
from scripts.release.published import images_of
from scripts.release.referrers import list_referrers
from scripts.release.registry import get_if_there, has_blob, head_manifest, list_tags
from scripts.release.revision import Found, compare, own_tags, parse_revisions, revision_tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.release.ledger import Ledger
    from scripts.release.reference import Repository
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport

# Where registries without the referrers API keep lists of referrers (distribution-spec, "Referrers Tag Schema").
REFERRERS = re.compile(r"sha256-[0-9a-f]{64}(\.\w+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it should be."""

    place: str
    """Repository, with the tag where it is about one."""
    what: str


def audit(
    transport: Transport, repository: Repository, standard_tags: Iterable[str], ledger: Ledger, *, blobs: bool = True
) -> Iterator[Difference]:
    """Every difference between a repository and the ledger.

    :param standard_tags: of all images of the version manifests that are published here.
    :param blobs: look also for every layer; one request for each that a revision has.
    :raises RegistryError: if the registry cannot be asked.
    """
    tags = list_tags(transport, repository)
    written = {line.tag for line in ledger.lines if line.repository == str(repository)}
    known = sorted({*standard_tags, *written})
    explained = {name for tag in known for name in (tag, *_of(own_tags(tags, tag), tag))}
    for name in tags:
        if name not in explained and not REFERRERS.fullmatch(name):
            yield Difference(place=f"{repository}:{name}", what="a tag that is no image's, no revision and no claim")
    seen = _Seen()
    for tag in known:
        yield from _audit_tag(transport, repository, tag, own_tags(tags, tag), ledger, seen if blobs else None)
    if blobs:
        yield from _audit_marks(repository, known, tags, ledger, seen.marks)


@dataclass(slots=True)
class _Seen:
    """What was looked at already: images of one family share layers, and revisions may share a digest."""

    digests: set[str] = field(default_factory=set)
    marks: set[str] = field(default_factory=set)
    """Revisions, as ``TAG-rN``, that the registry says are yanked."""


def _audit_marks(
    repository: Repository, known: Iterable[str], tags: Iterable[str], ledger: Ledger, marks: set[str]
) -> Iterator[Difference]:
    yanked = {revision_tag(tag, number) for tag in known for number in ledger.yanked(str(repository), tag)} & set(tags)
    for name in sorted(yanked ^ marks):
        where = "in the ledger, but not in the registry" if name in yanked else "in the registry, but not in the ledger"
        yield Difference(place=f"{repository}:{name}", what=f"is yanked {where}")


def _of(tags: Iterable[str], tag: str) -> Iterator[str]:
    yield from (revision_tag(tag, number) for number in parse_revisions(tags, tag))
    yield from (claim.name for claim in parse_claims(tags, tag))


def _audit_tag(
    transport: Transport, repository: Repository, tag: str, tags: Iterable[str], ledger: Ledger, seen: _Seen | None
) -> Iterator[Difference]:
    place = f"{repository}:{tag}"
    manifests = {
        number: get_if_there(transport, repository.tag(revision_tag(tag, number)))
        for number in parse_revisions(tags, tag)
    }
    found = Found(revisions={number: item.digest for number, item in manifests.items() if item}, standard=None)
    for what in compare(str(repository), tag, found, ledger):
        yield Difference(place=place, what=what)
    standard = head_manifest(transport, repository.tag(tag)) if tag in tags else None
    highest = max(found.revisions, default=0)
    if highest and (standard is None or standard.digest != found.revisions[highest]):
        is_now = standard.digest if standard else "not there"
        yield Difference(
            place=place, what=f"is {is_now}, its highest revision, r{highest}, is {found.revisions[highest]}"
        )
    if standard and not highest:
        yield Difference(place=place, what="has no revision")
    for number, manifest in manifests.items():
        if manifest is None:
            yield Difference(place=f"{place}-r{number}", what="is listed, but not there")
        elif seen is not None and manifest.digest not in seen.digests:
            seen.digests.add(manifest.digest)
            yield from _audit_content(transport, repository, f"{place}-r{number}", manifest, seen)


def _audit_content(
    transport: Transport, repository: Repository, place: str, manifest: Manifest, seen: _Seen
) -> Iterator[Difference]:
    yield from _audit_images(transport, repository, place, manifest, seen)
    for digest, size in blobs_of(manifest):
        if digest not in seen.digests:
            seen.digests.add(digest)
            try:
                if not has_blob(transport, repository.digest(digest), size=size):
                    yield Difference(place=place, what=f"blob {digest} is not there")
            except RegistryError as error:
                yield Difference(place=place, what=str(error))
    for referrer in list_referrers(transport, repository.digest(manifest.digest)):
        if referrer.artifact_type == YANKED_TYPE:
            seen.marks.add(referrer.annotations.get(YANKED, ""))
        if head_manifest(transport, repository.digest(referrer.descriptor.digest)) is None:
            yield Difference(place=place, what=f"referrer {referrer.descriptor.digest} is listed, but not there")


def _audit_images(
    transport: Transport, repository: Repository, place: str, index: Manifest, seen: _Seen
) -> Iterator[Difference]:
    """Differences of the images of an index; an image manifest names none."""
    for platform, digest in images_of(index):
        if digest not in seen.digests:
            seen.digests.add(digest)
            image = get_if_there(transport, repository.digest(digest))
            if image is None:
                yield Difference(place=place, what=f"its image of {platform}, {digest}, is not there")
            else:
                yield from _audit_content(transport, repository, f"{place} {platform}", image, seen)

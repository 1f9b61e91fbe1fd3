"""Compare everything that is published with the ledgers: the alarm for what must never change."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from scripts.release.ahead import Once, ask_ahead
from scripts.release.artifacts import YANKED, YANKED_TYPE
from scripts.release.claims import parse_claims
from scripts.release.product import blobs_of
from scripts.release.progress import counted
from scripts.release.published import images_of
from scripts.release.referrers import list_referrers
from scripts.release.refusal import CorruptError
from scripts.release.registry import get_if_there, has_blob, head_manifest, list_tags
from scripts.release.revision import Found, compare, own_tags, parse_revisions, revision_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

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
    transport: Transport,
    repository: Repository,
    standard_tags: Iterable[str],
    ledger: Ledger,
    say: Callable[[str], None] = lambda _: None,
    *,
    blobs: bool = True,
) -> Iterator[Difference]:
    """Every difference between a repository and the ledger; several revisions are looked at together.

    :param standard_tags: of all images of the version manifests that are published here.
    :param say: told now and then how far it is.
    :param blobs: look also for every layer; one request for each that a revision has.
    :raises RegistryError: if the registry cannot be asked.
    """
    tags = list_tags(transport, repository)
    written = {line.tag for line in ledger.lines if line.repository == str(repository)}
    known = {tag: own_tags(tags, tag) for tag in sorted({*standard_tags, *written})}
    explained = {name for tag, own in known.items() for name in (tag, *_explained(own, tag))}
    for name in tags:
        if name not in explained and not REFERRERS.fullmatch(name):
            yield Difference(place=f"{repository}:{name}", what="a tag that is no image's, no revision and no claim")
    auditor = _Auditor(transport, repository, frozenset(tags), blobs=blobs)
    told: set[str] = set()
    looks: list[_Look] = []
    items = list(_items(known))
    for look in counted(ask_ahead(auditor.look, items), len(items), f"{repository}: tags", say):
        looks.append(look)
        if look.number is None:  # the standard tag itself: the last of its tag
            yield from _compare(repository, looks, ledger)
            for item in looks:
                for finding in item.findings:
                    # Revisions share layers: what is missing is told of the first that has it.
                    if finding.what not in told:
                        yield Difference(place=f"{repository}:{item.name}{finding.where}", what=finding.what)
                    told.add(finding.what)
            looks = []
    if blobs:
        yield from _compare_marks(repository, known, tags, ledger, auditor.marks)


def _items(known: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, int | None]]:
    """What is to be looked at: of each tag its revisions, lowest first, then the tag itself, as None."""
    for tag, own in known.items():
        yield from ((tag, number) for number in parse_revisions(own, tag))
        yield tag, None


def _explained(own: Iterable[str], tag: str) -> Iterator[str]:
    yield from (revision_tag(tag, number) for number in parse_revisions(own, tag))
    yield from (claim.name for claim in parse_claims(own, tag))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Finding:
    """What is wrong with something that a revision consists of, or that is attached to it."""

    what: str
    """With the digest that it is about."""
    where: str = ""
    """Which image of an index it is about, with a space before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a tag was found to be."""

    tag: str
    number: int | None
    """Of the revision; None: the standard tag itself."""
    digest: str
    """Empty: it is not there."""
    findings: tuple[_Finding, ...] = ()

    @property
    def name(self) -> str:
        return self.tag if self.number is None else revision_tag(self.tag, self.number)


class _Auditor:
    """Looks at tags, several at a time; what they have in common is asked for once."""

    def __init__(self, transport: Transport, repository: Repository, listed: frozenset[str], *, blobs: bool) -> None:
        self.marks: set[str] = set()
        """Revisions, as ``TAG-rN``, that the registry says are yanked."""
        self._transport = transport
        self._repository = repository
        self._listed = listed
        self._blobs = blobs
        self._manifests = Once()
        self._there = Once()

    def look(self, item: tuple[str, int | None]) -> _Look:
        """Find out what a standard tag (number None) or one of its revisions is, and whether all of it is there."""
        tag, number = item
        if number is None:
            standard = head_manifest(self._transport, self._repository.tag(tag)) if tag in self._listed else None
            return _Look(tag=tag, number=None, digest=standard.digest if standard else "")
        manifest = get_if_there(self._transport, self._repository.tag(revision_tag(tag, number)))
        if manifest is None:
            return _Look(tag=tag, number=number, digest="")
        findings = self._contents(manifest) if self._blobs else ()
        return _Look(tag=tag, number=number, digest=manifest.digest, findings=findings)

    def _contents(self, manifest: Manifest) -> tuple[_Finding, ...]:
        return self._manifests.ask(manifest.digest, lambda: tuple(self._look_into(manifest)))

    def _look_into(self, manifest: Manifest) -> Iterator[_Finding]:
        for platform, digest in images_of(manifest):
            image = get_if_there(self._transport, self._repository.digest(digest))
            if image is None:
                yield _Finding(what=f"its image of {platform}, {digest}, is not there")
            else:
                for finding in self._contents(image):
                    yield replace(finding, where=f" {platform}{finding.where}")
        for digest, size in blobs_of(manifest):
            if what := self._there.ask(f"{digest} {size}", partial(self._blob, digest, size)):
                yield _Finding(what=what)
        for referrer in list_referrers(self._transport, self._repository.digest(manifest.digest)):
            digest = referrer.descriptor.digest
            if referrer.artifact_type == YANKED_TYPE:
                self.marks.add(referrer.annotations.get(YANKED, ""))
            if head_manifest(self._transport, self._repository.digest(digest)) is None:
                yield _Finding(what=f"referrer {digest} is listed, but not there")

    def _blob(self, digest: str, size: int) -> str:
        """What is wrong with a blob; empty: nothing."""
        try:
            there = has_blob(self._transport, self._repository.digest(digest), size=size)
        except CorruptError as error:
            return str(error)
        return "" if there else f"blob {digest} is not there"


def _compare(repository: Repository, looks: Iterable[_Look], ledger: Ledger) -> Iterator[Difference]:
    """Compare what the tags of one image are with each other and with the ledger.

    :param looks: at its revisions, then at the standard tag.
    """
    *revisions, standard = looks
    place = f"{repository}:{standard.tag}"
    there = {look.number: look.digest for look in revisions if look.number is not None and look.digest}
    for what in compare(str(repository), standard.tag, Found(revisions=there, standard=None), ledger):
        yield Difference(place=place, what=what)
    highest = max(there, default=0)
    if highest and standard.digest != there[highest]:
        is_now = standard.digest or "not there"
        yield Difference(place=place, what=f"is {is_now}, its highest revision, r{highest}, is {there[highest]}")
    if standard.digest and not highest:
        yield Difference(place=place, what="has no revision")
    for look in revisions:
        if not look.digest:
            yield Difference(place=f"{repository}:{look.name}", what="is listed, but not there")


def _compare_marks(
    repository: Repository, known: Iterable[str], tags: Iterable[str], ledger: Ledger, marks: set[str]
) -> Iterator[Difference]:
    yanked = {revision_tag(tag, number) for tag in known for number in ledger.yanked(str(repository), tag)} & set(tags)
    for name in sorted(yanked ^ marks):
        where = "in the ledger, but not in the registry" if name in yanked else "in the registry, but not in the ledger"
        yield Difference(place=f"{repository}:{name}", what=f"is yanked {where}")

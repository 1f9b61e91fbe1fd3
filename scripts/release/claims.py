"""Who may use the next number: an agreement between publishers that do not know each other, on plain tags.

Registries cannot make a tag only if there is none, so two publishers could both find that ``TAG-r15`` is free and both
write it. Therefore each first writes a claim, ``TAG-r15.claim-PUBLISHER-CONTENT``, and then looks whether there is
another. Who sees one gives way. Of two that write at the same time at least one sees the other's claim, as each looks
after it wrote; so at most one goes on, provided that the registry lists what it has stored (docs/publishing.md).

The publisher is part of the name, or one that gives way would take the claim of another with the same content back.
The content is, too: a request of a publisher that was killed may still arrive, and then must not meet another content
of the same publisher. The number of whoever gave way, or died, is not used again while its claim stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.errors import RegistryError
from scripts.release.artifacts import make_artifact, upload_empty
from scripts.release.refusal import NotFoundError, TakenError
from scripts.release.registry import delete_manifest, list_tags, put_manifest
from scripts.release.revision import parse_revisions, revision_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.release.place import Place
    from scripts.release.reference import Repository
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport

CLAIM_TYPE = "application/vnd.vessl.images.claim.v1"
_CLAIM = re.compile(
    r"(?P<tag>.+)-r(?P<revision>[1-9][0-9]*)\.claim-(?P<publisher>[0-9a-f]{8})-(?P<content>[0-9a-f]{8})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim on a revision."""

    tag: str
    revision: int
    publisher: str
    """As ``lock.locked`` gives it."""
    content: str
    """The start of the digest that is to be published."""

    @property
    def name(self) -> str:
        """The tag that says so."""
        return f"{revision_tag(self.tag, self.revision)}.claim-{self.publisher}-{self.content}"

    @property
    def manifest(self) -> Manifest:
        """A manifest of its own, so that it can be deleted by its digest and nothing else is."""
        return make_artifact(CLAIM_TYPE, {"ai.vessl.images.claim": self.name})


def claim_of(place: Place, revision: int, digest: str) -> Claim:
    """The claim of whoever publishes a digest at a place."""
    content = digest.removeprefix("sha256:")[:8]
    return Claim(tag=place.tag, revision=revision, publisher=place.publisher, content=content)


def parse_claims(tags: Iterable[str], tag: str) -> tuple[Claim, ...]:
    """The claims on revisions of one standard tag."""
    found = (_CLAIM.fullmatch(name) for name in tags)
    return tuple(
        Claim(tag=tag, revision=int(match["revision"]), publisher=match["publisher"], content=match["content"])
        for match in found
        if match and match["tag"] == tag
    )


def claim(transport: Transport, repository: Repository, wanted: Claim) -> None:
    """Claim a revision, and take back what the same publisher has claimed and not used.

    :raises TakenError: if another has a claim on it, or it is there already: decide anew, after a while.
    :raises RegistryError: whatever else goes wrong; also if the registry does not list the claim that it has stored.
    """
    upload_empty(transport, repository)
    put_manifest(transport, repository.tag(wanted.name), wanted.manifest)
    tags = _listing_with(transport, repository, wanted)
    claims = parse_claims(tags, wanted.tag)
    for stale in claims:
        if stale.publisher == wanted.publisher and stale.revision < wanted.revision:
            release(transport, repository, stale)
    others = [other for other in claims if other.revision == wanted.revision and other != wanted]
    if others or wanted.revision in parse_revisions(tags, wanted.tag):
        release(transport, repository, wanted)
        what = others[0].name if others else revision_tag(wanted.tag, wanted.revision)
        raise TakenError(f"{repository}:{what}: another publisher is at this revision")


def _listing_with(transport: Transport, repository: Repository, own: Claim) -> tuple[str, ...]:
    """The tags of a repository, once our claim is among them: a list from before it would not have another's either."""
    attempt = 0
    while own.name not in (tags := list_tags(transport, repository)):
        attempt += 1
        if not transport.patience.wait(attempt):
            release(transport, repository, own)
            raise RegistryError(
                f"{repository}: the registry does not list the tag {own.name} that it has just stored, so nobody can know "
                f"who else is publishing: try again later, and see docs/publishing.md"
            )
    return tags


def release(transport: Transport, repository: Repository, own: Claim) -> bool:
    """Take a claim back; whether the registry let it go.

    One that stays (registries that do not delete, accounts that may not) costs a number and a tag, no more: it is never
    a reason to fail.
    """
    try:
        delete_manifest(transport, repository.digest(own.manifest.digest))
    except NotFoundError:
        return True
    except RegistryError:
        return False
    return True

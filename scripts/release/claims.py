"""Who may use the next number: an agreement between publishers that do not know each other, on plain tags.

Registries cannot make a tag only if there is none, so two publishers could both find that ``TAG-r15`` is free and both
write it. Therefore each first writes a claim, ``TAG-r15.claim-<its digest>``, and then looks whether there is another.
Who sees one gives way. Of two that write at the same time at least one sees the other's claim, as each looks after it
wrote; so at most one goes on, provided that the registry lists what it has stored (see ``docs``). The number of whoever
gave way, or died, is not used again.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.release.artifacts import make_artifact, upload_empty
from scripts.release.refusal import NotFoundError, TakenError, UnsupportedError
from scripts.release.registry import delete_manifest, list_tags, put_manifest
from scripts.release.revision import parse_revisions, revision_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.release.reference import Repository
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport

CLAIM_TYPE = "application/vnd.vessl.images.claim.v1"
_CLAIM = re.compile(r"(?P<tag>.+)-r(?P<revision>[1-9][0-9]*)\.claim-(?P<owner>[0-9a-f]{12})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A claim on a revision, for one digest: the same digest may be published twice, it is the same revision."""

    tag: str
    revision: int
    owner: str

    @property
    def name(self) -> str:
        """The tag that says so."""
        return f"{revision_tag(self.tag, self.revision)}.claim-{self.owner}"

    @property
    def manifest(self) -> Manifest:
        """A manifest of its own, so that it can be deleted by its digest and nothing else is."""
        return make_artifact(CLAIM_TYPE, {"ai.vessl.images.claim": self.name})


def claim_of(tag: str, revision: int, digest: str) -> Claim:
    """The claim of whoever publishes a digest."""
    return Claim(tag=tag, revision=revision, owner=digest.removeprefix("sha256:")[:12])


def parse_claims(tags: Iterable[str], tag: str) -> tuple[Claim, ...]:
    """The claims on revisions of one standard tag."""
    found = (_CLAIM.fullmatch(name) for name in tags)
    return tuple(
        Claim(tag=tag, revision=int(match["revision"]), owner=match["owner"])
        for match in found
        if match and match["tag"] == tag
    )


def claim(transport: Transport, repository: Repository, wanted: Claim) -> None:
    """Claim a revision.

    :raises TakenError: if another has a claim on it, or it is there already: decide anew, after a while.
    :raises RegistryError: whatever else goes wrong.
    """
    upload_empty(transport, repository)
    put_manifest(transport, repository.tag(wanted.name), wanted.manifest)
    tags = list_tags(transport, repository)
    others = [
        other for other in parse_claims(tags, wanted.tag) if other.revision == wanted.revision and other != wanted
    ]
    if others or wanted.revision in parse_revisions(tags, wanted.tag):
        release(transport, repository, wanted)
        what = others[0].name if others else revision_tag(wanted.tag, wanted.revision)
        raise TakenError(f"{repository}:{what}: another publisher is at this revision")


def release(transport: Transport, repository: Repository, own: Claim) -> bool:
    """Take a claim back; whether the registry let it go. One that it keeps costs a number and a tag, no more."""
    try:
        delete_manifest(transport, repository.digest(own.manifest.digest))
    except NotFoundError:
        return True
    except UnsupportedError:
        return False
    return True

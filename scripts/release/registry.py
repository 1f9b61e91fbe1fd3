"""The verbs of a registry, each one request or two: tags, manifests, and whether a blob is there.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md. All raise what ``Transport.request`` raises.
Manifests are bytes: they are never parsed and written again, since their digest is that of the very bytes.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build.layout import Descriptor
from scripts.errors import RegistryError
from scripts.release.pages import pages
from scripts.release.reference import Digest, Tag, is_digest
from scripts.release.refusal import CorruptError, NotFoundError, TakenError, is_immutable
from scripts.release.tokens import scope
from scripts.release.wire import Request

if TYPE_CHECKING:
    from scripts.release.reference import Reference, Repository
    from scripts.release.refusal import Answer
    from scripts.release.transport import Transport

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEDIA_TYPES = (
    OCI_INDEX,
    OCI_MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Of image manifests and indexes. A registry converts, or says 404, where it thinks that a client knows less."""
PAGE_SIZE = 1000
"""Tags asked for at a time; registries give fewer where they want."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """An image manifest or index as it is stored."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """What the bytes hash to."""
        return digest_of(self.content)

    @property
    def descriptor(self) -> Descriptor:
        """What an index would point to it with."""
        return Descriptor(media_type=self.media_type, digest=self.digest, size=len(self.content))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a registry made of a manifest that was put."""

    descriptor: Descriptor
    subject: str
    """Digest that the registry now lists it under as a referrer; empty if it does not do that (``OCI-Subject``)."""


def digest_of(content: bytes) -> str:
    """The digest of bytes: ``sha256:...``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def list_tags(transport: Transport, repository: Repository) -> tuple[str, ...]:
    """All tags, sorted by us; none if the registry says that it has no such repository.

    distribution-spec, "Listing Tags". About one request for each ``PAGE_SIZE`` tags.

    :raises RegistryError: if the pages go round in a circle, or are none.
    """
    found: set[str] = set()
    try:
        for _, entries in pages(
            transport, repository, f"/tags/list?n={PAGE_SIZE}", key="tags", wanted="list of its tags"
        ):
            if not all(isinstance(entry, str) for entry in entries):
                raise RegistryError(f"{repository}: list of its tags: expected strings")
            found.update(entries)
    except NotFoundError as error:
        # Only a registry's own word counts: a 404 of anything else must not look like a place without tags.
        if not error.codes:
            raise
    return tuple(sorted(found))


def head_manifest(transport: Transport, reference: Reference) -> Descriptor | None:
    """What a tag or digest points to, None if there is no such thing.

    distribution-spec, "Checking if content exists in the registry". Older registries leave out the digest: then the
    manifest is fetched and hashed.
    """
    try:
        answer = _manifest(transport, reference, "HEAD")
    except NotFoundError:
        return None
    digest, size = answer.headers.get("Docker-Content-Digest", ""), answer.headers.get("Content-Length", "")
    media_type = _media_type(answer)
    if not (is_digest(digest) and size.isdecimal() and media_type):
        try:
            return get_manifest(transport, reference).descriptor
        except NotFoundError:
            return None
    _compare(reference, digest, None)
    return Descriptor(media_type=media_type, digest=digest, size=int(size))


def get_manifest(transport: Transport, reference: Reference) -> Manifest:
    """The manifest that a tag or digest points to, checked against every digest that is named.

    distribution-spec, "Pulling manifests".

    :raises NotFoundError: if there is none.
    :raises CorruptError: if its bytes are not what the reference or the registry says.
    """
    answer = _manifest(transport, reference, "GET")
    digest = digest_of(answer.body)
    _compare(reference, digest, answer)
    return Manifest(media_type=_media_type(answer) or _declared(answer.body, reference), content=answer.body)


def get_if_there(transport: Transport, reference: Reference) -> Manifest | None:
    """As ``get_manifest``, None if there is none."""
    try:
        return get_manifest(transport, reference)
    except NotFoundError:
        return None


def put_manifest(transport: Transport, reference: Reference, manifest: Manifest) -> Stored:
    """Store a manifest under a tag, which is moved if it exists, or under its digest.

    distribution-spec, "Pushing Manifests". What it points to must be there already. For one with a ``subject``, see
    ``referrers.attach``.

    :raises TakenError: if the registry keeps the tag as it is.
    :raises CorruptError: if the registry stored something else.
    """
    digest = manifest.digest
    if isinstance(reference, Digest) and reference.value != digest:
        raise CorruptError(f"{reference}: the manifest to be stored there is {digest}")
    repository = reference.repository
    request = Request(
        repository=repository,
        wanted=f"storing manifest {reference.identifier}",
        method="PUT",
        url=f"{repository.url}/manifests/{reference.identifier}",
        headers={"Content-Type": manifest.media_type},
        body=manifest.content,
    )
    answer = transport.ask(request, scope(repository, "pull", "push"))
    if answer.status not in {200, 201}:
        error = transport.refuse(request, answer)
        if isinstance(reference, Tag) and is_immutable(answer):
            raise TakenError(f"{error}; the registry keeps {reference} as it is")
        raise error
    said = answer.headers.get("Docker-Content-Digest", "")
    if is_digest(said) and said != digest:
        raise CorruptError(f"{reference}: sent {digest}, the registry stored {said}")
    return Stored(descriptor=manifest.descriptor, subject=answer.headers.get("OCI-Subject", ""))


def retag(transport: Transport, source: Reference, tag: Tag) -> Descriptor:
    """Make a tag point to what another reference points to, by its exact bytes, so that the digest is the same."""
    return put_manifest(transport, tag, get_manifest(transport, source)).descriptor


def delete_manifest(transport: Transport, reference: Reference) -> None:
    """Delete a tag, or by digest a manifest with all its tags.

    distribution-spec, "Content Management".

    :raises NotFoundError: if there is none.
    :raises UnsupportedError: if the registry does not delete, or not that kind of reference.
    """
    repository = reference.repository
    request = Request(
        repository=repository,
        wanted=f"deletion of {reference.identifier}",
        method="DELETE",
        url=f"{repository.url}/manifests/{reference.identifier}",
    )
    transport.request(request, scope(repository, "delete", "pull", "push"), expect=(200, 202, 204))


def has_blob(transport: Transport, blob: Digest, *, size: int | None = None) -> bool:
    """Whether a blob is in the repository.

    distribution-spec, "Checking if content exists in the registry".

    :param size: bytes that it must have, where the registry says how many it has.
    :raises CorruptError: if the registry has another digest or size for it.
    """
    repository = blob.repository
    request = Request(
        repository=repository, wanted=f"blob {blob.value}", method="HEAD", url=f"{repository.url}/blobs/{blob.value}"
    )
    try:
        answer = transport.request(request, scope(repository, "pull"))
    except NotFoundError:
        return False
    said, length = answer.headers.get("Docker-Content-Digest", ""), answer.headers.get("Content-Length", "")
    if is_digest(said) and said != blob.value:
        raise CorruptError(f"{blob}: the registry calls it {said}")
    if size is not None and length.isdecimal() and int(length) != size:
        raise CorruptError(f"{blob}: expected {size} bytes, the registry has {length}")
    return True


def _manifest(transport: Transport, reference: Reference, method: str) -> Answer:
    repository = reference.repository
    request = Request(
        repository=repository,
        wanted=f"manifest {reference.identifier}",
        method=method,
        url=f"{repository.url}/manifests/{reference.identifier}",
        headers={"Accept": ", ".join(MEDIA_TYPES)},
    )
    return transport.request(request, scope(repository, "pull"))


def _media_type(answer: Answer) -> str:
    """The type that an answer has, without parameters; empty if it is not that of a manifest."""
    found = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return found if found in MEDIA_TYPES else ""


def _declared(content: bytes, reference: Reference) -> str:
    """The type that a manifest says that it has, where the registry did not say it."""
    try:
        found = json.loads(content)["mediaType"]
    except (ValueError, KeyError, TypeError):
        found = None
    if found not in MEDIA_TYPES:
        raise RegistryError(f"{reference}: not an image manifest: it has no media type of one")
    return str(found)


def _compare(reference: Reference, digest: str, answer: Answer | None) -> None:
    """Refuse content whose digest is not the one asked for, or not the one that came with it."""
    if isinstance(reference, Digest) and reference.value != digest:
        raise CorruptError(f"{reference}: the registry gave {digest} in its place")
    said = answer.headers.get("Docker-Content-Digest", "") if answer else ""
    if is_digest(said) and said != digest:
        raise CorruptError(f"{reference}: the registry calls it {said}, but what it sent is {digest}")

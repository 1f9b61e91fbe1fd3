"""Documents and signed statements beside an image: attached as referrers, and found again."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build.layout import Descriptor
from scripts.release.artifacts import make_artifact, upload_bytes, upload_empty
from scripts.release.download import get_blob
from scripts.release.reference import MalformedError
from scripts.release.referrers import attach, list_referrers
from scripts.release.registry import digest_of, get_manifest
from scripts.release.statements import (
    BUNDLE,
    IN_TOTO,
    MalformedStatementError,
    Statement,
    parse_statement,
    read_payload,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scripts.release.reference import Digest
    from scripts.release.referrers import Referrer
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport

PREDICATE = "dev.sigstore.bundle.predicateType"
CONTENT = "dev.sigstore.bundle.content"
STATES = "in-toto.io/predicate-type"
"""Annotation of a statement that is not signed."""
LIMIT = 128 * 1024 * 1024
"""Bytes of a document: cosign takes no larger one either."""
# What the list of a registry without the referrers API says of a bundle that cosign attached there.
_OFTEN_WRONG = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document as it is attached."""

    kind: str
    """Its artifact type and media type."""
    content: bytes
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A signed statement that is attached to an image; ``content`` is what cosign verifies."""

    content: bytes
    statement: Statement


def statement_document(payload: bytes, predicate_type: str) -> Document:
    """A statement that nobody has signed."""
    return Document(kind=IN_TOTO, content=payload, annotations={STATES: predicate_type})


def bundle_document(content: bytes, predicate_type: str) -> Document:
    """A signed statement, annotated as cosign does it."""
    notes = {CONTENT: "dsse-envelope", PREDICATE: predicate_type}
    return Document(kind=BUNDLE, content=content, annotations=notes)


def attach_document(
    transport: Transport, image: Digest, subject: Descriptor, document: Document, known: Iterable[Referrer]
) -> Descriptor | None:
    """Attach a document to an image; None: it is attached already.

    :param known: the image's referrers.
    :raises RegistryError: if the registry does not take it.
    """
    content = document.content
    held = Descriptor(media_type=document.kind, digest=digest_of(content), size=len(content))
    manifest = make_artifact(document.kind, document.annotations, subject, held)
    if manifest.digest in {referrer.descriptor.digest for referrer in known}:
        return None
    upload_empty(transport, image.repository)
    upload_bytes(transport, image.repository, content)
    return attach(transport, image.repository, manifest)


def find_bundles(
    transport: Transport, image: Digest, predicate_type: str, known: Iterable[Referrer] | None = None
) -> Iterator[Bundle]:
    """The signed statements of one type that are attached to an image, not verified yet."""
    for referrer in list_referrers(transport, image) if known is None else known:
        if referrer.artifact_type not in {BUNDLE, _OFTEN_WRONG}:
            continue
        if referrer.annotations.get(PREDICATE, predicate_type) != predicate_type:
            continue
        place = image.repository.digest(referrer.descriptor.digest)
        content = _held(transport, place, get_manifest(transport, place), BUNDLE)
        # What anybody may have attached must not keep others' statements from being read.
        with suppress(MalformedStatementError):
            statement = parse_statement(read_payload(content or b"", str(place)), str(place))
            if statement.predicate_type == predicate_type:
                yield Bundle(content=content or b"", statement=statement)


def find_documents(
    transport: Transport,
    image: Digest,
    kind: str,
    predicate_type: str = "",
    known: Iterable[Referrer] | None = None,
) -> Iterator[bytes]:
    """The documents of one type that are attached to an image, signed by nobody.

    :param predicate_type: of in-toto statements, those of one type.
    """
    for referrer in list_referrers(transport, image) if known is None else known:
        if referrer.artifact_type == kind and referrer.annotations.get(STATES, "") == predicate_type:
            place = image.repository.digest(referrer.descriptor.digest)
            content = _held(transport, place, get_manifest(transport, place), kind)
            if content is not None:
                yield content


def _held(transport: Transport, place: Digest, manifest: Manifest, kind: str) -> bytes | None:
    """The one document of an artifact; None: it has none of that kind."""
    try:
        (layer,) = json.loads(manifest.content)["layers"]
        if layer["mediaType"] != kind:
            return None
        blob = place.repository.digest(layer["digest"])
    except (ValueError, KeyError, TypeError, MalformedError):
        return None
    return get_blob(transport, blob, limit=LIMIT)

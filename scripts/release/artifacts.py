"""Small OCI artifacts of our own: a manifest that says something, alone or with one document."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scripts.release.registry import OCI_MANIFEST, Manifest, digest_of
from scripts.release.upload import Blob, upload_blob

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.build.layout import Descriptor
    from scripts.release.reference import Repository
    from scripts.release.transport import Transport

YANKED_TYPE = "application/vnd.vessl.images.yanked.v1"
YANKED = "ai.vessl.images.yanked"
"""Annotation of a mark: the revision that is yanked, as ``TAG-rN``."""
EMPTY = b"{}"
"""The content of the empty descriptor (image-spec, manifest.md, "Guidance for an Empty Descriptor")."""


def make_artifact(
    kind: str,
    annotations: Mapping[str, str],
    subject: Descriptor | None = None,
    document: Descriptor | None = None,
) -> Manifest:
    """A manifest of an artifact type.

    :param subject: the manifest that it is about, for the registry to list it among that one's referrers.
    :param document: what it holds; None: it has only annotations.
    """
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(EMPTY), "size": len(EMPTY)}
    content: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": empty,
        "layers": [_entry(document) if document else empty],
        "annotations": dict(annotations),
    }
    if subject:
        content["subject"] = _entry(subject)
    return Manifest(media_type=OCI_MANIFEST, content=json.dumps(content).encode())


def _entry(descriptor: Descriptor) -> dict[str, Any]:
    return {"mediaType": descriptor.media_type, "digest": descriptor.digest, "size": descriptor.size}


def upload_empty(transport: Transport, repository: Repository) -> None:
    """Have the content of the empty descriptor in a repository, as its artifacts point to it.

    :raises RegistryError: if the registry does not take it.
    """
    upload_bytes(transport, repository, EMPTY)


def upload_bytes(transport: Transport, repository: Repository, content: bytes) -> None:
    """Have a small blob in a repository.

    :raises RegistryError: if the registry does not take it.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "content")
        path.write_bytes(content)
        upload_blob(transport, repository, Blob(digest=digest_of(content), size=len(content), path=path))

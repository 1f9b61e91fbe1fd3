"""Small OCI artifacts of our own: a manifest that says something, and no content."""

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

EMPTY = b"{}"
"""The content of the empty descriptor (image-spec, manifest.md, "Guidance for an Empty Descriptor")."""


def make_artifact(kind: str, annotations: Mapping[str, str], subject: Descriptor | None = None) -> Manifest:
    """A manifest of an artifact type that has only annotations.

    :param subject: the manifest that it is about, for the registry to list it among that one's referrers.
    """
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(EMPTY), "size": len(EMPTY)}
    content: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": kind,
        "config": empty,
        "layers": [empty],
        "annotations": dict(annotations),
    }
    if subject:
        content["subject"] = {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size}
    return Manifest(media_type=OCI_MANIFEST, content=json.dumps(content).encode())


def upload_empty(transport: Transport, repository: Repository) -> None:
    """Have the content of the empty descriptor in a repository, as its artifacts point to it.

    :raises RegistryError: if the registry does not take it.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder, "empty")
        path.write_bytes(EMPTY)
        upload_blob(transport, repository, Blob(digest=digest_of(EMPTY), size=len(EMPTY), path=path))

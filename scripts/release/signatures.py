"""Signatures of images as cosign keeps them, so that ``cosign verify`` finds them without an option.

https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md. The one artifact is found in two ways: by its tag,
``sha256-....sig``, and as a referrer of the image.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.errors import RegistryError
from scripts.release.artifacts import EMPTY, upload_bytes, upload_empty
from scripts.release.cosign import Signature
from scripts.release.download import get_blob
from scripts.release.referrers import attach, fallback_tag
from scripts.release.refusal import NotFoundError
from scripts.release.registry import OCI_MANIFEST, Manifest, digest_of, get_manifest, put_manifest
from scripts.release.statements import render_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.build.layout import Descriptor
    from scripts.release.reference import Digest, Repository, Tag
    from scripts.release.referrers import Referrer
    from scripts.release.transport import Transport

ARTIFACT = "application/vnd.dev.cosign.artifact.sig.v1+json"
PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
PAYLOAD_KIND = "cosign container image signature"
SIGNATURE = "dev.cosignproject.cosign/signature"
CERTIFICATE = "dev.sigstore.cosign/certificate"
LOG = "dev.sigstore.cosign/bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature that is attached to an image, not verified yet."""

    payload: bytes
    """What it is over."""
    signature: Signature

    @property
    def digest(self) -> str:
        """The image that the payload is about; empty if it is about none."""
        try:
            critical = json.loads(self.payload)["critical"]
            return str(critical["image"]["docker-manifest-digest"]) if critical["type"] == PAYLOAD_KIND else ""
        except (ValueError, KeyError, TypeError):
            return ""


def render_payload(repository: Repository, digest: str) -> bytes:
    """What a signature of an image is over."""
    return render_json(
        {
            "critical": {
                "identity": {"docker-reference": str(repository)},
                "image": {"docker-manifest-digest": digest},
                "type": PAYLOAD_KIND,
            },
            "optional": None,
        }
    )


def signature_tag(image: Digest) -> Tag:
    """The tag of an image's signatures."""
    return image.repository.tag(f"{fallback_tag(image).name}.sig")


def list_signatures(transport: Transport, image: Digest) -> tuple[Signed, ...]:
    """The signatures that are attached to an image.

    :raises RegistryError: if what is there is none.
    """
    return tuple(_read(transport, image.repository, layer) for layer in _layers(transport, image))


def attach_signature(transport: Transport, subject: Descriptor, image: Digest, signed: Signed) -> Descriptor:
    """Add a signature to those of an image; the others' stay.

    :raises RegistryError: if the registry does not take it.
    """
    notes = {SIGNATURE: signed.signature.value}
    if signed.signature.certificate:
        notes |= {CERTIFICATE: signed.signature.certificate, LOG: json.dumps(signed.signature.log)}
    payload = signed.payload
    layer = {"mediaType": PAYLOAD, "digest": digest_of(payload), "size": len(payload), "annotations": notes}
    content = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": ARTIFACT,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(EMPTY), "size": len(EMPTY)},
        "layers": [*_layers(transport, image), layer],
        "subject": {"mediaType": subject.media_type, "digest": subject.digest, "size": subject.size},
    }
    upload_empty(transport, image.repository)
    upload_bytes(transport, image.repository, payload)
    manifest = Manifest(media_type=OCI_MANIFEST, content=render_json(content))
    put_manifest(transport, signature_tag(image), manifest)
    return attach(transport, image.repository, manifest)


def list_as_referrer(transport: Transport, image: Digest, known: Iterable[Referrer]) -> Descriptor | None:
    """Have an image's signatures among its referrers, where a run was cut off in between; None: they are.

    What cosign itself has signed names no subject, and stays as it is.
    """
    manifest = get_manifest(transport, signature_tag(image))
    if manifest.digest in {item.descriptor.digest for item in known} or b'"subject"' not in manifest.content:
        return None
    return attach(transport, image.repository, manifest)


def _layers(transport: Transport, image: Digest) -> list[dict[str, Any]]:
    tag = signature_tag(image)
    try:
        manifest = get_manifest(transport, tag)
    except NotFoundError:
        return []
    try:
        layers = json.loads(manifest.content)["layers"]
        return [layer for layer in layers if layer["mediaType"] == PAYLOAD]
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"{tag}: not signatures of cosign's: {error!r}") from error


def _read(transport: Transport, repository: Repository, layer: dict[str, Any]) -> Signed:
    try:
        notes = layer["annotations"]
        log = json.loads(notes[LOG]) if notes.get(LOG) else None
        signature = Signature(value=notes[SIGNATURE], certificate=notes.get(CERTIFICATE, ""), log=log)
        payload = get_blob(transport, repository.digest(layer["digest"]))
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"{repository}: a signature of cosign's is malformed: {error!r}") from error
    return Signed(payload=payload, signature=signature)

"""What says something about an image and is stored beside it: inventories, SBOMs, signatures, marks of a yank.

distribution-spec, "Listing Referrers" and "Pushing Manifests with Subject". A registry without the referrers API keeps
the list as an index under a tag that is made from the digest; then it is us who keep that list.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scripts.build.layout import Descriptor
from scripts.errors import RegistryError
from scripts.release.pages import pages
from scripts.release.reference import MalformedError
from scripts.release.refusal import NotFoundError, TemporaryError, UnsupportedError
from scripts.release.registry import OCI_INDEX, Manifest, get_manifest, put_manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scripts.release.reference import Digest, Repository, Tag
    from scripts.release.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Referrer:
    """A manifest that has another as its subject."""

    descriptor: Descriptor
    artifact_type: str
    annotations: Mapping[str, str] = field(default_factory=dict)


def fallback_tag(subject: Digest) -> Tag:
    """The tag under which the referrers of a digest are listed where there is no API for it."""
    return subject.repository.tag(subject.value.replace(":", "-"))


def list_referrers(transport: Transport, subject: Digest, artifact_type: str = "") -> tuple[Referrer, ...]:
    """The manifests that have a digest as their subject, in the registry's order.

    :param artifact_type: those of one type only.
    :raises RegistryError: if the list is malformed, and as ``Transport.request`` does.
    """
    wanted = f"referrers of {subject.value}"
    entries: list[Any] = []
    try:
        for _, page in pages(
            transport, subject.repository, f"/referrers/{subject.value}", key="manifests", wanted=wanted
        ):
            entries += page
    except (NotFoundError, UnsupportedError):
        index = _read_index(transport, fallback_tag(subject))
        entries = index["manifests"] if index else []
    # A registry may filter or not, and says so in a header; what is filtered twice stays the same.
    found = _parse(entries, f"{subject.repository}: {wanted}")
    return tuple(item for item in found if artifact_type in {"", item.artifact_type})


def attach(transport: Transport, repository: Repository, manifest: Manifest) -> Descriptor:
    """Store a manifest that has a ``subject``, so that it is listed among the subject's referrers.

    Where that list is a tag, two writers at the same moment can lose an entry: it is read again, and written again.

    :raises RegistryError: if the manifest has no subject, the tag holds something else, or the entry does not stay.
    """
    entry, subject = _entry(repository, manifest)
    stored = put_manifest(transport, repository.digest(manifest.digest), manifest)
    if stored.subject:
        return stored.descriptor
    tag = fallback_tag(subject)
    written = 0
    while True:
        index = _read_index(transport, tag)
        if _lists(index, manifest.digest):
            return stored.descriptor
        if written:
            # Lost to another writer, or a stale answer: only what is read after a while is worth building on.
            if not transport.patience.wait(written):
                raise TemporaryError(f"{tag}: {manifest.digest} was added {written} times, and is still not listed")
            if _lists(index := _read_index(transport, tag), manifest.digest):
                return stored.descriptor
        entries = [*(index["manifests"] if index else []), entry]
        new = {"schemaVersion": 2, "mediaType": OCI_INDEX, **(index or {}), "manifests": entries}
        put_manifest(
            transport, tag, Manifest(media_type=OCI_INDEX, content=json.dumps(new, separators=(",", ":")).encode())
        )
        written += 1


def _lists(index: Mapping[str, Any] | None, digest: str) -> bool:
    return index is not None and any(item.get("digest") == digest for item in index["manifests"])


def _entry(repository: Repository, manifest: Manifest) -> tuple[dict[str, Any], Digest]:
    """What the list has for a manifest, and its subject."""
    try:
        content = json.loads(manifest.content)
        subject = repository.digest(content["subject"]["digest"])
        # "artifactType MUST be set to the config's media type" where the manifest itself has none.
        artifact_type = content.get("artifactType") or content.get("config", {}).get("mediaType", "")
        annotations = content.get("annotations") or {}
    except (ValueError, KeyError, TypeError, AttributeError, MalformedError) as error:
        raise RegistryError(f"{repository}@{manifest.digest}: a manifest without subject refers to nothing") from error
    found = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.content),
        "artifactType": artifact_type,
    }
    return found | ({"annotations": annotations} if annotations else {}), subject


def _read_index(transport: Transport, tag: Tag) -> dict[str, Any] | None:
    try:
        manifest = get_manifest(transport, tag)
    except NotFoundError:
        return None
    try:
        index = json.loads(manifest.content)
        if manifest.media_type == OCI_INDEX and all(isinstance(item, dict) for item in index["manifests"]):
            return dict(index)
    except (ValueError, KeyError, TypeError):
        pass
    raise RegistryError(f"{tag}: expected an index of referrers, got {manifest.media_type} with something else")


def _parse(entries: Iterable[Any], where: str) -> list[Referrer]:
    found = []
    for number, entry in enumerate(entries):
        try:
            descriptor = Descriptor(media_type=entry["mediaType"], digest=entry["digest"], size=entry["size"])
            artifact_type, annotations = entry.get("artifactType") or "", entry.get("annotations") or {}
        except (KeyError, TypeError, AttributeError) as error:
            raise RegistryError(f"{where}: manifests[{number}]: expected mediaType, digest and size") from error
        found.append(Referrer(descriptor=descriptor, artifact_type=artifact_type, annotations=annotations))
    return found

"""The product as a registry takes it: the very bytes of an OCI layout, so what was tested is what is published."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.build.layout import read_descriptor
from scripts.contents.platforms import platform_of
from scripts.errors import BuildError
from scripts.release.registry import Manifest, digest_of
from scripts.release.upload import Blob

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """What is published under one tag: an image, or an index of one for each platform."""

    manifest: Manifest
    blobs: tuple[Blob, ...]
    images: Mapping[str, Manifest] = field(default_factory=dict)
    """Of an index: the image manifests that it names, by platform."""

    @property
    def size(self) -> int:
        """Bytes of the config and all layers, each once."""
        return sum({blob.digest: blob.size for blob in self.blobs}.values())


def load_product(layout: Path) -> Product:
    """The image or index of a layout; blobs are only looked up, since their digests are verified as they are sent.

    :raises BuildError: if the layout is not of one image or index, or something is missing or has another size or digest.
    """
    descriptor = read_descriptor(layout)
    try:
        manifest = _manifest(layout, descriptor.digest, descriptor.media_type)
        images = {
            platform_of(entry["platform"]): _manifest(layout, entry["digest"], entry["mediaType"])
            for entry in json.loads(manifest.content).get("manifests", ())
        }
        blobs = tuple(
            Blob(digest=digest, size=size, path=_path(layout, digest))
            for image in images.values() or (manifest,)
            for digest, size in blobs_of(image)
        )
        for blob in blobs:
            if blob.path.stat().st_size != blob.size:
                raise BuildError(
                    f"{layout}: {blob.digest} is not {blob.size} bytes: the layout is damaged, build it again"
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(f"{layout}: the layout is damaged, build it again: {error}") from error
    return Product(manifest=manifest, blobs=blobs, images=images)


def blobs_of(manifest: Manifest) -> Iterator[tuple[str, int]]:
    """Digest and size in bytes of what an image manifest points to; none for an index."""
    raw = json.loads(manifest.content)
    items = [raw["config"], *raw.get("layers", ())] if "config" in raw else []
    yield from ((item["digest"], item["size"]) for item in items)


def _manifest(layout: Path, digest: str, media_type: str) -> Manifest:
    content = _path(layout, digest).read_bytes()
    if digest_of(content) != digest:
        raise BuildError(f"{layout}: the manifest is not {digest}: the layout is damaged, build it again")
    return Manifest(media_type=media_type, content=content)


def _path(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")

"""The product as a registry takes it: the very bytes of an OCI layout, so what was tested is what is published."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build.layout import read_descriptor
from scripts.errors import BuildError
from scripts.release.registry import Manifest, digest_of
from scripts.release.upload import Blob

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """One image: its manifest and what that points to."""

    manifest: Manifest
    blobs: tuple[Blob, ...]

    @property
    def size(self) -> int:
        """Bytes of the config and all layers, each once."""
        return sum({blob.digest: blob.size for blob in self.blobs}.values())


def load_product(layout: Path) -> Product:
    """The image of a layout; blobs are only looked up, since their digests are verified as they are sent.

    :raises BuildError: if the layout is not of one image, or something is missing or has another size or digest.
    """
    descriptor = read_descriptor(layout)
    try:
        content = _path(layout, descriptor.digest).read_bytes()
        if digest_of(content) != descriptor.digest:
            raise BuildError(
                f"{layout}: the manifest is not {descriptor.digest}: the layout is damaged, build it again"
            )
        raw = json.loads(content)
        blobs = tuple(
            Blob(digest=item["digest"], size=item["size"], path=_path(layout, item["digest"]))
            for item in (raw["config"], *raw["layers"])
        )
        for blob in blobs:
            if blob.path.stat().st_size != blob.size:
                raise BuildError(
                    f"{layout}: {blob.digest} is not {blob.size} bytes: the layout is damaged, build it again"
                )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(f"{layout}: the layout is damaged, build it again: {error}") from error
    return Product(manifest=Manifest(media_type=descriptor.media_type, content=content), blobs=blobs)


def _path(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")

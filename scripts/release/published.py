"""A published image, read from its registry: by the inventory that is attached to it, else from its layers."""

from __future__ import annotations

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from scripts.contents.inventory_read import WORKERS, of_platform, read_file
from scripts.contents.layers import Image, LayerError, image_of
from scripts.contents.platforms import INDEXES, choose, platform_of
from scripts.errors import RegistryError
from scripts.release.download import copy_blob, get_blob
from scripts.release.product import Product, blobs_of
from scripts.release.registry import get_manifest
from scripts.release.upload import Blob

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from scripts.contents.inventory_files import LayerFiles
    from scripts.contents.inventory_read import Known
    from scripts.release.reference import Digest, Reference, Repository
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport

    Say = Callable[[str], None]


def find_digest(transport: Transport, reference: Reference, platform: str | None, say: Say) -> Digest:
    """The image that a reference means: what it points to, or the one of the platform where that is an index.

    :raises NotFoundError: if there is none.
    :raises UsageError: if it has none for the platform.
    """
    manifest = get_manifest(transport, reference)
    while manifest.media_type in INDEXES:
        try:
            entry = choose(json.loads(manifest.content)["manifests"], platform, str(reference), say)
            digest = reference.repository.digest(str(entry["digest"]))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise RegistryError(f"{reference}: its index is malformed: {error!r}") from error
        manifest = get_manifest(transport, digest)
    return reference.repository.digest(manifest.digest)


def list_platforms(transport: Transport, reference: Reference) -> tuple[str, ...]:
    """The platforms of what a reference names: those of an index, or that of an image.

    :raises NotFoundError: if there is none.
    """
    manifest = get_manifest(transport, reference)
    if manifest.media_type in INDEXES:
        return tuple(platform for platform, _ in images_of(manifest))
    image = load_published(transport, reference.repository.digest(manifest.digest), None)
    return (platform_of(image.config),)


def find_product(transport: Transport, repository: Repository, manifest: Manifest) -> Product:
    """What a repository has, with all that it points to: as if it was to be published from there.

    All blobs are there; those that are not would have to be read from the disk, and fail with their digest.

    :raises RegistryError: if the registry does not have it whole.
    """
    images = {platform: get_manifest(transport, repository.digest(digest)) for platform, digest in images_of(manifest)}
    blobs = tuple(
        Blob(digest=digest, size=size, path=Path("not on this machine"))
        for item in images.values() or (manifest,)
        for digest, size in blobs_of(item)
    )
    return Product(manifest=manifest, blobs=blobs, images=images)


def images_of(index: Manifest) -> tuple[tuple[str, str], ...]:
    """Platform and digest of each image of an index; none of an image manifest.

    :raises RegistryError: if it is malformed.
    """
    try:
        entries = json.loads(index.content).get("manifests", ())
        found = tuple((platform_of(entry.get("platform") or {}), str(entry["digest"])) for entry in entries)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(f"{index.digest}: its index is malformed: {error!r}") from error
    return tuple(item for item in found if item[0] != "unknown/unknown")


def load_published(transport: Transport, image: Digest, platform: str | None) -> Image:
    """The config and the list of layers of a published image.

    :raises RegistryError: if it is not well formed, or not to be had.
    """

    def blob(name: str) -> bytes:
        if name == image.value:
            return get_manifest(transport, image).content
        return get_blob(transport, image.repository.digest(name))

    try:
        return of_platform(image_of(image.value, blob), platform, str(image))
    except LayerError as error:
        raise RegistryError(f"{image.repository}: {error}") from error


def read_published(transport: Transport, place: Digest, image: Image, known: Known, say: Say) -> None:
    """Read the layers of a published image into ``known``, those that are not there yet.

    Each is kept as a file only until it was read, as a download that breaks is taken up again.

    :raises RegistryError: if one is not to be had, is not what its digest says, or is damaged.
    """
    sizes = {layer.digest: layer.size for layer in image.layers if layer.digest not in known}
    if not sizes:
        return
    say(f"{place}: reading {len(sizes)} layers, {sum(sizes.values()) / 1e6:.0f} MB")
    with TemporaryDirectory(prefix="images-") as folder, ProcessPoolExecutor(min(WORKERS, len(sizes))) as pool:
        reading: dict[str, Future[LayerFiles]] = {}
        for digest in sorted(sizes, key=lambda digest: -sizes[digest]):
            path = Path(folder, digest.replace(":", "-"))
            with path.open("wb") as file:
                copy_blob(transport, place.repository.digest(digest), file)
            reading[digest] = pool.submit(read_file, path, digest)
            reading[digest].add_done_callback(lambda _, path=path: path.unlink(missing_ok=True))  # type: ignore[misc]
        try:
            known.update({digest: future.result() for digest, future in reading.items()})
        except LayerError as error:
            raise RegistryError(f"{place.repository}: {error}") from error

"""Inventories beside published images: attached as referrers, found again, and believed only where they fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts.build.layout import Descriptor
from scripts.contents.inventory import MEDIA_TYPE, Inventory, parse_inventory
from scripts.errors import ImagesError, RegistryError
from scripts.release.artifacts import make_artifact, upload_bytes, upload_empty
from scripts.release.download import get_blob
from scripts.release.referrers import attach, list_referrers
from scripts.release.registry import digest_of, get_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.release.reference import Digest, Repository
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport


class MisfitError(RegistryError):
    """What is attached to an image is not its inventory."""


def attach_inventory(transport: Transport, repository: Repository, manifest: Manifest, content: bytes) -> Descriptor:
    """Store the inventory of an image beside it, and list it among its referrers; done twice, it is there once.

    :param manifest: that of the image, which the repository has.
    :param content: the inventory as ``render_inventory`` gives it.
    :raises MisfitError: if it is the inventory of another image.
    :raises RegistryError: if the registry does not take it.
    """
    _check(parse_inventory(content, "the inventory to be attached"), manifest.digest, str(repository))
    document = Descriptor(media_type=MEDIA_TYPE, digest=digest_of(content), size=len(content))
    upload_empty(transport, repository)
    upload_bytes(transport, repository, content)
    return attach(transport, repository, make_artifact(MEDIA_TYPE, {}, manifest.descriptor, document))


def find_inventory(transport: Transport, image: Digest, say: Callable[[str], None]) -> Inventory | None:
    """The inventory that is attached to an image; None: there is none that fits, and a line says why each does not.

    That it names the image and is what its digest says does not tell who made it: that is for a signature to say.
    """
    try:
        referrers = list_referrers(transport, image, MEDIA_TYPE)
    except RegistryError as error:
        say(f"{error}; reading the layers")
        return None
    for referrer in referrers:
        attached = image.repository.digest(referrer.descriptor.digest)
        try:
            return _load(transport, attached, image)
        except ImagesError as error:
            say(f"{image}: the inventory attached to it is not used: {error}; reading the layers")
    return None


def _load(transport: Transport, attached: Digest, image: Digest) -> Inventory:
    try:
        raw = json.loads(get_manifest(transport, attached).content)
        (document,) = raw["layers"]
        subject, digest = raw["subject"]["digest"], document["digest"]
    except (ValueError, KeyError, TypeError) as error:
        raise MisfitError(f"{attached}: not an artifact with a subject and one document") from error
    if subject != image.value:
        raise MisfitError(f"{attached}: its subject is {subject}")
    content = get_blob(transport, image.repository.digest(digest))
    inventory = parse_inventory(content, str(attached))
    _check(inventory, image.value, str(attached))
    return inventory


def _check(inventory: Inventory, digest: str, where: str) -> None:
    if inventory.image.digest != digest:
        raise MisfitError(f"{where}: it is the inventory of {inventory.image.digest}, not of {digest}")

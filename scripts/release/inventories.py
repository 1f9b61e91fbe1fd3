"""Inventories beside published images: found among their referrers, and believed only where they fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts.contents.inventory import MEDIA_TYPE, Inventory, parse_inventory
from scripts.errors import ImagesError, RegistryError
from scripts.release.download import get_blob
from scripts.release.referrers import list_referrers
from scripts.release.registry import get_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.release.reference import Digest
    from scripts.release.transport import Transport


class MisfitError(RegistryError):
    """What is attached to an image is not its inventory."""


def find_inventory(transport: Transport, image: Digest, say: Callable[[str], None]) -> Inventory | None:
    """The inventory that is attached to an image; None: there is none that fits, or several, and a line says why.

    That it names the image and is what its digest says does not tell who made it: that is for a signature to say.
    """
    try:
        referrers = list_referrers(transport, image, MEDIA_TYPE)
    except RegistryError as error:
        say(f"{error}; reading the layers")
        return None
    found: list[Inventory] = []
    for referrer in referrers:
        attached = image.repository.digest(referrer.descriptor.digest)
        try:
            found.append(_load(transport, attached, image))
        except ImagesError as error:
            say(f"{image}: the inventory attached to it is not used: {error}; reading the layers")
    if any(other != found[0] for other in found):
        say(f"{image}: {len(found)} inventories are attached to it, which differ: none is used; reading the layers")
        return None
    return found[0] if found else None


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
    if inventory.image.digest != image.value:
        raise MisfitError(f"{attached}: it is the inventory of {inventory.image.digest}, not of {image.value}")
    return inventory

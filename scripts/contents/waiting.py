"""The distribution's updates that wait for an image: what its packages are, and what the archive of its release has now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.contents.apt import load_packages, read_packages
from scripts.contents.changes import debian_order
from scripts.contents.difference_words import EXPOSED
from scripts.contents.inventory_system import parse_os_release
from scripts.contents.layers import LayerError, entries, load_image, open_layer
from scripts.contents.words import count_of, harmless, listed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from scripts.build.archive import Offer
    from scripts.contents.inventory import Inventory, System

NAMED = 3
"""Packages that a line names."""
LEFT_OUT = "0"
"""Version of an empty package that stands for one that is left out on purpose (scripts/image/system/make-system)."""
OS_RELEASE = ("usr/lib/os-release", "etc/os-release")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What an image has of its distribution."""

    system: System | None
    packages: Mapping[str, str]
    """Name to version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A package that the archive has a newer version of."""

    name: str
    before: str
    after: str
    source: str
    security: bool


def installed_in(inventory: Inventory) -> Installed:
    """What an inventory says."""
    return Installed(system=inventory.system, packages={package.name: package.version for package in inventory.apt})


def read_installed(layout: Path, digest: str) -> Installed:
    """What a build has: as it was noted beside it, else out of its layers.

    :raises LayerError: if a layer is missing or damaged.
    """
    return Installed(
        system=_read_system(layout, digest), packages=load_packages(layout) or read_packages(layout, digest)
    )


def find_waiting(packages: Mapping[str, str], offers: Mapping[str, Offer]) -> tuple[Waiting, ...]:
    """What waits, security updates and the most exposed packages first; what the archive does not have does not wait."""
    found = [
        Waiting(name=name, before=version, after=offer.version, source=offer.source, security=offer.security)
        for name, version in packages.items()
        if version != LEFT_OUT and (offer := offers.get(name)) and debian_order(version, offer.version)[0] == 1
    ]
    exposed = list(EXPOSED)
    last = len(exposed)

    def order(item: Waiting) -> tuple[bool, int, str]:
        return not item.security, exposed.index(item.source) if item.source in EXPOSED else last, item.name

    return tuple(sorted(found, key=order))


def waiting_words(found: Sequence[Waiting]) -> str:
    """So many packages, and which: ``12 packages, 3 of them security updates: openssl, libc6, curl and 9 more``."""
    if not found:
        return "none"
    security = sum(item.security for item in found)
    names = list(dict.fromkeys(EXPOSED.get(item.source, item.name) for item in found))
    more = len(names) - NAMED
    text = f"{', '.join(names[:NAMED])} and {more} more" if more > 0 else listed(names)
    counts = count_of(len(found), "package")
    return harmless(f"{counts}, {security} of them security updates: {text}" if security else f"{counts}: {text}")


def _read_system(layout: Path, digest: str) -> System | None:
    """The distribution, by the lowest layer that says: that is the base's."""
    for layer in load_image(layout, digest).layers:
        try:
            with open_layer(layout, layer) as stream:
                for entry, read in entries(stream):
                    if entry.isfile() and entry.name.removeprefix("./") in OS_RELEASE:
                        return parse_os_release(read())
        except LayerError as error:
            raise LayerError(f"{layer.digest}: {error}") from error
    return None

"""What to use in place of an image that is not maintained any more: found in the data, so that it is never out of date."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from scripts.recipe.family import State

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.catalogue.model import Image

MOST = 3
FRAMEWORKS = {"torch": "torch", "tensorflow": "tensorflow", "tensorflow-cpu": "tensorflow"}
"""What people choose an image for, by the name of the package."""


def add_substitutes(images: Iterable[Image]) -> tuple[Image, ...]:
    """The images in their order, those that are not active with the ones to use in their place."""
    found = tuple(images)
    active = [image for image in found if image.state == State.ACTIVE and image.current]
    return tuple(
        image if image.state == State.ACTIVE else replace(image, instead=_substitutes(image, active)) for image in found
    )


def frameworks(image: Image) -> frozenset[str]:
    """Torch and tensorflow, whichever an image is declared to have, or was measured to."""
    current = image.current
    measured = current.contents.versions if current and current.contents else {}
    return frozenset(FRAMEWORKS[name] for name in (*image.versions, *measured) if name in FRAMEWORKS)


def _substitutes(image: Image, active: Iterable[Image]) -> tuple[str, ...]:
    """Those of the same repository; where it has none, those with the same framework. The newest versions first."""
    same = [other for other in active if other.repository == image.repository]
    if not same and (wanted := frameworks(image)):
        same = [other for other in active if wanted <= frameworks(other)]
    ordered = sorted(same, key=lambda other: (other.gpu == image.gpu, version_key(other.tag)), reverse=True)
    return tuple(other.id for other in ordered[:MOST])


def version_key(tag: str) -> tuple[Version, str]:
    """What standard tags are sorted by: 3.9 before 3.11."""
    try:
        return Version(tag.partition("-")[0]), tag
    except InvalidVersion:
        return Version("0"), tag

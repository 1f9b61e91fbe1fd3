"""The rows of the index and what they can be filtered by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.version import InvalidVersion, Version

from scripts.catalogue.instead import version_key
from scripts.catalogue.model import RETIRED
from scripts.catalogue.words import version_of
from scripts.contents.drivers import lowest_driver
from scripts.contents.words import MB
from scripts.recipe.family import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scripts.catalogue.model import Catalogue, Image, Revision

    Choice = tuple[str, str, list[tuple[str, str]]]

STATES = (*map(str, State), RETIRED)
SIZES = (500, 1000, 2000, 3000, 5000, 10000)
"""Megabytes that an image may be asked to be smaller than."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An image in the index; texts are empty where nothing is known."""

    image: Image
    current: Revision | None
    python: str
    cuda: str
    torch: str
    tensorflow: str
    size: int
    updated: str
    driver: str
    """Oldest driver of the host: measured, else what its CUDA needs."""
    more: str
    """What else it is found by."""


def rows_of(catalogue: Catalogue) -> list[Row]:
    """The published images, those to be used first."""
    found = [_row(image) for image in catalogue.published]
    found.sort(key=lambda row: version_key(row.image.tag), reverse=True)
    return sorted(found, key=lambda row: (STATES.index(row.image.state), row.image.family, row.image.repository))


def _row(image: Image) -> Row:
    current = image.current
    cuda = version_of(image, "cuda")
    measured = current.contents.lowest_driver if current and current.contents else None
    return Row(
        image=image,
        current=current,
        python=version_of(image, "python"),
        cuda=cuda,
        torch=version_of(image, "torch"),
        tensorflow=version_of(image, "tensorflow", "tensorflow-cpu"),
        size=current.size if current else 0,
        updated=current.time if current else "",
        driver=(measured or (lowest_driver(cuda) if cuda else None) or "") if image.gpu else "",
        more=" ".join(filter(None, (image.base, image.reason, "gpu" if image.gpu else "cpu"))),
    )


def choices_of(rows: Sequence[Row]) -> list[Choice]:
    """Name, label and values of each filter, those with a choice only."""
    versions = {name: {getattr(row, name) for row in rows} for name in ("python", "cuda", "torch", "tensorflow")}
    labels = {"python": "Python", "cuda": "CUDA", "torch": "PyTorch", "tensorflow": "TensorFlow"}
    family = sorted({row.image.family for row in rows})
    states = [state for state in STATES if any(row.image.state == state for row in rows)]
    platforms = sorted({platform for row in rows for platform in row.image.platforms})
    return [
        ("family", "Family", [(name, name) for name in family]),
        *((name, labels[name], _choices(found)) for name, found in versions.items()),
        ("state", "State", [(state, state) for state in states]),
        ("platform", "Platform", [(name, name) for name in platforms]),
    ]


def _choices(found: Iterable[str]) -> list[tuple[str, str]]:
    """Versions, newest first, and none where an image has none."""
    ordered = sorted(filter(None, found), key=_key, reverse=True)
    return [*((version, version) for version in ordered), *([("-", "none")] if "" in found else [])]


def _key(version: str) -> tuple[Version, str]:
    try:
        return Version(version), version
    except InvalidVersion:
        return Version("0"), version


def size_choices() -> list[tuple[int, str]]:
    """Bytes and words of the limits of size."""
    return [(size * MB, f"up to {size // 1000} GB" if size >= 1000 else f"up to {size} MB") for size in SIZES]

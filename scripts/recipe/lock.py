"""Locks: for each row, the exact distributions of each layer of Python packages, with the hashes of their wheels.

A lock is a folder ``FAMILY/locks/VERSION/`` with a requirements file for each layer (pip's format, so no index host is
in it). This module decides and renders; resolving is done by uv (``scripts/build/resolve.py``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.pylock import Pylock
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from scripts.errors import UsageError
from scripts.recipe.family import layer_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from scripts.recipe.family import Family, Row

REQUIREMENTS = "scripts/image/requirements.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A distribution at a version. ``hashes`` are SHA-256 in hexadecimal; ``why`` says why there are none."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()
    why: str = ""
    marker: str = ""
    """Environment marker (PEP 508) where not all platforms of the row have it."""


def lock_directory(family: Family, row: Row) -> Path:
    """Where the lock of a row stands."""
    return family.path / "locks" / row.version


def direct_requirements(shared: str, row: Row) -> tuple[str, ...]:
    """What a row asks for directly: the shared requirements and the packages of its version manifest."""
    lines = (line.partition("#")[0].strip() for line in shared.splitlines())
    return (*(line for line in lines if line), *(f"{name}=={version}" for name, version in row.packages.items()))


def asked_names(shared: str, packages: Iterable[str]) -> frozenset[str]:
    """Normalised names of what an image asks for directly.

    :param shared: the shared requirements.
    :param packages: names of those that its row pins.
    """
    lines = (line.partition("#")[0].strip() for line in shared.splitlines())
    return frozenset(
        {canonicalize_name(Requirement(line).name) for line in lines if line}
        | {canonicalize_name(name) for name in packages}
    )


def parse_pylock(table: Mapping[str, object]) -> tuple[Pin, ...]:
    """The pins of a resolution in the format of PEP 751, by name."""
    lock = Pylock.from_dict(table)
    pins = [
        Pin(
            name=package.name,
            version=str(package.version),
            hashes=tuple(sorted(wheel.hashes["sha256"] for wheel in package.wheels or ())),
        )
        for package in lock.packages
    ]
    return tuple(sorted(pins, key=lambda pin: pin.name))


def split_layers(pins: Iterable[Pin], layers: Mapping[str, Iterable[str]]) -> dict[str, tuple[Pin, ...]]:
    """Each pin in the first layer that has a pattern for it.

    :raises UsageError: if a distribution fits no layer.
    """
    split: dict[str, list[Pin]] = {name: [] for name in layers}
    for pin in pins:
        layer = layer_of(pin.name, layers)
        if layer is None:
            raise UsageError(f'layers: no layer takes "{pin.name}"; let the last one be ["*"]')
        split[layer].append(pin)
    return {name: tuple(found) for name, found in split.items()}


def render_layer(pins: Iterable[Pin]) -> str:
    """A layer's requirements file."""
    lines = ["# Made by `invoke lock`; do not edit."]
    for pin in pins:
        requirement = f"{pin.name}=={pin.version}{f' ; {pin.marker}' if pin.marker else ''}"
        if pin.hashes:
            lines += [f"{requirement} \\"]
            lines += [f"    --hash=sha256:{digest} \\" for digest in pin.hashes]
            lines[-1] = lines[-1].removesuffix(" \\")
        else:
            lines += [f"# no hash: {pin.why}", requirement]
    return "\n".join(lines) + "\n"


@lru_cache(maxsize=64)  # the stages of a row have most layers in common
def parse_layer(text: str) -> tuple[Pin, ...]:
    """The pins of a layer's requirements file, as ``render_layer`` writes it."""
    pins: list[Pin] = []
    why = ""
    for line in text.splitlines():
        item = line.strip().removesuffix("\\").strip()
        if item.startswith("# no hash: "):
            why = item.removeprefix("# no hash: ")
        elif item.startswith("--hash=sha256:") and pins:
            pins[-1] = replace(pins[-1], hashes=(*pins[-1].hashes, item[len("--hash=sha256:") :]))
        elif item and not item.startswith("#"):
            requirement, _, marker = item.partition(" ; ")
            name, _, version = requirement.partition("==")
            pins.append(Pin(name=name, version=version, why=why, marker=marker))
            why = ""
    return tuple(pins)


def load_lock(family: Family, row: Row) -> dict[str, tuple[Pin, ...]]:
    """The lock of a row: layer to pins.

    :raises UsageError: if a layer has no file.
    """
    directory = lock_directory(family, row)
    missing = [name for name in family.manifest.layers if not (directory / f"{name}.txt").is_file()]
    if missing:
        shown = f"{family.name}/locks/{row.version}"
        raise UsageError(
            f"{shown}: no lock for {', '.join(missing)}: run `invoke lock {family.name} --version {row.version}`"
        )
    return {name: parse_layer((directory / f"{name}.txt").read_text("utf-8")) for name in family.manifest.layers}


def disagreements(requirements: Iterable[str], constraints: Iterable[str], pins: Iterable[Pin]) -> list[str]:
    """What a lock does not fulfil of what is asked for directly: a sentence each."""
    locked = {canonicalize_name(pin.name): pin.version for pin in pins}
    found = []
    for text, needed in (*((item, True) for item in requirements), *((item, False) for item in constraints)):
        try:
            requirement = Requirement(text)
        except InvalidRequirement as error:
            found.append(f"{text!r} is not a requirement (PEP 508): {error}")
            continue
        version = locked.get(canonicalize_name(requirement.name))
        if version is None:
            if needed:
                found.append(f"{requirement.name} is asked for and not locked")
        elif not requirement.specifier.contains(version, prereleases=True):
            found.append(f"{requirement} is asked for, {version} is locked")
    return found

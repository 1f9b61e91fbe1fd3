"""What changed from one image to another, by their inventories."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from scripts.contents.changes import KINDS, Change, Step, change_of, conda_order, debian_order, python_order, rank
from scripts.contents.exposure import Exposure

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.utils import NormalizedName

    from scripts.contents.inventory import Config, Gpu, Inventory, LayerFacts, Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A part of the config that differs; None: it is not set."""

    part: str
    """env, entrypoint, command, user, working_dir, ports or labels."""
    name: str
    """Of the variable or label; empty for the other parts."""
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """What a user of the old image has of the new one, in bytes as they are pulled."""

    old: tuple[LayerFacts, ...]
    new: tuple[LayerFacts, ...]

    @property
    def shared(self) -> frozenset[str]:
        """Digests of the layers that both have."""
        return frozenset({layer.digest for layer in self.old} & {layer.digest for layer in self.new})

    @property
    def pulled(self) -> tuple[LayerFacts, ...]:
        """Layers of the new image that a user of the old one has not, each once."""
        return tuple({layer.digest: layer for layer in self.new if layer.digest not in self.shared}.values())

    @property
    def pull_size(self) -> int:
        """Bytes that a user of the old image pulls for the new one."""
        return sum(layer.size for layer in self.pulled)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What changed from ``old`` to ``new``; each group in the order in which people want to read it."""

    old: Inventory
    new: Inventory
    programs: tuple[Change, ...]
    """Platform, distribution, interpreter, CUDA, cuDNN, NCCL, and what GPUs and drivers it is for."""
    python: tuple[Change, ...]
    apt: tuple[Change, ...]
    conda: tuple[Change, ...]
    settings: tuple[Setting, ...]
    exposure: Exposure = field(default_factory=Exposure)
    """Their known weaknesses, where both were scanned."""

    @cached_property
    def layers(self) -> Layers:
        """What a user of the old image has of the new one."""
        return Layers(old=self.old.layers, new=self.new.layers)


_normalized = cache(canonicalize_name)  # the catalogue compares thousands of images with the same packages
SYSTEM = "distribution"
GPU_CODE = "GPU code of "


def compare(old: Inventory, new: Inventory, exposure: Exposure | None = None) -> Difference:
    """What changed from one image to another.

    :param exposure: the scans of both; None: nobody looked for any.
    """
    return Difference(
        old=old,
        new=new,
        programs=tuple(_programs(old, new)),
        python=tuple(_python(old, new)),
        apt=tuple(_apt(old, new)),
        conda=tuple(_conda(old, new)),
        settings=tuple(_settings(old.config, new.config)),
        exposure=exposure or Exposure(),
    )


def _programs(old: Inventory, new: Inventory) -> Iterable[Change]:
    before, after = (_programs_of(item) for item in (old, new))
    for name in dict.fromkeys([*before, *after]):
        order = _system_order if name == SYSTEM else python_order
        if change := change_of(name, before.get(name, ""), after.get(name, ""), order):
            yield change
    yield from _gpu(old.gpu, new.gpu)


def _gpu(old: Gpu, new: Gpu) -> Iterable[Change]:
    """What only a test finds out, and so only where both images were tested: what is not known did not change."""
    before, after = old.architectures or {}, new.architectures or {}
    for name in sorted({*before, *after}):
        if name in before and name in after:
            was, now = (" ".join([*item.sass, *item.ptx]) for item in (before[name], after[name]))
            if change := change_of(f"{GPU_CODE}{name}", was, now, lambda *_: (0, Step.OTHER)):
                yield change
    driver = change_of("lowest driver", old.lowest_driver or "", new.lowest_driver or "", python_order)
    if driver and driver.old and driver.new:
        yield driver


def _system_order(old: str, new: str) -> tuple[int, Step]:
    """By version where it is the same distribution; none of two is newer than the other."""
    first, second = old.split(" "), new.split(" ")
    return python_order(first[-1], second[-1]) if first[0] == second[0] else (0, Step.OTHER)


def _programs_of(inventory: Inventory) -> dict[str, str]:
    """Name to version; where there are several of a library, all of them, lowest first."""
    found: dict[str, set[str]] = defaultdict(set)
    found["platform"].add(inventory.image.platform)
    if inventory.system:
        found[SYSTEM].add(f"{inventory.system.id.capitalize()} {inventory.system.version or ''}".rstrip())
    if inventory.python.interpreter and inventory.python.interpreter.version:
        found["Python"].add(inventory.python.interpreter.version)
    for library in inventory.gpu.libraries:
        found[library.name].add(library.version)
    return {name: " and ".join(sorted(versions)) for name, versions in found.items()}


def _python(old: Inventory, new: Inventory) -> Iterable[Change]:
    direct = {
        (place.path, _normalized(item.name))
        for inventory in (old, new)
        for place in inventory.python.environments
        for item in place.distributions
        if item.direct
    }
    names = {
        (place.path, _normalized(item.name)): item.name
        for inventory in (old, new)
        for place in inventory.python.environments
        for item in place.distributions
    }
    before, after = (_distributions(item) for item in (old, new))
    found = []
    for key in sorted({*before, *after}):
        change = change_of(
            names[key], before.get(key, ""), after.get(key, ""), python_order, direct=key in direct, where=key[0]
        )
        if change:
            found.append(change)
    return sorted(found, key=lambda item: (not item.direct, *rank(item)))


def _distributions(inventory: Inventory) -> dict[tuple[str, NormalizedName], str]:
    found: dict[tuple[str, NormalizedName], list[str]] = defaultdict(list)
    for place in inventory.python.environments:
        for item in place.distributions:
            found[place.path, _normalized(item.name)].append(item.version)
    return {key: " and ".join(versions) for key, versions in found.items()}


def _apt(old: Inventory, new: Inventory) -> Iterable[Change]:
    before, after = (_packages(item.apt) for item in (old, new))
    found = []
    for key in sorted({*before, *after}):
        was, now = before.get(key), after.get(key)
        versions = (was.version if was else "", now.version if now else "")
        known = now or was
        if known and (change := change_of(key[0], *versions, debian_order, source=known.source, where=key[1])):
            found.append(change)
    return sorted(found, key=lambda item: (KINDS.index(item.kind), item.name, item.where))


def _packages(packages: Iterable[Package]) -> dict[tuple[str, str], Package]:
    """By name, and by the architecture where a name is there for several."""
    architectures: dict[str, set[str]] = defaultdict(set)
    for package in packages:
        architectures[package.name].add(package.architecture)
    return {
        (package.name, package.architecture if len(architectures[package.name]) > 1 else ""): package
        for package in packages
    }


def _conda(old: Inventory, new: Inventory) -> Iterable[Change]:
    before, after = (
        {(item.prefix, item.name): f"{item.version} {item.build}" for item in inventory.conda}
        for inventory in (old, new)
    )
    keys = {*before, *after}
    found = [change_of(key[1], before.get(key, ""), after.get(key, ""), conda_order, where=key[0]) for key in keys]
    return sorted(filter(None, found), key=rank)


def _settings(old: Config, new: Config) -> Iterable[Setting]:
    for part in ("env", "labels"):
        before, after = getattr(old, part), getattr(new, part)
        for name in sorted({*before, *after}):
            if before.get(name) != after.get(name):
                yield Setting(part=part, name=name, old=before.get(name), new=after.get(name))
    for part in ("entrypoint", "command", "user", "working_dir", "ports"):
        was, now = (_text(getattr(config, part)) for config in (old, new))
        if was != now:
            yield Setting(part=part, name="", old=was, new=now)


def _text(value: tuple[str, ...] | str | None) -> str | None:
    if isinstance(value, tuple):
        return json.dumps(list(value), ensure_ascii=False)
    return value

"""Write and check the locks of families: which rows, where to, and what to keep of what was locked before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.build.resolve import resolve
from scripts.errors import UsageError
from scripts.recipe.faults import did_you_mean
from scripts.recipe.lock import (
    REQUIREMENTS,
    direct_requirements,
    disagreements,
    load_lock,
    lock_directory,
    render_layer,
    split_layers,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from scripts.recipe.family import Family, Row
    from scripts.recipe.lock import Pin


def write(
    root: Path,
    families: Iterable[Family],
    family: str,
    version: str | None,
    wheels: Sequence[Path],
    *,
    upgrade: bool,
) -> Iterator[str]:
    """Resolve and write the lock of each chosen row; yields a line for each.

    A row that can't be resolved keeps the lock that it has.

    :raises BuildError: if uv finds no solution or cannot reach the index.
    """
    shared = (root / REQUIREMENTS).read_text(encoding="utf-8")
    for owner, row in _rows(families, family, version):
        before = _pins(owner, row)
        platforms = row.platforms or owner.manifest.defaults.platforms
        after = resolve(
            row,
            direct_requirements(shared, row),
            platform=platforms[0],
            torch_index=owner.manifest.torch_index,
            wheels=wheels,
            keep=() if upgrade else before,
        )
        directory = lock_directory(owner, row)
        directory.mkdir(parents=True, exist_ok=True)
        for layer, pins in split_layers(after, owner.manifest.layers).items():
            (directory / f"{layer}.txt").write_text(render_layer(pins), encoding="utf-8")
        yield f"{owner.name}/locks/{row.version}: {_difference(before, after)}"


def check(root: Path, families: Iterable[Family], family: str, version: str | None) -> None:
    """Compare locks with what is asked for directly, offline.

    :raises UsageError: with every disagreement.
    """
    shared = (root / REQUIREMENTS).read_text(encoding="utf-8")
    faults = [
        f"{owner.name}/locks/{row.version}: {fault}: run `invoke lock {owner.name} --version {row.version}`"
        for owner, row in _rows(families, family, version)
        for fault in disagreements(
            direct_requirements(shared, row),
            row.constraints,
            [pin for pins in load_lock(owner, row).values() for pin in pins],
        )
    ]
    if faults:
        raise UsageError("\n".join(faults))


def _rows(families: Iterable[Family], family: str, version: str | None) -> Iterator[tuple[Family, Row]]:
    known = {item.name: item for item in families}
    if family not in known:
        raise UsageError(f'no family "{family}"{did_you_mean(family, known)}')
    owner = known[family]
    if not owner.manifest.lock:
        raise UsageError(f"{owner.where}: lock = false: its bases bring their own Python packages, so it has no locks")
    rows = {row.version: row for row in owner.manifest.image}
    if version is not None and version not in rows:
        raise UsageError(f'{family} has no version "{version}"{did_you_mean(version, rows)}')
    yield from ((owner, row) for row in rows.values() if version in (None, row.version))


def _pins(owner: Family, row: Row) -> tuple[Pin, ...]:
    try:
        return tuple(pin for pins in load_lock(owner, row).values() for pin in pins)
    except UsageError:  # not locked yet
        return ()


def _difference(before: Iterable[Pin], after: Iterable[Pin]) -> str:
    old, new = ({pin.name: pin.version for pin in pins} for pins in (before, after))
    if not old:
        return f"{len(new)} distributions, none locked before"
    changed = [
        f"{name} {old.get(name, '(new)')} -> {new.get(name, '(gone)')}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    return ", ".join(changed) or "unchanged"

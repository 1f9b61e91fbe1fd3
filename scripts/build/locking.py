"""Write and check the locks of families: which rows, where to, and what to keep of what was locked before."""

from __future__ import annotations

import fcntl
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from scripts.build.resolve import resolve
from scripts.errors import BuildError, UsageError
from scripts.recipe.faults import did_you_mean
from scripts.recipe.lock import (
    REQUIREMENTS,
    direct_requirements,
    lock_directory,
    parse_layer,
    render_layer,
    split_layers,
)
from scripts.recipe.lock_rules import broken_rules
from scripts.recipe.selection import select_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from scripts.recipe.family import Family, Row
    from scripts.recipe.lock import Pin

# Rows that are resolved at the same time: uv waits for the network for most of it.
AT_ONCE = 4


def write(
    root: Path,
    families: Iterable[Family],
    family: str,
    version: str | None,
    wheels: Sequence[Path],
    *,
    upgrade: bool | str = False,
    dry_run: bool = False,
) -> Iterator[str]:
    """Resolve and write the lock of each chosen row; the iterator that does it gives a line for each.

    A row that can't be resolved keeps the lock that it has, and the others go on. An upgrade leaves frozen rows as
    they are, unless one is named.

    :param upgrade: what is not kept as it was locked: nothing, everything (True), or packages (``numpy,scipy``).
    :param dry_run: only say what would change.
    :raises UsageError: for a name that does not exist.
    :raises BuildError: with every row that could not be resolved.
    """
    shared = (root / REQUIREMENTS).read_text(encoding="utf-8")
    rows = _rows(families, family, version, every=not upgrade)
    locked = {row.version: locked_pins(owner, row) for owner, row in rows}
    moving = _packages(upgrade, rows, locked) if isinstance(upgrade, str) else ()

    def resolved(owner: Family, row: Row) -> tuple[Pin, ...] | BuildError:
        keep = () if upgrade is True else [pin for pin in locked[row.version] if pin.name not in moving]
        try:
            return resolve(
                row,
                direct_requirements(shared, row),
                platforms=row.platforms or owner.manifest.defaults.platforms,
                torch_index=owner.manifest.torch_index,
                wheels=wheels,
                keep=keep,
            )
        except BuildError as error:
            return error

    def written() -> Iterator[str]:
        failures = []
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            for (owner, row), after in zip(rows, pool.map(lambda pair: resolved(*pair), rows), strict=True):
                where = f"{owner.name}/locks/{row.version}"
                if isinstance(after, BuildError):
                    failures.append(f"{where}: {after}")
                    yield f"{where}: not resolved, left as it was"
                    continue
                layers = split_layers(after, owner.manifest.layers)
                if not dry_run:
                    write_lock(lock_directory(owner, row), {name: render_layer(pins) for name, pins in layers.items()})
                changed = _difference(locked[row.version], after)
                yield f"{where}: {changed or 'unchanged'}{' (not written)' if changed and dry_run else ''}"
        if failures:
            summary = f"{len(failures)} of {len(rows)} locks left as they were, see above"
            raise BuildError("\n".join([*failures, summary]))

    return written()


def check(root: Path, families: Iterable[Family], family: str, version: str | None) -> None:
    """Compare locks with what is asked for directly and with the layers, offline.

    :raises UsageError: with everything that is wrong.
    """
    shared = (root / REQUIREMENTS).read_text(encoding="utf-8")
    faults = [
        f"{owner.name}/locks/{row.version}: {fault}: run `invoke lock {owner.name} --version {row.version}`"
        for owner, row in _rows(families, family, version, every=True)
        for fault in broken_rules(owner, row, shared)
    ]
    if faults:
        raise UsageError("\n".join(faults))


def write_lock(directory: Path, layers: Mapping[str, str]) -> None:
    """Put the files of a lock in the place of those that are there, all or none: a crash leaves no mixed lock."""
    present = {path.stem: path.read_text(encoding="utf-8") for path in directory.glob("*.txt")}
    if present == layers:
        return
    new, old = (directory.with_name(f".{directory.name}.{word}") for word in ("new", "old"))
    directory.parent.mkdir(parents=True, exist_ok=True)
    with _alone(directory.parent):
        if old.exists() and not directory.exists():  # killed between the two renames
            old.rename(directory)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
        new.mkdir()
        for name, text in layers.items():
            (new / f"{name}.txt").write_text(text, encoding="utf-8")
        if directory.exists():
            directory.rename(old)
        new.rename(directory)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Wait until no other process writes the locks below ``directory``."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def locked_pins(owner: Family, row: Row) -> tuple[Pin, ...]:
    """What a row has locked in any layer, also one that is no layer any more; nothing if it was never locked."""
    paths = sorted(lock_directory(owner, row).glob("*.txt"))
    return tuple(pin for path in paths for pin in parse_layer(path.read_text(encoding="utf-8")))


def _rows(
    families: Iterable[Family], family: str, version: str | None, *, every: bool
) -> tuple[tuple[Family, Row], ...]:
    families = tuple(families)
    rows = select_rows(families, family, version, every=every)
    for owner in families:
        if owner.name == family and not owner.manifest.lock:
            raise UsageError(
                f"{owner.where}: lock = false: its bases bring their own Python packages, so it has no locks"
            )
    return rows


def _packages(upgrade: str, rows: Iterable[tuple[Family, Row]], locked: Mapping[str, Iterable[Pin]]) -> Collection[str]:
    """The packages that an upgrade names.

    :raises UsageError: for one that no chosen row has, and for one whose version is set by the version manifest.
    """
    known = {pin.name for pins in locked.values() for pin in pins}
    names = [canonicalize_name(name.strip()) for name in upgrade.split(",") if name.strip()]
    for name in names:
        if fixed := [f"{owner.name} {row.version}" for owner, row in rows if name in row.packages]:
            raise UsageError(f"{name} is set by versions.toml ({', '.join(fixed)}): edit it there, then run lock")
        if name not in known:
            hint = did_you_mean(name, known)
            raise UsageError(
                f'--upgrade: no package "{name}" is locked in {", ".join(locked)}{"" if "; known" in hint else hint}'
            )
    return frozenset(names)


def _difference(before: Iterable[Pin], after: Iterable[Pin]) -> str:
    """What moved; empty if nothing did."""
    old, new = ({pin.name: pin for pin in pins} for pins in (before, after))
    if not old:
        return f"{len(new)} distributions, none locked before"
    changed = []
    for name in sorted({*old, *new}):
        one, other = old.get(name), new.get(name)
        if one is None or other is None or one.version != other.version:
            changed.append(f"{name} {one.version if one else '(new)'} -> {other.version if other else '(gone)'}")
        elif one.hashes != other.hashes:
            changed.append(f"{name} {one.version} (other hashes)")
    return ", ".join(changed)

"""Whether a build fits on this machine: the disk it needs, and how many rows at a time it can carry.

Bake runs all of its targets at once and the engine's own BuildKit cannot be told otherwise, so it is given some rows at a
time. Rows share no stages that are worth more than that: what they share, BuildKit has cached by then.
"""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from scripts.build.engine import free_space, inspect_engine, require_space
from scripts.build.layout import load_record
from scripts.build.prune import Kind, freed, plan_prune
from scripts.errors import ImagesError
from scripts.recipe.matrix import expand_all, load_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec

T = TypeVar("T")

LAYOUT_SHARE = 10
"""Of the bytes that a build takes, one part in so many is its layout; the rest is the engine's: the same blobs again, the
layers unpacked (4.1 GB where the layout is 0.83), the stages that they were made in, and the wheels."""
CORES = 2
"""Of one row: its stages run side by side, but most of them wait for downloads."""
MEMORY = 3_000_000_000
"""Bytes of one row."""


def need_of(spec: ImageSpec, settings: Settings, estimates: Mapping[bool, int]) -> int:
    """Bytes that a build of an image takes: as its last build had it, with a tenth on top, else an estimate.

    :param estimates: by whether the image is for a GPU.
    """
    record = load_record(settings.out, spec.id)
    estimate = estimates[spec.gpu]
    # Never more than what such an image takes from nothing: what did not change is there already.
    return min(estimate, record.size * LAYOUT_SHARE * 11 // 10) if record else estimate


def require_room(specs: Sequence[ImageSpec], settings: Settings, estimates: Mapping[bool, int]) -> None:
    """Refuse a build that does not fit on the disk; rows that are built together are added up.

    :raises BuildError: with what it needs, what is free, and what could go.
    """
    rows = _rows(specs, lambda spec: spec)
    need = sum(max(need_of(spec, settings, estimates) for spec in row) for row in rows)
    places = {settings.out: need}
    root = inspect_engine().root_dir if not settings.builder else ""
    if root and not _one_disk(Path(root), settings.out):
        places = {settings.out: need // LAYOUT_SHARE, Path(root): need - need // LAYOUT_SHARE}
    for place, bytes_needed in places.items():
        require_space(place, bytes_needed, _names(specs), lambda: _remedy(settings))


def rows_at_once(settings: Settings, need: int, *, cores: int, memory: int, free: int) -> int:
    """How many rows are built at a time: the setting, else what cores, memory and disk carry, one at least.

    :param need: bytes of disk that one row takes.
    :param memory: bytes that are available.
    :param free: bytes of disk.
    """
    if settings.parallel:
        return settings.parallel
    return max(1, min(cores // CORES, memory // MEMORY, free // max(need, 1)))


def batches(items: Sequence[T], spec_of: Callable[[T], ImageSpec], settings: Settings, need: int) -> list[list[T]]:
    """What is to be built, as much at a time as this machine carries, the images of a row together.

    With builders that are named, all at once: they are other machines, whose limits are their own (``max-parallelism``).
    """
    if settings.builder and not settings.parallel:
        return [list(items)]
    cores = len(os.sched_getaffinity(0))
    most = rows_at_once(settings, need, cores=cores, memory=available_memory(), free=free_space(settings.out))
    rows = _rows(items, spec_of)
    return [[item for row in rows[start : start + most] for item in row] for start in range(0, len(rows), most)]


def available_memory() -> int:
    """Bytes of memory that can be had without swapping (proc(5), MemAvailable); all of it where that is not told."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _rows(items: Iterable[T], spec_of: Callable[[T], ImageSpec]) -> list[list[T]]:
    def row(item: T) -> tuple[str, str]:
        return spec_of(item).family, spec_of(item).version

    return [list(group) for _, group in groupby(items, key=row)]


def _names(specs: Sequence[ImageSpec]) -> str:
    names = [spec.id for spec in specs]
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _one_disk(first: Path, second: Path) -> bool:
    def device(path: Path) -> int:
        path = path.absolute()
        while not path.exists() and path != path.parent:
            path = path.parent
        return path.stat().st_dev

    try:
        return device(first) == device(second)
    except OSError:
        return True


def _remedy(settings: Settings) -> str:
    """What `invoke prune` would free, as far as it can be found out."""
    try:
        known = [spec.id for spec in expand_all(load_families(settings.root))]
        sizes = [freed(plan_prune(known, settings, Kind, every=every)) for every in (False, True)]
    except (ImagesError, OSError):
        return "see `invoke prune --dry-run`"
    return f"`invoke prune` frees up to {sizes[0] / 1e9:.1f} GB, with --all {sizes[1] / 1e9:.1f} GB"

"""What there is that is newer than the locks and the pins: for each distribution and base, and what to do about it.

``release/outlook.py`` puts it together with what else grows old.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.build.locking import AT_ONCE, locked_pins
from scripts.build.pins import FIX, Move, show_digest
from scripts.build.resolve import versions
from scripts.errors import BuildError
from scripts.recipe.lock import REQUIREMENTS, direct_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from scripts.build.pins import Pinning
    from scripts.recipe.family import Family, Row

    Rows = Sequence[tuple[Family, Row]]
    Found = dict[str, str] | BuildError

# How a distribution came into a lock, in the order in which they are shown.
ASKED = ("versions.toml", "direct", "indirect")
# What nobody who edits this repository can do anything about; CUDA's libraries, all of them, by torch.
HELD = "held by what needs it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """A distribution that there is a newer version of, in one row."""

    name: str
    locked: str
    fits: str | None
    """What an upgrade of the lock would give; None if it would drop the distribution."""
    newest: str
    """The newest version for the row's Python and platform, whatever else is asked for."""
    asked: str
    do: str


def look_at_python(
    root: Path, chosen: Rows, say: Callable[[str], None], *, held: bool = False
) -> tuple[list[dict[str, Any]], list[str]]:
    """The distributions that are locked and have newer versions, and a line for everything that could not be found out.

    uv asks the index, so its settings hold; on a row's first platform.

    :param held: also those that are not asked for directly, and held back by what needs them.
    """
    shared = (root / REQUIREMENTS).read_text(encoding="utf-8")
    unknown: dict[str, list[str]] = defaultdict(list)
    found: dict[Newer, list[tuple[Family, Row]]] = defaultdict(list)
    for (owner, row), newer in _survey([item for item in chosen if item[0].manifest.lock], shared):
        where = f"{owner.name} {row.version}"
        if isinstance(newer, BuildError):
            unknown[str(newer)].append(where)
            say(f"{where}: unknown")
            continue
        say(f"{where}: {len(newer)} distributions have newer versions")
        for item in newer:
            found[item].append((owner, row))
    hidden = [] if held else [item for item in found if item.asked == ASKED[2] and item.do == HELD]
    for item in hidden:
        del found[item]
    order = {name: number for number, name in enumerate(ASKED)}
    rows = [
        _table_row(item, touched)
        for item, touched in sorted(
            found.items(), key=lambda pair: (order[pair[0].asked], pair[0].fits == pair[0].locked, pair[0].name)
        )
    ]
    if hidden:
        names = {item.name for item in hidden}
        say(f"held back by what needs them, and so not shown: {len(names)} (--held shows them)")
    return rows, [f"{', '.join(where)}: unknown: {reason}" for reason, where in unknown.items()]


def _survey(rows: Rows, shared: str) -> Iterator[tuple[tuple[Family, Row], list[Newer] | BuildError]]:
    """Each row with what is newer, or why that is unknown; in order, asked side by side."""
    locked = {id(row): _locked(owner, row) for owner, row in rows}
    # The newest version there is depends on Python and platform alone: rows that share them are asked about once.
    groups: dict[tuple[str, str], set[str]] = defaultdict(set)
    for owner, row in rows:
        groups[row.python, _platform(owner, row)] |= locked[id(row)].keys()
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        newest = {
            key: pool.submit(_newest, next(row for _, row in rows if row.python == key[0]), key[1], sorted(names))
            for key, names in groups.items()
        }
        fits = [pool.submit(_fits, owner, row, shared) for owner, row in rows]
        for (owner, row), future in zip(rows, fits, strict=True):
            before, fitting = locked[id(row)], future.result()
            latest = newest[row.python, _platform(owner, row)].result()
            if not before:
                fix = f"run `invoke lock {owner.name} --version {row.version}`"
                yield (owner, row), BuildError(f"it is not locked: {fix}")
            elif isinstance(fitting, BuildError):
                yield (owner, row), fitting
            elif isinstance(latest, BuildError):
                yield (owner, row), latest
            else:
                yield (owner, row), list(_compare(row, shared, before, fitting, latest))


def _fits(owner: Family, row: Row, shared: str) -> Found:
    """What the row would have if everything were upgraded."""
    wanted = direct_requirements(shared, row)
    cpu = bool(owner.manifest.torch_index)
    with tempfile.TemporaryDirectory() as work:
        try:
            return versions(row, wanted, platform=_platform(owner, row), work=Path(work), cpu=cpu)
        except BuildError as error:
            return error


def _newest(row: Row, platform: str, names: Sequence[str]) -> Found:
    """The newest version of each distribution by itself, for the row's Python."""
    free = row.model_copy(update={"constraints": ()})
    with tempfile.TemporaryDirectory() as work:
        try:
            return versions(free, names, platform=platform, work=Path(work), options=("--no-deps",))
        except BuildError as error:
            return error


def _compare(
    row: Row,
    shared: str,
    locked: Mapping[str, str],
    fits: Mapping[str, str],
    newest: Mapping[str, str],
) -> Iterator[Newer]:
    direct = {canonicalize_name(Requirement(item).name) for item in direct_requirements(shared, row)}
    limits: dict[str, str] = {canonicalize_name(Requirement(item).name): item for item in row.constraints}
    for name, now in locked.items():
        if Version(newest[name]) <= Version(now):
            continue
        asked = ASKED[0] if name in row.packages else ASKED[1] if name in direct else ASKED[2]
        fitting = fits.get(name)
        if asked == ASKED[0]:
            do = "edit versions.toml"
        elif fitting == newest[name]:
            do = "lock --upgrade"
        elif fitting is not None and Version(fitting) > Version(now):
            do = f"lock --upgrade gives {fitting}"
        else:
            do = f"held by {limits[name]} in versions.toml" if name in limits else HELD
        yield Newer(name=name, locked=now, fits=fitting, newest=newest[name], asked=asked, do=do)


def change(before: str, after: str) -> str:
    """How far apart two versions are: the first of ``major``, ``minor`` and ``patch`` that differs."""
    old, new = Version(before), Version(after)
    if (old.epoch, old.major) != (new.epoch, new.major):
        return "major"
    return "minor" if old.minor != new.minor else "patch"


def _table_row(item: Newer, touched: Rows) -> dict[str, Any]:
    return {
        "about": "python",
        "name": item.name,
        "asked": item.asked,
        "locked": item.locked,
        "newest": item.newest,
        "fits": item.fits,
        "change": change(item.locked, item.newest),
        "do": item.do,
        **touching(touched),
    }


def base_rows(pinnings: Iterable[Pinning]) -> list[dict[str, Any]]:
    """The bases that are not pinned to what their tags are now."""
    moved: dict[tuple[str, str | None, str], list[tuple[Family, Row]]] = defaultdict(list)
    for item in pinnings:
        if item.now and item.move is not Move.UNCHANGED:
            moved[item.row.base_name, item.before, item.now].append((item.family, item.row))
    return [
        {
            "about": "base",
            "name": name,
            "asked": "base",
            "locked": show_digest(before) if before else "not pinned",
            "newest": show_digest(now),
            "fits": show_digest(now),
            "change": "base moved" if before else "",
            "do": FIX,
            **touching(touched),
        }
        for (name, before, now), touched in moved.items()
    ]


def touching(touched: Rows) -> dict[str, Any]:
    """Which rows something is about: in words for people, and one by one for programs."""
    by_family: dict[str, list[str]] = defaultdict(list)
    for owner, row in touched:
        by_family[owner.name].append(row.version)
    text = "; ".join(f"{name} {' '.join(found)}" for name, found in by_family.items())
    return {"touches": text, "rows": [f"{owner.name} {row.version}" for owner, row in touched]}


def _locked(owner: Family, row: Row) -> dict[str, str]:
    # The index that is asked knows no local versions.
    return {pin.name: pin.version.removesuffix("+cpu") for pin in locked_pins(owner, row)}


def _platform(owner: Family, row: Row) -> str:
    return (row.platforms or owner.manifest.defaults.platforms)[0]

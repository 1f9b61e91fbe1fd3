"""Tasks of what a build stands on: the bases and their pins, the locks, and what is newer than both.

What takes long to import is imported by the tasks that need it: ``invoke list`` answers at once.
"""

from __future__ import annotations

import datetime
import os
from typing import TYPE_CHECKING

from scripts.console import command, say, show
from scripts.errors import BuildError
from scripts.workplace import here

if TYPE_CHECKING:
    from invoke import Context


@command
def bases(
    c: Context,
    family: str | None = None,
    version: str | None = None,
    refresh: bool = False,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Make the stand-in bases, of all rows that have one or of those named; --refresh: pin the bases to their digests."""
    from scripts.build import bases as stand_ins
    from scripts.build import pins
    from scripts.build.engine import require_engine
    from scripts.recipe.selection import select_rows

    if refresh:
        found = pins.plan_pins(select_rows(here(c).families(), family, version))
        if not dry_run:
            pins.apply_pins(found)
        show([pins.pin_row(item) for item in found], format, {"row": 12, "base": 24, "pin": None, "what": 28})
        pins.require_answers(found)
        return
    references = stand_ins.references_of(here(c).images(), family, version)
    cache = here(c).settings(c).cache / "bases"
    if dry_run:
        looked = [(reference, stand_ins.find_stand_in(reference, cache)) for reference in references]
        rows = [{"base": base, "digest": made.digest if made else "to be made"} for base, made in looked]
    else:
        require_engine(may_install="IMAGES_SETUP" in os.environ, log=say)
        made_all = [stand_ins.make_stand_in(reference, cache, say=say) for reference in references]
        rows = [{"base": item.reference, "digest": item.digest, "layout": str(item.layout)} for item in made_all]
    show(rows, format, {"base": None, "digest": 19})


@command
def lock(
    c: Context,
    family: str,
    version: str | None = None,
    upgrade: bool | str = False,
    check: bool = False,
    dry_run: bool = False,
) -> None:
    """Resolve the Python packages of each row to exact versions with hashes, split into layers."""
    from scripts.build import locking
    from scripts.build.sources import wheel_folders

    root, families = here(c).root, here(c).families()
    if check:
        locking.check(root, families, family, version)
        return
    wheels = wheel_folders(here(c).settings(c).wheels)
    lines = locking.write(root, families, family, version, wheels, upgrade=upgrade, dry_run=dry_run)
    say(f"resolving the packages of {family}{f' {version}' if version else ', row by row'}")
    for line in lines:
        say(line)


@command
def outdated(
    c: Context,
    family: str | None = None,
    version: str | None = None,
    only: str | None = None,
    held: bool = False,
    registry: str | None = None,
    format: str = "table",
) -> None:
    """Say what has grown old: bases, Python packages, the distribution's packages, and what ends when; and what to do."""
    from scripts.recipe.lifetimes import load_lifetimes
    from scripts.release.commands import connect
    from scripts.release.outlook import COLUMNS, Lookout, parse_parts
    from scripts.release.patience import Patience

    parts = parse_parts(only)
    # A registry that gives no answer is one of many things that are asked here: it is not waited for.
    with connect(say, Patience(attempts=2)) as transport:
        lookout = Lookout(
            families=here(c).families(),
            images=here(c).images(),
            settings=here(c).settings(c, registry=registry),
            lifetimes=load_lifetimes(),
            transport=transport,
            today=datetime.datetime.now(datetime.UTC).date(),
            say=say,
        )
        found = lookout.look(family, version, parts, held=held)
    if format == "json":
        show(found.rows, format, {})
    else:
        tables = {title: rows for title, rows in found.tables.items() if rows}
        for number, (title, rows) in enumerate(tables.items()):
            print("\n" if number else "", f"{title}\n" if title else "", sep="", end="")
            show(rows, format, COLUMNS[title])
    if found.unknown:
        raise BuildError("\n".join(found.unknown))


TASKS = (bases, lock, outdated)

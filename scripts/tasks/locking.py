"""Tasks of what a build stands on: the bases and their pins, the locks, and what is newer than both.

What takes long to import is imported by the tasks that need it: ``invoke list`` answers at once.
"""

from __future__ import annotations

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

    root, families = here(c).root, here(c).families()
    if check:
        locking.check(root, families, family, version)
        return
    wheels = here(c).settings(c).wheels
    lines = locking.write(root, families, family, version, wheels, upgrade=upgrade, dry_run=dry_run)
    say(f"resolving the packages of {family}{f' {version}' if version else ', row by row'}")
    for line in lines:
        say(line)


@command
def outdated(
    c: Context, family: str | None = None, version: str | None = None, held: bool = False, format: str = "table"
) -> None:
    """Say which newer versions there are of what is locked and pinned, which are only patches, and what to do."""
    from scripts.build.outdated import look

    rows, unknown = look(here(c).root, here(c).families(), family, version, say, held=held)
    show(rows, format, {"name": 20, "locked": 10, "newest": 10, "change": 6, "do": 14, "touches": 10})
    if unknown:
        raise BuildError("\n".join(unknown))


TASKS = (bases, lock, outdated)

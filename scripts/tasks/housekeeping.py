"""The task ``prune``: what this project has left on the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.console import command, say, show
from scripts.errors import UsageError
from scripts.workplace import here

if TYPE_CHECKING:
    from invoke import Context


@command
def prune(
    c: Context,
    what: str = "layout,image,cache",
    all: bool = False,
    dry_run: bool = False,
    builder: str | None = None,
    registry: str | None = None,
    format: str = "table",
) -> None:
    """Remove what this project can do without: layouts in out/, its images in the engine, BuildKit's cache of its steps."""
    from scripts.build.prune import Kind, apply_prune, freed, item_row, plan_prune
    from scripts.recipe.faults import did_you_mean

    kinds = [name.strip() for name in what.split(",")]
    if wrong := [name for name in kinds if name not in set(Kind)]:
        raise UsageError(f'--what: no "{wrong[0]}"{did_you_mean(wrong[0], Kind)}')
    known = [spec.id for spec in here(c).images()]
    settings = here(c).settings(c, builder=builder, registry=registry)
    items = plan_prune(known, settings, map(Kind, kinds), every=all, say=say)
    columns = {"what": None, "name": 32, "MB": None, "action": None, "why": 22}
    if dry_run:
        show([item_row(item, "would go") for item in items], format, columns)
        say(f"would free up to {freed(items) / 1e9:.1f} GB")
        return
    done = tuple(apply_prune(items))
    show([item_row(item, "removed") for item in done], format, columns)
    say(f"freed up to {freed(done) / 1e9:.1f} GB")
    if not all and (kept := sum(1 for item in items if not item.goes)):
        say(f"{kept} kept, see --dry-run; --all takes the newest builds and all of the cache too")


TASKS = (prune,)

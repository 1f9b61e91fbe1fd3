"""Tasks of recipes and builds: list, build, bake, doctor.

What takes long to import is imported by the tasks that need it: ``invoke list`` answers at once.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from invoke import Context, Exit

from scripts.console import command, say, show
from scripts.workplace import checked_progress, here, plan_of, show_plan


@command
def list_(c: Context, family: str | None = None, format: str = "table") -> None:
    """List the images of all families, or of one."""
    from scripts.recipe.selection import image_row, select

    rows = [image_row(spec) for spec in select(here(c).images(), family)]
    show(rows, format, {"id": None, "base": 20, "versions": 18, "state": None})


@command
def build(
    c: Context,
    family: str,
    version: str | None = None,
    stage: str | None = None,
    all: bool = False,
    include_frozen: bool = False,
    force: bool = False,
    no_cache: bool = False,
    real_bases: bool = False,
    dry_run: bool = False,
    set: list[str] | None = None,
    builder: str | None = None,
    registry: str | None = None,
    cache_to: str | None = None,
    cache_from: str | None = None,
    platform: str | None = None,
    progress: str = "auto",
    format: str = "table",
) -> None:
    """Build images to OCI layouts and load them into the engine: the family's default row, --version V, or --all."""
    from scripts.build.build import PartlyBuiltError
    from scripts.build.engine import require_engine
    from scripts.build.load import load_all
    from scripts.build.plan import Action, refuse_stand_ins
    from scripts.contents.apt import build_and_note

    specs = here(c).chosen(family, version, stage, every=all, include_frozen=include_frozen, platform=platform)
    forced = "--force" if force else "--no-cache" if no_cache else "--set" if set else ""
    settings = here(c).settings(
        c,
        builder=builder,
        registry=registry,
        cache_to=cache_to,
        cache_from=cache_from,
        progress=checked_progress(progress),
        no_cache=no_cache,
        overrides=tuple(set or ()),
        force=f"forced: {forced}" if forced else "",
    )
    require_engine(may_install="IMAGES_SETUP" in os.environ, log=say)
    steps = plan_of(specs, settings)
    if real_bases:
        refuse_stand_ins(steps)
    if dry_run:
        show_plan(steps, format)
        return
    rows, failure = [], None
    try:
        build_and_note(steps, settings, say)
    except PartlyBuiltError as error:
        # What was built is there all the same, as is what was there already.
        failure, made = error, {record.id for record in error.records}
        specs = tuple(step.spec for step in steps if step.action is Action.NOTHING or step.spec.id in made)
    names = [(spec.id, f"{settings.registry}/{spec.repository}:{spec.tag}") for spec in specs]
    for row, loaded in load_all(names, settings.out):
        rows.append(row)
        if loaded:
            say(f"{row['id']}: loaded into the engine as {row['reference']}")
    if failure and not failure.records:
        raise failure
    show(rows, format, {"id": None, "digest": 19, "MB": None, "reference": None})
    if failure:
        raise failure


@command
def bake(
    c: Context,
    family: str,
    version: str | None = None,
    stage: str | None = None,
    all: bool = False,
    include_frozen: bool = False,
    platform: str | None = None,
) -> None:
    """Print the bake definition (JSON) that a build would run."""
    from scripts.build import build as builds
    from scripts.build.bake import render_bake

    settings = here(c).settings(c)
    specs = here(c).chosen(family, version, stage, every=all, include_frozen=include_frozen, platform=platform)
    steps = plan_of(specs, settings)
    with tempfile.TemporaryDirectory() as work:
        prepared = builds.prepare(steps, settings, Path(work), say)
    print(render_bake(prepared, root=here(c).root), end="")


@command
def doctor(c: Context, format: str = "table") -> None:
    """Say what this machine has of what the tasks need, and how to get what it lacks."""
    from scripts.doctor import examine, rows_of

    findings = examine(here(c).root)
    show(rows_of(findings), format, {"what": None, "found": 18, "needed": 14, "ok": None, "fix": 30})
    if any(finding.required and not finding.ok for finding in findings):
        raise Exit("something that builds need is lacking: see the column fix", code=3)


TASKS = (list_, build, bake, doctor)

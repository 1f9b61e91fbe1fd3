"""The maintainers' commands: ``invoke --list``. Thin: a task reads options and settings, calls scripts/, and prints.

What takes long to import is imported by the tasks that need it: ``invoke list`` answers at once.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from invoke import Context, Exit

from scripts.console import command, say, show
from scripts.errors import AuditError, UsageError
from scripts.positional import allow_optional_positionals
from scripts.recipe.faults import did_you_mean
from scripts.workplace import Workplace, plan_of, show_plan

ROOT = Path(__file__).resolve().parent
HERE = Workplace(ROOT)
allow_optional_positionals(frozenset({"list", "plan", "bases"}))

PROGRESS = ("auto", "plain", "tty", "rawjson", "quiet")


@command
def list_(c: Context, family: str | None = None, format: str = "table") -> None:
    """List the images of all families, or of one."""
    from scripts.recipe.selection import image_row, select

    rows = [image_row(spec) for spec in select(HERE.images(), family)]
    show(rows, format, {"id": None, "base": 20, "versions": 18, "state": None})


@command
def plan(
    c: Context,
    family: str | None = None,
    version: str | None = None,
    stage: str | None = None,
    format: str = "table",
) -> None:
    """Say for each image whether it would be built, and why."""
    from scripts.recipe.selection import select

    show_plan(plan_of(select(HERE.images(), family, version, stage), HERE.settings(c)), format)


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
    platform: str | None = None,
    progress: str = "auto",
    format: str = "table",
) -> None:
    """Build images to OCI layouts and load them into the engine: the family's default row, --version V, or --all."""
    from scripts.build import build as builds
    from scripts.build.engine import require_engine
    from scripts.build.load import load_all
    from scripts.build.plan import refuse_stand_ins

    if progress not in PROGRESS:
        raise UsageError(f'--progress: no "{progress}"{did_you_mean(progress, PROGRESS)}')
    specs = HERE.chosen(family, version, stage, every=all, include_frozen=include_frozen, platform=platform)
    forced = "--force" if force else "--no-cache" if no_cache else "--set" if set else ""
    settings = HERE.settings(
        c,
        builder=builder,
        registry=registry,
        progress=progress,
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
    builds.carry_out(steps, settings, say)
    rows = []
    names = [(spec.id, f"{settings.registry}/{spec.repository}:{spec.tag}") for spec in specs]
    for row, loaded in load_all(names, settings.out):
        rows.append(row)
        if loaded:
            say(f"{row['id']}: loaded into the engine as {row['reference']}")
    show(rows, format, {"id": None, "digest": 19, "MB": None, "reference": None})


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

    settings = HERE.settings(c)
    specs = HERE.chosen(family, version, stage, every=all, include_frozen=include_frozen, platform=platform)
    steps = plan_of(specs, settings)
    with tempfile.TemporaryDirectory() as work:
        prepared = builds.prepare(steps, settings, Path(work), say)
    print(render_bake(prepared, root=ROOT), end="")


@command
def bases(c: Context, family: str | None = None, version: str | None = None, format: str = "table") -> None:
    """Make the stand-in bases, of all rows that have one or of those named; what is made is kept."""
    from scripts.build.bases import STAND_INS, make_stand_in
    from scripts.build.engine import require_engine
    from scripts.recipe.selection import select

    references = dict.fromkeys(spec.base for spec in select(HERE.images(), family, version) if spec.base in STAND_INS)
    if not references:
        raise UsageError(f"none of these images has a stand-in base; those that have one: {', '.join(STAND_INS)}")
    require_engine(may_install="IMAGES_SETUP" in os.environ, log=say)
    cache = HERE.settings(c).cache / "bases"
    made = [make_stand_in(reference, cache, say=say) for reference in references]
    rows = [{"base": item.reference, "digest": item.digest, "layout": str(item.layout)} for item in made]
    show(rows, format, {"base": None, "digest": 19})


@command
def lock(
    c: Context,
    family: str,
    version: str | None = None,
    upgrade: bool = False,
    check: bool = False,
) -> None:
    """Resolve the Python packages of each row to exact versions with hashes, split into layers."""
    from scripts.build import locking

    if check:
        locking.check(ROOT, HERE.families(), family, version)
        return
    for line in locking.write(ROOT, HERE.families(), family, version, HERE.settings(c).wheels, upgrade=upgrade):
        say(line)


@command
def push(
    c: Context,
    family: str,
    version: str | None = None,
    stage: str | None = None,
    all: bool = False,
    registry: str | None = None,
    reason: str = "",
    force: bool = False,
    unsafe_skip_smoke: bool = False,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Publish what was built and has passed its smoke test as the next revision, then move the standard tag."""
    from scripts.release import commands

    settings = HERE.settings(c, registry=registry)
    specs = HERE.chosen(family, version, stage, every=all)
    choices = {"reason": reason, "force": force, "skip_smoke": unsafe_skip_smoke, "dry_run": dry_run}
    rows, errors = commands.push(specs, settings, say, **choices)
    show(rows, format, {"id": None, "action": None, "revision": None, "digest": 19, "why": 30})
    if errors:
        raise Exit(f"{len(errors)} of {len(rows)} not published, see above", code=errors[0].exit_code)


@command
def revisions(c: Context, image: str, registry: str | None = None, format: str = "table") -> None:
    """Show the revisions of an image (REPO:TAG), newest first."""
    from scripts.release import commands

    rows = commands.revisions(image, HERE.images(), HERE.settings(c, registry=registry), say)
    show(rows, format, {"revision": None, "digest": 19, "time": 10, "MB": None, "state": None, "why": 22})


@command
def rollback(
    c: Context,
    image: str,
    to: str,
    reason: str,
    registry: str | None = None,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Publish what an older revision was as a new one: rollback REPO:TAG --to rN --reason TEXT."""
    from scripts.release import commands

    settings = HERE.settings(c, registry=registry)
    row = commands.roll_back(image, to, HERE.images(), settings, say, reason=reason, dry_run=dry_run)
    show([row], format, {"id": None, "action": None, "revision": None, "digest": 19, "why": 30})


@command
def yank(
    c: Context,
    image: str,
    reason: str,
    registry: str | None = None,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Warn of a revision, and go back if it is the newest: yank REPO:TAG-rN --reason TEXT. Nothing is deleted."""
    from scripts.release import commands

    settings = HERE.settings(c, registry=registry)
    row = commands.yank_one(image, HERE.images(), settings, say, reason=reason, dry_run=dry_run)
    show([row], format, {"id": None, "action": None, "revision": None, "digest": 19, "why": 30})


@command
def audit(c: Context, registry: str | None = None, format: str = "table") -> None:
    """Compare everything that is published with the ledgers; ends with 6 if anything differs."""
    from scripts.release import commands

    rows = commands.audit_all(HERE.images(), HERE.settings(c, registry=registry), say)
    show(rows, format, {"place": 30, "what": 46})
    if rows:
        raise AuditError(f"{len(rows)} differences between the registry and the ledgers")


@command
def ledger(
    c: Context,
    family: str,
    version: str | None = None,
    stage: str | None = None,
    adopt: bool = False,
    reason: str = "",
    registry: str | None = None,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Have the ledger say what the registry has (--adopt), for images that were published without it."""
    from scripts.recipe.selection import select
    from scripts.release import commands

    if not adopt:
        raise UsageError(
            "--adopt: the ledger is a file, FAMILY/revisions.jsonl; this only writes what it lacks into it"
        )
    specs = select(HERE.images(), family, version, stage)
    rows = commands.adopt_all(specs, HERE.settings(c, registry=registry), say, reason=reason, dry_run=dry_run)
    show(rows, format, {"revision": None, "line": None, "why": 40})


@command
def doctor(c: Context, format: str = "table") -> None:
    """Say what this machine has of what the tasks need, and how to get what it lacks."""
    from scripts.doctor import examine, rows_of

    findings = examine(ROOT)
    show(rows_of(findings), format, {"what": None, "found": 18, "needed": 14, "ok": None, "fix": 30})
    if any(finding.required and not finding.ok for finding in findings):
        raise Exit("something that builds need is lacking: see the column fix", code=3)

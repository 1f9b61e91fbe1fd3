"""Tasks of publishing: tag, push, release, revisions, rollback, yank, audit, ledger."""

from __future__ import annotations

from invoke import Context, Exit

from scripts.console import command, say, show
from scripts.errors import AuditError, UsageError
from scripts.tasks.documents import follow
from scripts.workplace import checked_progress, here


@command
def tag(
    c: Context,
    family: str,
    version: str | None = None,
    stage: str | None = None,
    all: bool = False,
    registry: str | None = None,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Say which revision a build would become, and name it so in the engine; publishes nothing."""
    from scripts.release import commands

    settings = here(c).settings(c, registry=registry)
    rows = commands.tag(here(c).chosen(family, version, stage, every=all), settings, say, dry_run=dry_run)
    show(rows, format, {"id": None, "action": None, "revision": None, "digest": 19, "why": 30})


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

    settings = here(c).settings(c, registry=registry)
    specs = here(c).chosen(family, version, stage, every=all)
    choices = {"reason": reason, "force": force, "skip_smoke": unsafe_skip_smoke, "dry_run": dry_run}
    rows, errors = commands.push(specs, here(c).images(), settings, say, **choices)
    if not dry_run:
        follow(here(c), settings.registry)
    show(rows, format, {"id": None, "action": None, "revision": None, "digest": 19, "why": 30})
    if errors:
        raise Exit(f"{len(errors)} of {len(rows)} not published, see above", code=errors[0].exit_code)


@command
def release(
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
    builder: str | None = None,
    progress: str = "auto",
    format: str = "table",
) -> None:
    """Plan, build, smoke test, tag and push, for one image or many; a rerun goes on where it stopped."""
    from scripts.release import commands
    from scripts.release.pipeline import summary

    settings = here(c).settings(c, registry=registry, builder=builder, progress=checked_progress(progress))
    specs = here(c).chosen(family, version, stage, every=all)
    choices = {"reason": reason, "force": force, "skip_smoke": unsafe_skip_smoke, "dry_run": dry_run}
    rows, errors = commands.release(specs, here(c).images(), settings, say, **choices)
    if not dry_run:
        follow(here(c), settings.registry)
    show(rows, format, {"id": None, "build": None, "action": None, "revision": None, "why": 30})
    say(summary(rows))
    if errors:
        raise Exit(f"{len(errors)} of {len(rows)} not published, see above", code=errors[0].exit_code)


@command
def revisions(c: Context, image: str, registry: str | None = None, format: str = "table") -> None:
    """Show the revisions of an image (REPO:TAG), newest first."""
    from scripts.release import commands

    rows = commands.revisions(image, here(c).images(), here(c).settings(c, registry=registry), say)
    show(rows, format, {"revision": None, "digest": 19, "time": 10, "MB": None, "state": None, "why": 22})


@command
def rollback(
    c: Context,
    image: str,
    to: str = "",
    reason: str = "",
    registry: str | None = None,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Publish what an older revision was as a new one: rollback REPO:TAG --to rN --reason TEXT."""
    from scripts.release import commands

    if not to:
        raise UsageError("--to: expected the revision to go back to, such as r13")
    settings = here(c).settings(c, registry=registry)
    row = commands.roll_back(image, to, here(c).images(), settings, say, reason=reason, dry_run=dry_run)
    if not dry_run:
        follow(here(c), settings.registry)
    show([row], format, {"id": None, "action": None, "revision": None, "digest": 19, "why": 30})


@command
def yank(
    c: Context,
    image: str,
    reason: str = "",
    registry: str | None = None,
    dry_run: bool = False,
    format: str = "table",
) -> None:
    """Warn of a revision, and go back if it is the newest: yank REPO:TAG-rN --reason TEXT. Nothing is deleted."""
    from scripts.release import commands

    settings = here(c).settings(c, registry=registry)
    row = commands.yank_one(image, here(c).images(), settings, say, reason=reason, dry_run=dry_run)
    if not dry_run:
        follow(here(c), settings.registry)
    show([row], format, {"id": None, "action": None, "revision": None, "digest": 19, "why": 30})


@command
def audit(c: Context, registry: str | None = None, format: str = "table") -> None:
    """Compare everything that is published with the ledgers; ends with 6 if anything differs."""
    from scripts.release import commands

    rows = commands.audit_all(here(c).images(), here(c).settings(c, registry=registry), say)
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
    settings = here(c).settings(c, registry=registry)
    specs = select(here(c).images(), family, version, stage)
    rows = commands.adopt_all(specs, settings, say, reason=reason, dry_run=dry_run)
    if not dry_run:
        follow(here(c), settings.registry)
    show(rows, format, {"revision": None, "line": None, "why": 40})


TASKS = (tag, push, release, revisions, rollback, yank, audit, ledger)

"""The task ``plan``: what would be built and why, for a person, for programs, and for the builders of a CI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.console import command, say
from scripts.errors import UsageError
from scripts.release.patience import Patience
from scripts.workplace import here, plan_of, show_plan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke import Context

    from scripts.build.plan import Step
    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.ledger import Ledger

PIPELINES = ("github", "gitlab")
AGAINST = ("published", "built")


@command
def plan(
    c: Context,
    family: str | None = None,
    version: str | None = None,
    stage: str | None = None,
    changed_since: str | None = None,
    against: str | None = None,
    force: bool = False,
    shards: int = 256,
    registry: str | None = None,
    format: str = "table",
) -> None:
    """Say for each image whether it is to be built, and why: compared with what is published."""
    from scripts.recipe.family import State
    from scripts.recipe.selection import select
    from scripts.release.place import load_history

    if changed_since is not None and against is not None:
        raise UsageError("--changed-since and --against are two ways to compare: leave one out")
    if against not in {None, *AGAINST}:
        raise UsageError(f'--against: expected {" or ".join(AGAINST)}, got "{against}"')
    if shards < 1:
        raise UsageError("--shards: expected 1 or more")
    images = here(c).images()
    settings = here(c).settings(c, registry=registry, force="forced: --force" if force else "")
    specs = select(images, family, version, stage)
    # A row that is named is asked for, whatever its state.
    wanted = [spec for spec in specs if version or spec.state is State.ACTIVE]
    apart = [_left(spec) for spec in specs if not version and spec.state is not State.ACTIVE]
    if changed_since is not None:
        steps = _since(wanted, settings, changed_since)
    elif against == "built":
        steps = plan_of(wanted, settings)
    else:
        ledger = load_history(settings)
        steps = _published(wanted, settings, ledger, may_fall_back=against is None and format not in PIPELINES)
        apart += _retired(images, settings, ledger, family) if version is None and stage is None else []
    if format in PIPELINES:
        _print_pipeline(steps, format, shards)
    else:
        show_plan(steps, format, apart)


def _left(spec: ImageSpec) -> dict[str, Any]:
    from scripts.build.plan import Action, row_apart

    return row_apart(spec.id, Action.LEFT, f"{spec.state} since {spec.since}", spec.base)


def _since(specs: Sequence[ImageSpec], settings: Settings, ref: str) -> tuple[Step, ...]:
    from scripts.build.since import find_commit, load_then, plan_since, uncommitted

    then = load_then(settings.root, find_commit(settings.root, ref))
    name = ref if then.commit.startswith(ref) else f"{ref} ({then.commit[:10]})"
    if then.unreadable:
        say(f"{name}: its recipes cannot be read, so all images count as changed:\n{then.unreadable}")
    steps = plan_since(specs, settings, ref, then, force=settings.force)
    say(f"compared with {name}")
    if dirty := uncommitted(settings.root, specs):
        more = f" and {len(dirty) - 4} more" if len(dirty) > 4 else ""
        names = (name if name.isprintable() else repr(name) for name in dirty[:4])
        say(f"what is not committed counts: {', '.join(names)}{more}")
    return steps


def _published(
    specs: Sequence[ImageSpec], settings: Settings, ledger: Ledger, *, may_fall_back: bool
) -> tuple[Step, ...]:
    from scripts.errors import RegistryError
    from scripts.release.against import plan_against
    from scripts.release.commands import connect

    try:
        with connect(say, Patience(attempts=2)) as transport:
            return plan_against(specs, settings, transport, ledger)
    except RegistryError as error:
        if not may_fall_back:
            raise type(error)(f"{error}\n(--changed-since REF and --against built need no registry)") from None
        say(f"warning: {error}")
        say(f"{settings.registry} cannot be asked: compared with what was built here instead")
        return plan_of(specs, settings)


def _retired(
    images: Sequence[ImageSpec], settings: Settings, ledger: Ledger, family: str | None
) -> list[dict[str, Any]]:
    from scripts.build.plan import Action, row_apart
    from scripts.release.place import registry_of
    from scripts.release.retired import find_retired

    gone = find_retired(images, registry_of(settings), ledger, family)
    return [row_apart(item.id, Action.RETIRED, item.why) for item in gone]


def _print_pipeline(steps: Sequence[Step], format: str, most: int) -> None:
    from scripts.build.plan import Action
    from scripts.build.shards import render_github, render_gitlab, shards_of

    found = shards_of(steps, most)
    wanted = [step for step in steps if step.action is not Action.NOTHING]
    for step in wanted:
        say(f"{step.spec.id}: {'' if step.action is Action.BUILD else f'{step.action}: '}{step.why}")
    say(f"{len(wanted)} of {len(steps)} images to build, by {len(found)} jobs")
    print(render_github(found) if format == "github" else render_gitlab(found))


TASKS = (plan,)

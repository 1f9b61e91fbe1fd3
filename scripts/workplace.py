"""One checkout, as the tasks see it: its images, the settings, and what a build of some of them would do.

What takes long to import is imported where it is needed: ``invoke list`` answers at once.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.console import say, show
from scripts.errors import UsageError
from scripts.recipe.faults import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from invoke import Context

    from scripts.build.plan import Step
    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.named import Reader


@dataclass(frozen=True, slots=True)
class Workplace:
    """A checkout."""

    root: Path

    def families(self) -> Any:
        """All families of this repository."""
        from scripts.recipe.matrix import load_families  # noqa: PLC0415

        return load_families(self.root)

    def images(self) -> tuple[ImageSpec, ...]:
        """All images of this repository."""
        from scripts.recipe.matrix import expand_all  # noqa: PLC0415

        return expand_all(self.families())

    def chosen(
        self,
        family: str,
        version: str | None,
        stage: str | None,
        *,
        every: bool,
        include_frozen: bool = False,
        platform: str | None = None,
    ) -> tuple[ImageSpec, ...]:
        """The images that a task's options name, with a warning for those that are no longer maintained."""
        from scripts.recipe.selection import narrow_platforms, select_buildable  # noqa: PLC0415

        specs = select_buildable(self.images(), family, version, stage, every=every, include_frozen=include_frozen)
        for spec in specs:
            if spec.reason:
                say(f"warning: {spec.id} is {spec.state} since {spec.since}: {spec.reason}")
        return narrow_platforms(specs, tuple(platform.split(","))) if platform else specs

    def settings(self, c: Context, **flags: Any) -> Settings:
        """Settings from invoke.yaml, INVOKE_* and the flags that were given."""
        from scripts.build.settings import load_settings  # noqa: PLC0415

        return load_settings(self.root, c.config.images, os.environ, flags)

    @contextmanager
    def reader(self, c: Context, *, registry: str | None, platform: str | None, reread: bool) -> Iterator[Reader]:
        """What makes inventories of images; paths begin where the person is who called the wrapper."""
        from scripts.release.commands import connect, reader_of  # noqa: PLC0415

        place = Path(os.environ.get("IMAGES_CALLER") or Path.cwd())
        settings = self.settings(c, registry=registry)
        with connect(say) as transport:
            yield reader_of(self.images(), settings, transport, say, platform=platform, reread=reread, here=place)


def here(c: Context) -> Workplace:
    """The checkout whose tasks were called: tasks.py says where it is."""
    return Workplace(Path(c.config.root))


PROGRESS = ("auto", "plain", "tty", "rawjson", "quiet")


def checked_progress(progress: str) -> str:
    """The option ``--progress``, which BuildKit would refuse only in the middle of a build.

    :raises UsageError: if there is no such form.
    """
    if progress not in PROGRESS:
        raise UsageError(f'--progress: no "{progress}"{did_you_mean(progress, PROGRESS)}')
    return progress


def plan_of(specs: Iterable[ImageSpec], settings: Settings) -> tuple[Step, ...]:
    """The plan of a build of ``specs``."""
    from scripts.build.plan import plan_builds  # noqa: PLC0415

    return plan_builds(tuple(specs), settings)


def show_plan(steps: Iterable[Step], format: str, extra: Iterable[dict[str, Any]] = ()) -> None:  # noqa: A002 - the option's name
    """Print a plan.

    :param extra: rows for what is no step of it.
    """
    from scripts.build.pins import FIX, unpinned  # noqa: PLC0415
    from scripts.build.plan import plan_row  # noqa: PLC0415

    steps = tuple(steps)
    show([*(plan_row(step) for step in steps), *extra], format, {"id": None, "action": None, "why": 38})
    if loose := unpinned(step.spec for step in steps):
        say(f"not pinned to a digest: {', '.join(loose)} ({FIX})")

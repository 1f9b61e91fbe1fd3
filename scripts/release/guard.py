"""What keeps a build from being published; asked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.build.committed import recipe_commit
from scripts.build.vcs import DIRTY
from scripts.errors import UsageError
from scripts.recipe.dockerfile import load_dockerfile
from scripts.release.reference import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.build.layout import Record as Build
    from scripts.build.plan import Step
    from scripts.build.settings import Settings
    from scripts.release.reference import Repository
    from scripts.smoke.record import Record as Smoke


def obstacles(
    build: Build, smoke: Smoke | None, repository: Repository, *, skip_smoke: bool = False
) -> tuple[str, ...]:
    """Why a build may not go to a registry, a sentence each; none if it may.

    A registry on loopback is a trial: what is on a stand-in base, or not committed, may go there and nowhere else.
    """
    return tuple(_obstacles(build, smoke, repository, skip_smoke=skip_smoke))


def _obstacles(build: Build, smoke: Smoke | None, repository: Repository, *, skip_smoke: bool) -> Iterator[str]:
    dirty = not build.commit or build.commit.endswith(DIRTY)
    yield from _unfit(build.id, repository, stand_in=build.stand_in, dirty=dirty)
    if smoke is None and not skip_smoke:
        yield (
            f'{build.id}: no smoke test of {build.digest} has passed: ./scripts/nox -s "smoke({build.id})" '
            "(--unsafe-skip-smoke publishes what nobody has tested)"
        )


def refuse_early(step: Step, repository: Repository, settings: Settings) -> None:
    """Refuse before anything is built what could not be published afterwards.

    :raises UsageError: with every reason.
    """
    dirty = recipe_commit(settings.root, step.spec, load_dockerfile(step.spec.dockerfile)).dirty
    if found := list(_unfit(step.spec.id, repository, stand_in=step.base.stand_in, dirty=dirty)):
        raise UsageError("\n".join(found))


def _unfit(name: str, repository: Repository, *, stand_in: bool, dirty: bool) -> Iterator[str]:
    if is_loopback(repository.registry):
        return
    if stand_in:
        yield f"{name} is built on a stand-in base, which only a registry on loopback takes: build it where its base can be had"
    if dirty:
        yield f"{name} is built from what is not committed, which only a registry on loopback takes: commit, build again"

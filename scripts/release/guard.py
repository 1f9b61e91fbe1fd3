"""What keeps a build from being published, and where its ledger is; asked before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.release.ledger import FILENAME
from scripts.release.reference import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.build.layout import Record as Build
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
    if not is_loopback(repository.registry):
        if build.stand_in:
            yield f"{build.id} is built on a stand-in base, which only a registry on loopback takes: build it where its base can be had"
        if not build.commit or build.commit.endswith("-dirty"):
            yield f"{build.id} is built from what is not committed, which only a registry on loopback takes: commit, build again"
    if smoke is None and not skip_smoke:
        yield (
            f'{build.id}: no smoke test of {build.digest} has passed: ./scripts/nox -s "smoke({build.id})" '
            "(--unsafe-skip-smoke publishes what nobody has tested)"
        )


def ledger_path(root: Path, out: Path, family: str, repository: Repository) -> Path:
    """The ledger of a family: in git for a registry that others see, below ``out/`` for one on loopback."""
    if not is_loopback(repository.registry):
        return root / family / FILENAME
    return out / "ledgers" / repository.registry.replace(":", "_") / family / FILENAME

"""Where an image is published: its standard tag in a registry, and the ledgers that tell of it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.release.ledger import FILENAME, Ledger, load_ledgers
from scripts.release.reference import is_loopback, parse_repository

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.reference import Repository


def new_publisher() -> str:
    """A name for somebody who publishes that nobody else has; see ``claims``."""
    return secrets.token_hex(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One standard tag of a repository, the ledgers that tell of it, and who publishes there."""

    repository: Repository
    tag: str
    ledger: Path
    """Where its lines are written."""
    others: tuple[Path, ...] = ()
    """The ledgers of all other families: the row may have been in one of them before, and its numbers go on."""
    siblings: tuple[Repository, ...] = ()
    """Our other repositories: a layer that one of them has is not sent again."""
    publisher: str = field(default_factory=new_publisher)

    @property
    def name(self) -> str:
        """``REPOSITORY:TAG``."""
        return f"{self.repository}:{self.tag}"

    def history(self) -> Ledger:
        """What all ledgers say.

        :raises LedgerError: if one has faults.
        """
        return load_ledgers((self.ledger, *self.others))


def place_of(spec: ImageSpec, settings: Settings, publisher: str = "", repositories: Iterable[str] = ()) -> Place:
    """The place of an image.

    :param repositories: names of all our repositories.
    :param publisher: as ``lock.locked`` gives it; empty where nothing is to be published.
    """
    repository = parse_repository(f"{settings.registry}/{spec.repository}")
    root = ledger_root(settings, repository)
    own = root / spec.family / FILENAME
    return Place(
        repository=repository,
        tag=spec.tag,
        ledger=own,
        others=tuple(path for path in ledger_paths(root) if path != own),
        siblings=tuple(parse_repository(f"{settings.registry}/{name}") for name in repositories),
        publisher=publisher or new_publisher(),
    )


def ledger_root(settings: Settings, repository: Repository) -> Path:
    """Where the families' ledgers are: in git for a registry that others see, below ``out/`` for one on loopback."""
    if not is_loopback(repository.registry):
        return settings.root
    return settings.out / "ledgers" / repository.registry.replace(":", "_")


def load_history(settings: Settings) -> Ledger:
    """What all ledgers of the registry of the settings say.

    :raises LedgerError: if one has faults.
    """
    return load_ledgers(ledger_paths(ledger_root(settings, parse_repository(f"{settings.registry}/any"))))


def registry_of(settings: Settings) -> str:
    """The registry and organisation of the settings as ledgers write it: ``quay.io/vessl-ai``."""
    return str(parse_repository(f"{settings.registry}/any")).removesuffix("/any")


def ledger_paths(root: Path) -> tuple[Path, ...]:
    """The ledgers of all families, those too that have no images any more."""
    return tuple(sorted(root.glob(f"[!.]*/{FILENAME}")))

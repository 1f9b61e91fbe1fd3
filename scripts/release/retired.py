"""Images that were published and that no row of a version manifest makes any more: only the ledgers know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.release.revision import revision_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.recipe.matrix import ImageSpec
    from scripts.release.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """A standard tag that has revisions and no row."""

    repository: str
    """Below the registry: ``torch``."""
    tag: str
    family: str
    """The directory whose ledger has its newest line."""
    revision: int
    """The newest."""
    time: str

    @property
    def id(self) -> str:
        """``REPO:TAG``."""
        return f"{self.repository}:{self.tag}"

    @property
    def why(self) -> str:
        """What became of it, in a sentence."""
        newest = revision_tag(self.tag, self.revision)
        return f"no row makes it any more; {newest} of {self.time[:10]} stays published"


def find_retired(
    images: Iterable[ImageSpec], registry: str, ledger: Ledger, family: str | None = None
) -> tuple[Retired, ...]:
    """The retired images of a registry, by their ids.

    :param registry: with its organisation: ``quay.io/vessl-ai``.
    :param ledger: the ledgers of all families, joined.
    :param family: only those whose newest revision is in the ledger of that family.
    """
    known = {(f"{registry}/{spec.repository}", spec.tag) for spec in images}
    found: list[Retired] = []
    for (repository, tag), home in ledger.homes.items():
        if repository.startswith(f"{registry}/") and (repository, tag) not in known and family in {None, home}:
            newest = ledger.published(repository, tag)[-1]
            name = repository.removeprefix(f"{registry}/")
            found.append(Retired(repository=name, tag=tag, family=home, revision=newest.revision, time=newest.time))
    return tuple(sorted(found, key=lambda item: item.id))

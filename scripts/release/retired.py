"""Images that were published and that no row of a version manifest makes any more: only the ledgers know them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.release.ledger import load_ledger
from scripts.release.lines import Published
from scripts.release.place import ledger_paths, ledger_root
from scripts.release.reference import parse_repository
from scripts.release.revision import revision_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec


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


def find_retired(images: Iterable[ImageSpec], settings: Settings, family: str | None = None) -> tuple[Retired, ...]:
    """The retired images of this registry, by their ids.

    :param family: only those whose last line is in the ledger of that family.
    :raises LedgerError: if a ledger has faults.
    """
    known = {spec.id for spec in images}
    ours = str(parse_repository(f"{settings.registry}/any")).removesuffix("any")
    found: dict[str, Retired] = {}
    for path in ledger_paths(ledger_root(settings, parse_repository(f"{ours}any"))):
        for line in load_ledger(path).lines:
            if not isinstance(line, Published) or not line.repository.startswith(ours):
                continue
            repository = line.repository.removeprefix(ours)
            name = f"{repository}:{line.tag}"
            if name in known or (name in found and found[name].revision >= line.revision):
                continue
            found[name] = Retired(
                repository=repository, tag=line.tag, family=path.parent.name, revision=line.revision, time=line.time
            )
    return tuple(item for name, item in sorted(found.items()) if family in {None, item.family})

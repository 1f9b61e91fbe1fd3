"""What is published under a name that a person gives, and what the ledgers know of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scripts.contents.platforms import fits
from scripts.errors import UsageError
from scripts.release.ledger import Ledger, load_ledgers
from scripts.release.lines import Published
from scripts.release.place import ledger_paths, ledger_root
from scripts.release.published import images_of
from scripts.release.reference import Digest, Tag, parse_reference
from scripts.release.registry import get_manifest
from scripts.release.revision import parse_revisions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.reference import Reference
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A published image."""

    reference: Reference
    manifest: Manifest
    ours: bool
    """Whether its repository is one that we publish to."""
    ledger: Ledger
    index: str = ""
    """Digest of the index that it is the image of one platform of; empty: it is no part of one."""

    @property
    def digest(self) -> Digest:
        """The image by its digest."""
        return self.reference.repository.digest(self.manifest.digest)

    @property
    def lines(self) -> tuple[Published, ...]:
        """What was published with this digest, or with that of its index, the newest last."""
        repository, digest = str(self.reference.repository), self.index or self.manifest.digest
        return tuple(
            line
            for line in self.ledger.lines
            if isinstance(line, Published) and line.repository == repository and line.digest == digest
        )

    def images(self, transport: Transport, platform: str | None = None) -> dict[str, Target]:
        """The images of an index, by platform; none if it is an image itself.

        :param platform: only the one of this platform.
        :raises UsageError: if it has none of that.
        :raises RegistryError: if one is not to be had.
        """
        names = images_of(self.manifest)
        wanted = {name: digest for name, digest in names if platform is None or fits(name, platform)}
        if platform and names and not wanted:
            there = ", ".join(name for name, _ in names)
            raise UsageError(f"{self.reference}: no image for {platform}, there: {there}")
        return {
            name: replace(
                self,
                manifest=get_manifest(transport, self.reference.repository.digest(digest)),
                index=self.digest.value,
            )
            for name, digest in wanted.items()
        }

    @property
    def expected(self) -> Published | None:
        """The revision that the tag is to be, by the ledger; None for a digest, and for a tag that it does not know."""
        if not isinstance(self.reference, Tag):
            return None
        repository, name = str(self.reference.repository), self.reference.name
        if whole := self.ledger.published(repository, name):
            return whole[-1]
        tag, _, number = name.rpartition("-r")
        known = {line.revision: line for line in self.ledger.published(repository, tag)}
        return known.get(int(number)) if parse_revisions((name,), tag) else None


def find_target(word: str, images: Mapping[str, ImageSpec], settings: Settings, transport: Transport) -> Target:
    """The published image that a word names.

    :param word: REPO:TAG or REPO:TAG-rN of a repository of ours, or a reference with its registry.
    :param images: those of this repository, by id.
    :raises UsageError: if it names nothing.
    :raises RegistryError: if there is no such image, or the registry does not answer.
    """
    ours = {spec.repository for spec in images.values()}
    short = re.split("[:@]", word)[0] in ours
    reference = parse_reference(f"{settings.registry}/{word}" if short else word)
    repository = reference.repository
    return Target(
        reference=reference,
        manifest=get_manifest(transport, reference),
        ours=str(repository) in {f"{settings.registry}/{name}" for name in ours},
        ledger=load_ledgers(ledger_paths(ledger_root(settings, repository))),
    )

"""What a word on the command line names: an inventory, a layout, or an image that is built, in the engine or published."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.build.layout import directory_of
from scripts.build.layout import load_record as load_build
from scripts.build.vcs import DIRTY, text_at
from scripts.contents.exposure import Exposure, choose_scans
from scripts.contents.inventory import Inventory, parse_inventory
from scripts.contents.inventory_read import (
    ID,
    config_of,
    engine_digest,
    find_image,
    read_engine,
    read_layout,
    take_inventory,
)
from scripts.contents.layers import LayerError
from scripts.contents.platforms import fits
from scripts.errors import UsageError
from scripts.recipe.faults import did_you_mean
from scripts.recipe.lock import REQUIREMENTS, asked_names
from scripts.release.inventories import find_inventory
from scripts.release.published import find_digest, list_platforms, load_published, read_published
from scripts.release.reference import Reference, parse_reference
from scripts.release.scans import attached_scans, kept_scans
from scripts.smoke.record import load_record as load_smoke

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from scripts.build.settings import Settings
    from scripts.contents.inventory_files import LayerFiles
    from scripts.contents.layers import Image
    from scripts.contents.weaknesses import Scan
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.reference import Digest
    from scripts.release.transport import Transport

ENGINE = "engine:"
REVISION = "org.opencontainers.image.revision"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Makes inventories of what people name; what it read of a layer it does not read again."""

    settings: Settings
    images: Mapping[str, ImageSpec]
    """Those of this repository, by id."""
    transport: Transport
    say: Callable[[str], None]
    need_engine: Callable[[], object]
    """Called before the engine is asked for an image by a word that says so."""
    here: Path
    """Where the paths that people give begin."""
    platform: str | None = None
    reread: bool = False
    """Whether to read the layers although an inventory is attached."""
    known: dict[str, LayerFiles] = field(default_factory=dict)
    places: dict[str, Digest] = field(default_factory=dict)
    """Where the images are that were found in a registry, by digest."""

    def inventory(self, word: str) -> Inventory:
        """The inventory of what a word names.

        A path is an inventory or a layout; ``engine:NAME`` an image of the engine. With a registry's name it is what is
        published there. Without one it is, of our repositories, what was built here, else what we published; of others
        what the engine has, else what Docker Hub has.

        :raises ImagesError: with its reason, if there is no such thing or it cannot be read.
        """
        found = self._find(word)
        if self.platform and not fits(found.image.platform, self.platform):
            raise UsageError(f"{word}: is of platform {found.image.platform}, not {self.platform}")
        return found

    def exposure(self, old: Inventory, new: Inventory) -> Exposure:
        """What scans have found of two images: those kept here, and those attached where an inventory was found."""
        return choose_scans(self._scans(old.image.digest), self._scans(new.image.digest))

    def _scans(self, digest: str) -> Iterator[Scan]:
        yield from kept_scans(self.settings.out, digest, self.say)
        if place := self.places.get(digest):
            yield from attached_scans(self.transport, place, self.say)

    def has_platform(self, reference: str) -> bool:
        """Whether what is published under a reference has an image of the platform.

        :raises ImagesError: if there is no such thing, or the registry does not answer.
        """
        platforms = list_platforms(self.transport, parse_reference(reference))
        return self.platform is None or any(fits(platform, self.platform) for platform in platforms)

    def _find(self, word: str) -> Inventory:
        if word.startswith(ENGINE):
            self.need_engine()
            return self._of_engine(word.removeprefix(ENGINE))
        path = self.here / word
        if path.exists() or word.startswith((".", "/", "~")):
            return self._of_path(path, word)
        if self._is_ours(word):
            if word in self.images and load_build(self.settings.out, word):
                self.say(f"{word}: as it was built here")
                return self._of_layout(directory_of(self.settings.out, word))
            return self._of_registry(f"{self.settings.registry}/{word}")
        return self._of_registry(word) if _has_host(word) else self._of_others(word)

    def _of_path(self, path: Path, word: str) -> Inventory:
        if path.is_dir():
            return self._of_layout(path)
        if not path.is_file():
            raise UsageError(f"{word}: there is no such file or directory")
        return parse_inventory(path.read_bytes(), word)

    def _of_others(self, word: str) -> Inventory:
        if engine_digest(word):
            self.say(f"{word}: as the engine has it")
            return self._of_engine(word)
        if ":" not in word and "@" not in word:
            raise UsageError(
                f"{word}: no such file or directory, and no image: expected a layout, an inventory, or REPO:TAG"
                f"{did_you_mean(word, self.images)}"
            )
        return self._of_registry(word)

    def _is_ours(self, word: str) -> bool:
        """Whether a word without a registry names an image of a repository of ours, of whatever tag or digest."""
        return re.split("[:@]", word)[0] in {spec.repository for spec in self.images.values()}

    def _of_layout(self, path: Path) -> Inventory:
        image = find_image(path, self.platform, self.say)
        try:
            read_layout(path, image, self.known)
        except LayerError as error:
            raise LayerError(f"{path}: {error}") from error
        return self._take(image)

    def _of_engine(self, name: str) -> Inventory:
        return self._take(read_engine(name, self.platform, self.known, self.say))

    def _of_registry(self, word: str) -> Inventory:
        reference: Reference = parse_reference(word)
        digest = find_digest(self.transport, reference, self.platform, self.say)
        self.places[digest.value] = digest
        if not self.reread and (found := find_inventory(self.transport, digest, self.say)):
            return found
        image = load_published(self.transport, digest, self.platform)
        read_published(self.transport, digest, image, self.known, self.say)
        return self._take(image)

    def _take(self, image: Image) -> Inventory:
        labels = config_of(image).labels
        smoke = load_smoke(self.settings.out, image.digest)
        return take_inventory(image, self.known, asked=self._asked(labels), facts=smoke.facts if smoke else None)

    def _asked(self, labels: Mapping[str, str]) -> frozenset[str] | None:
        """What the recipe asked for when the image was built; None: the image is not of this repository."""
        spec = self.images.get(labels.get(ID, ""))
        if spec is None:
            return None
        commit = labels.get(REVISION, "")
        then = "" if commit.endswith(DIRTY) else text_at(self.settings.root, commit, REQUIREMENTS)
        shared = then or (self.settings.root / REQUIREMENTS).read_text(encoding="utf-8")
        return asked_names(shared, spec.packages)


def _has_host(word: str) -> bool:
    first, slash, _ = word.partition("/")
    return bool(slash) and (first == "localhost" or "." in first or ":" in first)

"""Updates of the distribution that wait for images: those that were built here, else those that are published."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.build.apt import load_sources
from scripts.build.archive import COMPONENTS, Release, load_offers
from scripts.build.layout import directory_of, load_record
from scripts.contents.waiting import find_waiting, installed_in, read_installed, waiting_words
from scripts.contents.words import harmless
from scripts.errors import BuildError, ImagesError
from scripts.recipe.lifetimes import Part
from scripts.release.inventories import find_inventory
from scripts.release.published import find_digest
from scripts.release.reference import parse_reference
from scripts.release.refusal import NotFoundError, TemporaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scripts.build.archive import Offer
    from scripts.build.settings import Settings
    from scripts.contents.waiting import Installed
    from scripts.recipe.lifetimes import Lifetimes
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.transport import Transport

    Say = Callable[[str], None]

SYSTEM = Path("/")


@dataclass(slots=True, kw_only=True)
class Updates:
    """What asks for the updates of some images; each archive, and a registry that does not answer, is asked once."""

    settings: Settings
    lifetimes: Lifetimes
    transport: Transport
    say: Say
    _offers: dict[Release, Mapping[str, Offer] | BuildError] = field(default_factory=dict)
    _silent: str = ""

    def of(self, specs: Iterable[ImageSpec]) -> tuple[list[dict[str, Any]], list[str]]:
        """A row for each image that is known, and a line for everything that could not be found out."""
        rows = []
        unknown: dict[str, list[str]] = defaultdict(list)
        absent = []
        for spec in specs:
            try:
                installed = self._installed(spec)
                if installed is None:
                    absent.append(spec.id)
                    continue
                release, title = self._release(spec, installed)
                found = find_waiting(installed.packages, self._offered(release))
            except ImagesError as error:
                unknown[str(error).removeprefix(f"{spec.id}: ")].append(spec.id)
                continue
            rows.append(
                {
                    "about": "apt",
                    "image": spec.id,
                    "system": title,
                    "packages": len(installed.packages),
                    "waiting": waiting_words(found),
                    "security": sum(item.security for item in found),
                    "updates": [asdict(item) for item in found],
                    "do": "build --no-cache; what the base brings comes with a newer base",
                    "rows": [f"{spec.family} {spec.version}"],
                    "images": [spec.id],
                }
            )
        if absent:
            self.say(
                f"no updates of the distribution for what is neither built here nor published: {', '.join(absent)}"
            )
        return rows, [f"updates for {', '.join(ids)}: unknown: {why}" for why, ids in unknown.items()]

    def _installed(self, spec: ImageSpec) -> Installed | None:
        """What an image has; None: there is no such image yet."""
        if build := load_record(self.settings.out, spec.id):
            return read_installed(directory_of(self.settings.out, spec.id), build.digest)
        if self._silent:
            raise BuildError(self._silent)
        try:
            reference = parse_reference(f"{self.settings.registry}/{spec.id}")
            digest = find_digest(self.transport, reference, spec.platforms[0], self.say)
            inventory = find_inventory(self.transport, digest, lambda _: None)
        except NotFoundError:
            return None
        except TemporaryError as error:
            self._silent = f"{self.settings.registry} cannot be asked: {error}"
            raise BuildError(self._silent) from error
        if inventory is None:
            raise BuildError("no inventory is attached to what is published")
        return installed_in(inventory)

    def _release(self, spec: ImageSpec, installed: Installed) -> tuple[Release, str]:
        """The release that an image is of, and what people call it."""
        system = installed.system
        if system is None or system.id not in COMPONENTS:
            raise BuildError(f"it is neither Debian nor Ubuntu but {harmless(system.name) if system else 'unknown'}")
        life = self.lifetimes.find(Part(system.id, system.version or ""))
        if life is None:
            raise BuildError(f"{harmless(system.name)} is not in lifetimes.toml, which has the names of releases")
        architecture = spec.platforms[0].partition("/")[2]
        release = Release(distribution=system.id, codename=life.codename, architecture=architecture)
        return release, life.title

    def _offered(self, release: Release) -> Mapping[str, Offer]:
        if release not in self._offers:
            self.say(f"asking for the packages of {release}")
            try:
                self._offers[release] = load_offers(
                    release,
                    load_sources(SYSTEM),
                    self.lifetimes.codenames(release.distribution),
                    self.settings.cache / "apt",
                )
            except BuildError as error:
                self._offers[release] = error
        found = self._offers[release]
        if isinstance(found, BuildError):
            raise found
        return found

"""Builds to revisions: what ``invoke push`` does for each image, and what it would do."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.build import layout
from scripts.errors import BuildError, ImagesError, UsageError
from scripts.recipe.inputs import Recipe
from scripts.release.companions import attach_companions, prepare_companions
from scripts.release.guard import obstacles
from scripts.release.lock import locked
from scripts.release.notes import write_notes
from scripts.release.place import place_of
from scripts.release.product import load_product
from scripts.release.progress import Progress
from scripts.release.publish import Facts, look, publish
from scripts.release.registry import list_tags
from scripts.release.revision import Decision, Step, decide, own_tags
from scripts.release.tested import (
    platform_images,
    refuse_dropped_platforms,
    refuse_lost_platforms,
    smoke_of,
    tested_images,
    untested,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from scripts.build.layout import Record as Build
    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.ledger import Ledger
    from scripts.release.named import Reader
    from scripts.release.place import Place
    from scripts.release.reference import Repository
    from scripts.release.tested import Tested
    from scripts.release.transport import Transport

    Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be published, and the publisher's choices."""

    reason: str = ""
    time: str
    """When, as the ledger writes it."""
    force: bool = False
    skip_smoke: bool = False
    dry_run: bool = False
    repositories: tuple[str, ...] = ()
    """Names of all our repositories: a layer that another of them has is not sent again."""


class Pusher:
    """Publishes images of one registry, one after another; what it has seen of a repository it does not ask again."""

    def __init__(
        self, settings: Settings, transport: Transport, order: Order, say: Say, reader: Reader | None = None
    ) -> None:
        """A publisher that has seen nothing yet.

        :param reader: what finds out what changed, for a revision that comes without a reason.
        """
        self.reader = reader
        self.settings = settings
        self.transport = transport
        self.order = order
        self.say = say
        self.publisher = ""
        self._tags: dict[Repository, tuple[str, ...]] = {}
        self._ledgers: dict[tuple[Path, ...], Ledger] = {}
        self._noted: set[Path] = set()

    def push_all(self, specs: Iterable[ImageSpec]) -> Iterator[dict[str, Any]]:
        """Publish images, a row each; one that fails does not keep the others from it.

        The row of one that failed has the error under ``error``.
        """
        # What changes nothing waits for nobody, and leaves nothing behind.
        with nullcontext("") if self.order.dry_run else locked(self.settings.out, self.say) as self.publisher:
            for spec in specs:
                try:
                    yield self.push(spec)
                except (ImagesError, OSError) as failure:
                    error = failure if isinstance(failure, ImagesError) else disk_error(failure)
                    why = str(error).removeprefix(f"{spec.id}: ")
                    self.say(why if why.startswith(f"{spec.id} ") else f"{spec.id}: {why}")
                    yield {**self.row(spec), "action": "failed", "why": why, "error": error}

    def push(self, spec: ImageSpec) -> dict[str, Any]:
        """Publish one image, or say what would be done.

        :raises UsageError: if it is not built, may not be published, or a reason is needed.
        :raises RegistryError: if the registry is in the way.
        :raises DisagreeError: if registry and ledger differ.
        """
        build = self.build_of(spec)
        place = place_of(spec, self.settings, self.publisher, self.order.repositories)
        tested = tested_images(build, spec, self.settings)
        refuse_lost_platforms(build, spec)
        if found := self._obstacles(build, spec, tested, place):
            raise UsageError("\n".join(found))
        plan = self.decide(place, build.digest)
        if plan.step is Step.UNCHANGED:
            self.mend_notes(place)
        if plan.step is Step.UNCHANGED or self.order.dry_run:
            return {**self.row(spec), **told(plan, build.digest)}
        overtaken = plan.same_as and plan.replaces and plan.same_as < plan.replaces
        if plan.step is Step.NEW and overtaken and not self.order.force:
            # Else the next nightly release would bring back what somebody has just gone back from.
            raise UsageError(
                f"{spec.id}: this build is what r{plan.same_as} was, and r{plan.replaces} came after it: to go back to it, "
                f"invoke rollback {spec.id} --to r{plan.same_as} --reason TEXT (--force publishes it all the same)"
            )
        product = load_product(layout.directory_of(self.settings.out, spec.id))
        if product.manifest.digest != build.digest:
            raise UsageError(f"{spec.id} was built anew while it was being published: run it again")
        refuse_dropped_platforms(build, place, self._history(place), plan.replaces, self.order.reason)
        companions = prepare_companions(
            build, tested, place, plan, self.settings, self.reader, self.order.reason, self.say
        )
        facts = Facts(
            reason=companions.reason,
            time=self.order.time,
            recipe=Recipe(parts=build.recipe).hash,
            base=build.base,
            commit=build.commit,
            smoke=smoke_of(tested),
            platforms=platform_images(tested, product),
        )
        progress = Progress(spec.id, product.blobs, self.say)
        self._ledgers.clear()
        done = publish(
            self.transport,
            place,
            product,
            facts,
            force=self._forced,
            attach=lambda: attach_companions(self.transport, place, product, companions, self.say),
            say=self.say,
            progress=progress,
        )
        self.say(f"{spec.id}: {progress.summary}")
        return {**self.row(spec), **told(done, build.digest)}

    def build_of(self, spec: ImageSpec) -> Build:
        """The build of an image.

        :raises UsageError: if there is none.
        """
        build = layout.load_record(self.settings.out, spec.id)
        if build is None:
            raise UsageError(f"{spec.id} is not built: invoke build {spec.family} --version {spec.version}")
        return build

    def decide(self, place: Place, digest: str) -> Decision:
        """What there is to do for a digest; as ``revision.decide``, with one listing for each repository."""
        ledger = self._history(place)
        tags = self.tags_of(place.repository)
        seen = look(self.transport, place, ledger, digest, own_tags(tags, place.tag))
        return decide(str(place.repository), place.tag, digest, seen, ledger, force=self._forced)

    def _history(self, place: Place) -> Ledger:
        # Sorted: the ledgers of all families are the same ones, whichever of them the image is of.
        paths = tuple(sorted({place.ledger, *place.others}))
        if paths not in self._ledgers:
            self._ledgers[paths] = place.history()
        return self._ledgers[paths]

    def _obstacles(self, build: Build, spec: ImageSpec, tested: Sequence[Tested], place: Place) -> tuple[str, ...]:
        skip = self.order.skip_smoke
        if not build.platforms:
            return obstacles(build, tested[0].smoke, place.repository, skip_smoke=skip)
        unfit = obstacles(build, None, place.repository, skip_smoke=True)
        return (*unfit, *(() if skip else untested(tested, spec, self.settings.evidence.platforms)))

    def mend_notes(self, place: Place) -> None:
        """Write the notes that a run which was killed has left unwritten; each ledger's once."""
        if not self.order.dry_run and place.ledger not in self._noted:
            self._noted.add(place.ledger)
            write_notes(place.ledger)

    def forget(self) -> None:
        """Look at everything again: time has passed."""
        self._tags.clear()
        self._ledgers.clear()

    def tags_of(self, repository: Repository) -> tuple[str, ...]:
        """The tags of a repository, listed once."""
        if repository not in self._tags:
            self._tags[repository] = list_tags(self.transport, repository)
        return self._tags[repository]

    def row(self, spec: ImageSpec) -> dict[str, Any]:
        """The row of an image of which nothing is known yet."""
        repository = f"{self.settings.registry}/{spec.repository}"
        return {"id": spec.id, "action": "", "revision": None, "why": "", "digest": "", "repository": repository}

    @property
    def _forced(self) -> str:
        return self.order.reason if self.order.force else ""


def disk_error(error: OSError) -> BuildError:
    """A file or folder that cannot be read or written, as the failure of one image."""
    return BuildError(f"{error.filename or 'this machine'}: {error.strerror or error}")


def told(decision: Decision, digest: str) -> dict[str, Any]:
    """What a row says of a decision."""
    return {"action": str(decision.step), "revision": decision.revision, "why": decision.why, "digest": digest}

"""Builds to revisions: what ``invoke push`` does for each image, and what it would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.build import layout
from scripts.errors import ImagesError, UsageError
from scripts.recipe.inputs import Recipe
from scripts.release.guard import ledger_path, obstacles
from scripts.release.ledger import Smoke, load_ledger
from scripts.release.lock import locked
from scripts.release.product import load_product
from scripts.release.progress import Progress
from scripts.release.publish import Facts, Place, look, publish
from scripts.release.reference import parse_repository
from scripts.release.revision import Decision, Step, decide
from scripts.smoke.record import Outcome, hash_checks, passed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.transport import Transport
    from scripts.smoke.record import Record

FIRST = "first revision"
"""The reason of a revision that has none before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be published, and the publisher's choices."""

    reason: str = ""
    time: str
    """When, as the ledger writes it."""
    force: bool = False
    skip_smoke: bool = False
    dry_run: bool = False


def push_all(
    specs: Iterable[ImageSpec], settings: Settings, transport: Transport, order: Order, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """Publish images one after another, a row each; one that fails does not keep the others from it.

    The row of one that failed has the error under ``error``.
    """
    with locked(settings.out, say):
        for spec in specs:
            try:
                yield push(spec, settings, transport, order, say)
            except ImagesError as error:
                why = str(error).removeprefix(f"{spec.id}: ")
                say(why if why.startswith(f"{spec.id} ") else f"{spec.id}: {why}")
                yield {**_row(spec, settings), "action": "failed", "why": why, "error": error}


def push(
    spec: ImageSpec, settings: Settings, transport: Transport, order: Order, say: Callable[[str], None]
) -> dict[str, Any]:
    """Publish one image, or say what would be done.

    :raises UsageError: if it is not built, may not be published, or a reason is needed.
    :raises RegistryError: if the registry is in the way.
    :raises DisagreeError: if registry and ledger differ.
    """
    build = layout.load_record(settings.out, spec.id)
    if build is None:
        raise UsageError(f"{spec.id} is not built: invoke build {spec.family} --version {spec.version}")
    repository = parse_repository(f"{settings.registry}/{spec.repository}")
    smoke = passed(settings.out, build.digest, hash_checks(settings.root, spec))
    if found := obstacles(build, smoke, repository, skip_smoke=order.skip_smoke):
        raise UsageError("\n".join(found))
    product = load_product(layout.directory_of(settings.out, spec.id))
    place = Place(
        repository=repository,
        tag=spec.tag,
        ledger=ledger_path(settings.root, settings.out, spec.family, repository),
    )
    ledger = load_ledger(place.ledger)
    seen = look(transport, place, ledger, build.digest)
    plan = decide(str(repository), spec.tag, build.digest, seen, ledger, force=order.force)
    reason = order.reason or (FIRST if plan.replaces is None else "")
    if plan.step in {Step.NEW, Step.FINISH} and not reason:
        raise UsageError(f"{spec.id}: --reason: say what changed since r{plan.replaces}, for the people who pull")
    if plan.step is Step.UNCHANGED or order.dry_run:
        return {**_row(spec, settings), **_told(plan, build.digest)}
    facts = Facts(
        reason=reason,
        time=order.time,
        recipe=Recipe(parts=build.recipe).hash,
        base=build.base,
        commit=build.commit,
        smoke=_smoke_of(smoke),
    )
    progress = Progress(spec.id, product.blobs, say)
    done = publish(transport, place, product, facts, force=order.force, say=say, progress=progress)
    say(f"{spec.id}: {progress.summary}")
    return {**_row(spec, settings), **_told(done, build.digest)}


def _smoke_of(record: Record | None) -> Smoke | None:
    """What the ledger keeps of a smoke test."""
    if record is None:
        return None
    return Smoke(
        checks=record.checks,
        started=record.started,
        passed=sum(result.outcome is Outcome.PASS for result in record.results),
        skipped=sum(result.outcome is Outcome.SKIP for result in record.results),
    )


def _row(spec: ImageSpec, settings: Settings) -> dict[str, Any]:
    return {
        "id": spec.id,
        "action": "",
        "revision": None,
        "why": "",
        "digest": "",
        "repository": f"{settings.registry}/{spec.repository}",
    }


def _told(decision: Decision, digest: str) -> dict[str, Any]:
    return {"action": str(decision.step), "revision": decision.revision, "why": decision.why, "digest": digest}

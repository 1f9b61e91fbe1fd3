"""What of a build has passed its smoke test, image by image, and whether that is enough to publish it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build.wanted import Need
from scripts.errors import UsageError
from scripts.release.lines import PlatformImage, Smoke
from scripts.release.product import blobs_of
from scripts.smoke.platforms import why_not_run
from scripts.smoke.record import Outcome, hash_checks, load_record, passed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scripts.build.layout import Record as Build
    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.ledger import Ledger
    from scripts.release.place import Place
    from scripts.release.product import Product
    from scripts.smoke.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One image of a build, and the smoke test that it has passed."""

    image: Build
    smoke: Record | None
    why: str = ""
    """Why it has passed none, where it is one of several platforms and the engine here does not run it."""
    failed: bool = False
    """Whether it was tested, and failed."""


def tested_images(build: Build, spec: ImageSpec, settings: Settings) -> tuple[Tested, ...]:
    """The images of a build."""
    checks = hash_checks(settings.root, spec)
    return tuple(_tested(image, checks, settings) for image in build.images)


def _tested(image: Build, checks: str, settings: Settings) -> Tested:
    smoke = passed(settings.out, image.digest, checks)
    if smoke or not image.platform:
        return Tested(image=image, smoke=smoke)
    last = load_record(settings.out, image.digest)
    failed = last is not None and last.checks == checks and last.outcome is Outcome.FAIL
    return Tested(image=image, smoke=None, why="" if failed else why_not_run(image.platform), failed=failed)


def untested(tested: Sequence[Tested], spec: ImageSpec, need: Need) -> Iterator[str]:
    """Why what is of several platforms may not be published, a sentence each: a platform that is not tested, or not there.

    :param need: whether all must have been tested; else those that the engine here does not run need not.
    """
    there = [item.image.platform for item in tested]
    run = f'./scripts/nox -s "smoke({spec.id})"'
    for item in tested:
        name = f"{spec.id}: {item.image.platform}"
        if item.failed:
            yield f"{name}: its smoke test has failed: {run}"
        elif item.smoke is None and not item.why:
            yield f"{name}: no smoke test of {item.image.digest} has passed: {run}"
        elif item.smoke is None and need is Need.REQUIRED:
            yield f"{name}: not tested: {item.why} (docs/builders.md; images.evidence.platforms: optional lets it go untested)"
    if not any(item.smoke for item in tested):
        yield f"{spec.id}: none of {', '.join(there)} has passed its smoke test"


def refuse_lost_platforms(build: Build, spec: ImageSpec) -> None:
    """Refuse to publish some platforms of an image only: a revision has all of its row.

    :raises UsageError: with those that are missing.
    """
    built = build.recipe.get("platforms", ",".join(spec.platforms)).split(",")
    if missing := [platform for platform in spec.platforms if platform not in built]:
        raise UsageError(
            f"{spec.id} is built for {', '.join(built)} only, and a revision has all platforms of its row: build it for "
            f"{', '.join(missing)} too: invoke build {spec.family} --version {spec.version}"
        )


def refuse_dropped_platforms(build: Build, place: Place, ledger: Ledger, replaces: int | None, reason: str) -> None:
    """Refuse to drop a platform that the revision before has without saying so to those who pull it.

    :raises UsageError: if there is no reason.
    """
    lines = {line.revision: line for line in ledger.published(str(place.repository), place.tag)}
    before = lines.get(replaces or 0)
    now = build.recipe.get("platforms", "").split(",")
    gone = [item.platform for item in before.platforms if item.platform not in now] if before else []
    if gone and not reason:
        raise UsageError(
            f"{build.id}: r{replaces} has {', '.join(gone)}, and this build has not: --reason: say why, for who pulls it"
        )


def smoke_of(tested: Sequence[Tested]) -> Smoke | None:
    """What the ledger keeps of the smoke tests: of several images together; None unless all have passed."""
    records = [item.smoke for item in tested if item.smoke]
    if len(records) < len(tested):
        return None
    results = [result for record in records for result in record.results]
    return Smoke(
        checks=records[0].checks,
        started=min(record.started for record in records),
        passed=sum(result.outcome is Outcome.PASS for result in results),
        skipped=sum(result.outcome is Outcome.SKIP for result in results),
    )


def platform_images(tested: Sequence[Tested], product: Product) -> tuple[PlatformImage, ...]:
    """What the ledger keeps of each platform; none where there is only one."""
    return tuple(
        PlatformImage(
            platform=item.image.platform,
            digest=item.image.digest,
            size=sum(dict(blobs_of(product.images[item.image.platform])).values()),
            smoke=smoke_of([item]),
            untested="" if item.smoke else item.why or "published without a smoke test",
        )
        for item in tested
        if item.image.platform
    )

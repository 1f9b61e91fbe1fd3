"""Plan, build, smoke, tag, push: ``invoke release``, for one image or many; what is done already is not done again."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING, Any

from scripts.build.build import PartlyBuiltError
from scripts.build.engine import require_engine
from scripts.build.plan import Action, plan_builds
from scripts.contents.apt import build_and_note
from scripts.errors import ImagesError, SmokeError, UsageError
from scripts.release.guard import refuse_early
from scripts.release.lock import locked
from scripts.release.place import place_of
from scripts.release.push import Pusher, disk_error, told
from scripts.release.revision import Step
from scripts.smoke.platforms import why_not_run
from scripts.smoke.record import Outcome, hash_checks, passed
from scripts.smoke.run import engine_has_gpu, run_checks
from scripts.smoke.subject import find_subject
from scripts.smoke.tools import require_ssh_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scripts.build.plan import Step as BuildStep
    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.named import Reader
    from scripts.release.push import Order
    from scripts.release.transport import Transport
    from scripts.smoke.subject import Subject

    Say = Callable[[str], None]
    Row = dict[str, Any]


class Pipeline:
    """A release of some images: row by row of the version manifests, whose images are built together."""

    def __init__(
        self, settings: Settings, transport: Transport, order: Order, say: Say, reader: Reader | None = None
    ) -> None:
        self.settings = settings
        self.order = order
        self.say = say
        self.pusher = Pusher(settings, transport, order, say, reader)
        self.may_install = "IMAGES_SETUP" in os.environ

    def release_all(self, specs: Sequence[ImageSpec]) -> Iterator[Row]:
        """Release images, a row each; one that fails does not keep the others from it.

        The row of one that failed has the error under ``error``.
        """
        steps = plan_builds(specs, self.settings)
        if len(self.settings.builders) > 1:  # they build at the same time, so all is given to them at once
            yield from self._release_row(steps)
            return
        for _, group in groupby(steps, key=lambda step: (step.spec.family, step.spec.version)):
            yield from self._release_row(list(group))

    def _release_row(self, steps: Sequence[BuildStep]) -> Iterator[Row]:
        wanted, failed = [], []
        for step in steps:
            try:
                refuse_early(step, place_of(step.spec, self.settings).repository, self.settings)
                self.pusher.tags_of(place_of(step.spec, self.settings).repository)
                wanted.append(step)
            except ImagesError as error:
                failed.append(self._failure(step, error))
        yield from failed
        if self.order.dry_run:
            yield from (self._planned(step) for step in wanted)
            return
        try:
            if any(step.action is not Action.NOTHING for step in wanted):
                require_engine(may_install=self.may_install, log=self.say)
                build_and_note(wanted, self.settings, self.say)
                self.pusher.forget()
        except PartlyBuiltError as error:
            self.pusher.forget()
            built = {record.id for record in error.records}
            built |= {step.spec.id for step in wanted if step.action is Action.NOTHING}
            yield from (self._failure(step, error) for step in wanted if step.spec.id not in built)
            wanted = [step for step in wanted if step.spec.id in built]
        except (ImagesError, OSError) as error:
            yield from (self._failure(step, error) for step in wanted)
            return
        for step in wanted:
            try:
                yield self._finish(step)
            except (ImagesError, OSError) as error:
                yield self._failure(step, error)

    def _finish(self, step: BuildStep) -> Row:
        """Smoke and push what is built; nothing of that for what is published already."""
        spec = step.spec
        digest = self.pusher.build_of(spec).digest
        place = place_of(spec, self.settings)
        decision = self.pusher.decide(place, digest)
        if decision.step is Step.UNCHANGED:
            self.pusher.mend_notes(place)
            row = {**self.pusher.row(spec), **told(decision, digest)}
        else:
            if not self.order.skip_smoke:
                self._smoke(spec)
            with locked(self.settings.out, self.say) as self.pusher.publisher:
                row = self.pusher.push(spec)
        self.say(f"{spec.id}: {row['action']}: {row['why']}")
        return {"build": str(step.action), **row}

    def _smoke(self, spec: ImageSpec) -> None:
        require_engine(may_install=self.may_install, log=self.say)
        require_ssh_client(may_install=self.may_install, say=self.say)
        for image in self.pusher.build_of(spec).images:
            if image.platform and (why := why_not_run(image.platform)):
                self.say(f"{spec.id} ({image.platform}): NOT TESTED: {why}")  # whether that will do, `push` knows
                continue
            subject = find_subject(spec, self.settings, self.say, image=image)
            if not passed(self.settings.out, subject.digest, hash_checks(self.settings.root, spec)):
                self._test(subject)

    def _test(self, subject: Subject) -> None:
        self.say(f"{subject.name}: testing {subject.digest}")
        record = run_checks(subject, self.settings, gpu=engine_has_gpu())
        if bad := [result.check for result in record.results if result.outcome is Outcome.FAIL]:
            raise SmokeError(f"{subject.name}: {len(bad)} of {len(record.results)} checks failed: {', '.join(bad[:5])}")
        if record.outcome is not Outcome.PASS:
            raise SmokeError(f"{subject.name}: the smoke test did not pass, see above")

    def _planned(self, step: BuildStep) -> Row:
        """What would be done; for what is not built yet only that."""
        try:
            if step.action is Action.BUILD:
                return {**self.pusher.row(step.spec), "build": str(step.action), "action": "release", "why": step.why}
            if step.action is Action.IMPOSSIBLE:
                raise UsageError(step.why)
            digest = self.pusher.build_of(step.spec).digest
            decision = self.pusher.decide(place_of(step.spec, self.settings), digest)
            return {**self.pusher.row(step.spec), "build": str(step.action), **told(decision, digest)}
        except ImagesError as error:
            return self._failure(step, error)

    def _failure(self, step: BuildStep, failure: ImagesError | OSError) -> Row:
        error = failure if isinstance(failure, ImagesError) else disk_error(failure)
        why = str(error).removeprefix(f"{step.spec.id}: ")
        self.say(f"{step.spec.id}: {why}")
        return {**self.pusher.row(step.spec), "build": str(step.action), "action": "failed", "why": why, "error": error}


def summary(rows: Iterable[Row]) -> str:
    """How many images came to what: ``1 new, 2 unchanged, 1 failed``."""
    actions = [str(row["action"]) for row in rows]
    return ", ".join(f"{actions.count(action)} {action}" for action in dict.fromkeys(actions))

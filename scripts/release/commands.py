"""What the tasks of publishing do, apart from options and printing: images and settings in, rows out."""

from __future__ import annotations

import datetime
import os
from collections import defaultdict
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from scripts.build.engine import require_engine
from scripts.build.load import load_into_engine
from scripts.errors import ImagesError, UsageError
from scripts.recipe.faults import did_you_mean
from scripts.release.adopt import apply_adoption, plan_adoption
from scripts.release.audit import audit
from scripts.release.correct import find_published, rollback, yank
from scripts.release.credentials import find_credential
from scripts.release.lock import locked
from scripts.release.named import Reader
from scripts.release.patience import Patience
from scripts.release.pipeline import Pipeline
from scripts.release.place import load_history, place_of, registry_of
from scripts.release.push import Order, Pusher, told
from scripts.release.reference import parse_repository
from scripts.release.retired import find_retired
from scripts.release.revision import Step, revision_tag
from scripts.release.revisions import revision_rows
from scripts.release.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.patience import Patience
    from scripts.release.reference import Repository
    from scripts.release.wire import Timeouts

    Say = Callable[[str], None]
    Rows = list[dict[str, Any]]


def connect(say: Say, patience: Patience | None = None, timeouts: Timeouts | None = None) -> Transport:
    """A transport with the passwords that docker keeps.

    :param patience: how long a request is tried again; less where somebody waits for an answer and there is another way.
    :param timeouts: how long an answer is waited for; less for the same reason.
    """
    return Transport(
        credentials=lambda host: find_credential(host, os.environ), patience=patience, timeouts=timeouts, warn=say
    )


def now() -> str:
    """The time, as a ledger has it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def push(
    specs: Iterable[ImageSpec], images: Iterable[ImageSpec], settings: Settings, say: Say, **choices: Any
) -> tuple[Rows, list[ImagesError]]:
    """Publish images; rows, and what went wrong. ``choices`` are those of ``push.Order``."""
    order = make_order(images, say, **choices)
    with connect(say) as transport:
        reader = reader_of(images, settings, transport, say)
        return split_errors(Pusher(settings, transport, order, say, reader).push_all(specs))


def release(
    specs: Iterable[ImageSpec], images: Iterable[ImageSpec], settings: Settings, say: Say, **choices: Any
) -> tuple[Rows, list[ImagesError]]:
    """Build, test and publish images; rows, and what went wrong. ``choices`` are those of ``push.Order``."""
    order = make_order(images, say, **choices)
    with connect(say) as transport:
        reader = reader_of(images, settings, transport, say)
        return split_errors(Pipeline(settings, transport, order, say, reader).release_all(tuple(specs)))


def reader_of(
    images: Iterable[ImageSpec],
    settings: Settings,
    transport: Transport,
    say: Say,
    *,
    platform: str | None = None,
    reread: bool = False,
    here: Path | None = None,
) -> Reader:
    """What makes inventories of images; for the parameters, see ``named.Reader``."""
    return Reader(
        settings=settings,
        images={spec.id: spec for spec in images},
        transport=transport,
        say=say,
        need_engine=lambda: require_engine(may_install="IMAGES_SETUP" in os.environ, log=say),
        here=here or settings.root,
        platform=platform,
        reread=reread,
    )


def make_order(images: Iterable[ImageSpec], say: Say, **choices: Any) -> Order:
    """The publisher's choices, as far as they go together.

    :raises UsageError: if they do not.
    """
    repositories = tuple(dict.fromkeys(spec.repository for spec in images))
    order = Order(time=now(), repositories=repositories, **choices)
    if order.reason:
        sentence(order.reason)
    if order.force and not order.reason:
        raise UsageError("--force: a revision without a change needs --reason, for the people who pull")
    if order.skip_smoke:
        say("warning: --unsafe-skip-smoke: what is published here may not be what its tag says")
    return order


def split_errors(rows: Iterable[dict[str, Any]]) -> tuple[Rows, list[ImagesError]]:
    """Rows without their errors, and the errors."""
    found = list(rows)
    return found, [error for row in found if (error := row.pop("error", None))]


def tag(specs: Iterable[ImageSpec], settings: Settings, say: Say, *, dry_run: bool) -> Rows:
    """Say which revision each build would become, and give it that name in the engine; nothing is published.

    The registry is not told, so another publisher may be first: ``push`` decides anew.
    """
    rows: Rows = []
    with connect(say) as transport:
        pusher = Pusher(settings, transport, Order(time=now(), dry_run=True), say)
        for spec in specs:
            build = pusher.build_of(spec)
            place = place_of(spec, settings)
            decision = pusher.decide(place, build.digest)
            row = {**pusher.row(spec), **told(decision, build.digest), "reference": ""}
            if decision.step is not Step.UNCHANGED:
                row["reference"] = f"{place.repository}:{revision_tag(spec.tag, decision.revision)}"
                if not dry_run:
                    load_into_engine(build, row["reference"], settings.out)
            rows.append(row)
    return rows


def roll_back(
    image: str, to: str, images: Iterable[ImageSpec], settings: Settings, say: Say, *, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Publish an older revision as a new one; a row that says what was done, or would be."""
    spec, number, reason = _find(image, images), _number(to), sentence(reason)
    with _locked(settings, say, dry_run=dry_run) as publisher, connect(say) as transport:
        place = place_of(spec, settings, publisher)
        digest = find_published(place.history(), place, number).digest
        if dry_run:
            return _row(spec, "rollback", None, digest, f"to r{number}")
        decision = rollback(transport, place, number, reason, now(), say)
    return _row(spec, str(decision.step), decision.revision, digest, decision.why)


def yank_one(
    name: str, images: Iterable[ImageSpec], settings: Settings, say: Say, *, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Mark a revision, given as ``REPO:TAG-rN``, as not to be used; a row that says what was done, or would be."""
    image, _, revision = name.rpartition("-r")
    if not image:
        raise UsageError(f'"{name}" is no revision: expected REPO:TAG-rN')
    spec, number, reason = _find(image, images), _number(revision), sentence(reason)
    with _locked(settings, say, dry_run=dry_run) as publisher, connect(say) as transport:
        place = place_of(spec, settings, publisher)
        digest = find_published(place.history(), place, number).digest
        if dry_run:
            return _row(spec, "yank", number, digest, reason)
        decision = yank(transport, place, number, reason, now(), say)
    why = f"{spec.tag} is now r{decision.revision}" if decision else f"{spec.tag} was not moved"
    return _row(spec, "yanked", number, digest, why)


def _locked(settings: Settings, say: Say, *, dry_run: bool) -> Any:
    """The lock, but not for what changes nothing: that waits for nobody, and leaves nothing behind."""
    return nullcontext("") if dry_run else locked(settings.out, say)


def _find(image: str, images: Iterable[ImageSpec]) -> ImageSpec:
    specs = {spec.id: spec for spec in images}
    if image not in specs:
        raise UsageError(f'no image "{image}"{did_you_mean(image, specs)}')
    return specs[image]


def _number(text: str) -> int:
    number = text.removeprefix("r")
    if not (number.isascii() and number.isdecimal() and int(number)):
        raise UsageError(f'"{text}" is no revision: expected one such as r14')
    return int(number)


def sentence(text: str) -> str:
    """A reason as the ledger takes it.

    :raises UsageError: if it is none.
    """
    if not text.strip() or not text.isprintable():
        raise UsageError("--reason: expected a sentence for the people who pull, in a line")
    return text.strip()


def _row(spec: ImageSpec, action: str, revision: int | None, digest: str, why: str) -> dict[str, Any]:
    return {"id": spec.id, "action": action, "revision": revision, "digest": digest, "why": why}


def revisions(image: str, images: Iterable[ImageSpec], settings: Settings, say: Say) -> Rows:
    """The revisions of one image, by its id; of a retired one too."""
    images = tuple(images)
    history = load_history(settings)
    gone = find_retired(images, registry_of(settings), history)
    retired = next((item for item in gone if item.id == image), None)
    if retired:
        say(f"{image} is retired: {retired.why}")
        repository, tag = parse_repository(f"{settings.registry}/{retired.repository}"), retired.tag
    else:
        place = place_of(_find(image, images), settings)
        repository, tag = place.repository, place.tag
    with connect(say) as transport:
        return revision_rows(transport, repository, tag, history)


def audit_all(images: Iterable[ImageSpec], settings: Settings, say: Say) -> Rows:
    """Every difference between what is published and the ledgers, a row each.

    Several families may write to one repository: its tags are those of all their images, and of all ledgers. A
    repository that only a ledger knows, since its images are no more, is looked at too.
    """
    rows: Rows = []
    images = tuple(images)
    ledger, registry = load_history(settings), registry_of(settings)
    retired = find_retired(images, registry, ledger)
    tags: dict[Repository, list[str]] = defaultdict(list)
    for spec in images:
        tags[place_of(spec, settings).repository].append(spec.tag)
    for line in ledger.lines:
        if line.repository.startswith(f"{registry}/"):
            tags.setdefault(parse_repository(line.repository), [])
    with connect(say) as transport:
        for repository, standard in tags.items():
            gone = [item.id for item in retired if str(repository) == f"{registry}/{item.repository}"]
            say(f"{repository}: {len(standard)} images" + (f"; retired: {', '.join(gone)}" if gone else ""))
            rows += [
                {"place": item.place.removeprefix(f"{settings.registry}/"), "what": item.what}
                for item in audit(transport, repository, standard, ledger, say)
            ]
    return rows


def adopt_all(specs: Iterable[ImageSpec], settings: Settings, say: Say, *, reason: str = "", dry_run: bool) -> Rows:
    """Write into the ledgers what the registry has and they have not, and what it has no more; a row for each line."""
    rows: Rows = []
    reason = sentence(reason) if reason else ""
    with _locked(settings, say, dry_run=dry_run) as publisher, connect(say) as transport:
        for spec in specs:
            place = place_of(spec, settings, publisher)
            adoption = plan_adoption(transport, place, now(), reason)
            if not dry_run:
                apply_adoption(transport, place, adoption)
            rows += [
                {"revision": f"{spec.id}-r{line.revision}", "line": line.kind, "why": line.reason}
                for line in adoption.lines
            ]
    return rows

"""What the tasks of publishing do, apart from options and printing: images and settings in, rows out."""

from __future__ import annotations

import datetime
import os
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from scripts.errors import ImagesError, UsageError
from scripts.recipe.faults import did_you_mean
from scripts.release.audit import adopt, audit
from scripts.release.correct import find_published, rollback, yank
from scripts.release.credentials import find_credential
from scripts.release.guard import ledger_path
from scripts.release.ledger import Ledger, append_lines, load_ledger
from scripts.release.lock import locked
from scripts.release.publish import Place
from scripts.release.push import Order, push_all
from scripts.release.reference import parse_repository
from scripts.release.revisions import revision_rows
from scripts.release.transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.reference import Repository

    Say = Callable[[str], None]
    Rows = list[dict[str, Any]]


def connect(say: Say) -> Transport:
    """A transport with the passwords that docker keeps."""
    return Transport(credentials=lambda host: find_credential(host, os.environ), warn=say)


def now() -> str:
    """The time, as a ledger has it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def place_of(spec: ImageSpec, settings: Settings) -> tuple[Repository, Path]:
    """The repository of an image, and the ledger that tells of it."""
    repository = parse_repository(f"{settings.registry}/{spec.repository}")
    return repository, ledger_path(settings.root, settings.out, spec.family, repository)


def push(specs: Iterable[ImageSpec], settings: Settings, say: Say, **choices: Any) -> tuple[Rows, list[ImagesError]]:
    """Publish images; rows, and what went wrong. ``choices`` are those of ``push.Order``."""
    order = Order(time=now(), **choices)
    if order.force and not order.reason:
        raise UsageError("--force: a revision without a change needs --reason, for the people who pull")
    if order.skip_smoke:
        say("warning: --unsafe-skip-smoke: what is published here may not be what its tag says")
    with connect(say) as transport:
        rows = list(push_all(specs, settings, transport, order, say))
    return rows, [error for row in rows if (error := row.pop("error", None))]


def roll_back(
    image: str, to: str, images: Iterable[ImageSpec], settings: Settings, say: Say, *, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Publish an older revision as a new one; a row that says what was done, or would be."""
    spec = _find(image, images)
    number = _number(to)
    with locked(settings.out, say), connect(say) as transport:
        place = _place(spec, settings)
        if dry_run:
            line = find_published(load_ledger(place.ledger), place, number)
            return _row(spec, "rollback", None, line.digest, f"to r{number}")
        decision = rollback(transport, place, number, _reason(reason), now(), say)
    digest = find_published(load_ledger(place.ledger), place, decision.revision).digest
    return _row(spec, str(decision.step), decision.revision, digest, decision.why)


def yank_one(
    name: str, images: Iterable[ImageSpec], settings: Settings, say: Say, *, reason: str, dry_run: bool
) -> dict[str, Any]:
    """Mark a revision, given as ``REPO:TAG-rN``, as not to be used; a row that says what was done, or would be."""
    image, _, revision = name.rpartition("-r")
    if not image:
        raise UsageError(f'"{name}" is no revision: expected REPO:TAG-rN')
    spec, number = _find(image, images), _number(revision)
    with locked(settings.out, say), connect(say) as transport:
        place = _place(spec, settings)
        line = find_published(load_ledger(place.ledger), place, number)
        if dry_run:
            return _row(spec, "yank", number, line.digest, reason)
        decision = yank(transport, place, number, _reason(reason), now(), say)
    why = f"{spec.tag} is now r{decision.revision}" if decision else f"{spec.tag} was not moved"
    return _row(spec, "yanked", number, line.digest, why)


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


def _reason(text: str) -> str:
    if not text.strip() or "\n" in text:
        raise UsageError("--reason: expected a sentence for the people who pull, in a line")
    return text.strip()


def _place(spec: ImageSpec, settings: Settings) -> Place:
    repository, path = place_of(spec, settings)
    return Place(repository=repository, tag=spec.tag, ledger=path)


def _row(spec: ImageSpec, action: str, revision: int | None, digest: str, why: str) -> dict[str, Any]:
    return {"id": spec.id, "action": action, "revision": revision, "digest": digest, "why": why}


def revisions(image: str, images: Iterable[ImageSpec], settings: Settings, say: Say) -> Rows:
    """The revisions of one image, by its id."""
    place = _place(_find(image, images), settings)
    with connect(say) as transport:
        return revision_rows(transport, place.repository, place.tag, load_ledger(place.ledger))


def audit_all(specs: Iterable[ImageSpec], settings: Settings, say: Say) -> Rows:
    """Every difference between what is published and the ledgers, a row each.

    Several families may write to one repository: its tags are those of all their images, and of all their ledgers.
    """
    rows: Rows = []
    with connect(say) as transport:
        for repository, tags, paths in _by_repository(specs, settings):
            say(f"{repository}: {len(tags)} images")
            lines = tuple(line for path in sorted(paths) for line in load_ledger(path).lines)
            rows += [
                {"place": item.place.removeprefix(f"{settings.registry}/"), "what": item.what}
                for item in audit(transport, repository, tags, Ledger(lines=lines))
            ]
    return rows


def adopt_all(specs: Iterable[ImageSpec], settings: Settings, say: Say, *, reason: str = "", dry_run: bool) -> Rows:
    """Write into the ledgers what the registry has and they have not, and what it has no more; a row for each line."""
    rows: Rows = []
    with locked(settings.out, say), connect(say) as transport:
        for spec in specs:
            repository, path = place_of(spec, settings)
            lines = adopt(transport, repository, spec.tag, load_ledger(path), now(), reason)
            if lines and not dry_run:
                append_lines(path, *lines)
            rows += [
                {"revision": f"{spec.id}-r{line.revision}", "line": line.kind, "why": line.reason} for line in lines
            ]
    return rows


def _by_repository(specs: Iterable[ImageSpec], settings: Settings) -> Iterable[tuple[Repository, list[str], set[Path]]]:
    tags: dict[Repository, list[str]] = defaultdict(list)
    paths: dict[Repository, set[Path]] = defaultdict(set)
    for spec in specs:
        repository, path = place_of(spec, settings)
        tags[repository].append(spec.tag)
        paths[repository].add(path)
    return [(repository, tags[repository], paths[repository]) for repository in tags]

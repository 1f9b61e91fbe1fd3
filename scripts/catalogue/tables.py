"""What is declared, locked and published, as Markdown tables to choose an image from. Pure: facts in, text out."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from scripts.recipe.family import State
from scripts.release.notes import escaped

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Mapping, Sequence

    from scripts.recipe.family import Family
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.ledger import Ledger

WIDTH = 118
"""Columns of what is no table: a row of a table cannot be broken."""
NAMED = 3
"""As many images that are no longer built are named for one reason; more are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the tables are made of."""

    families: tuple[Family, ...]
    images: tuple[ImageSpec, ...]
    locks: Mapping[tuple[str, str], Mapping[str, str]]
    """Versions by name, of each row (family, version) that has a lock."""
    asked: tuple[str, ...]
    """Names of what every image asks for directly."""
    registry: str
    ledger: Ledger
    """The ledgers of all families as one."""


def render_families(facts: Facts) -> str:
    """The families: what they stand on, and what they are called."""
    rows = []
    for family in facts.families:
        images = _of(facts, family)
        tags = [_code(f"{stage.repository}:{stage.tag}") for stage in family.manifest.stages.values()]
        bases = dict.fromkeys(_code(_name_of(image.base)) for image in images)
        active = sum(image.state is State.ACTIVE for image in images)
        rows.append(
            [
                f"[{family.name}/]({family.name}/README.md)",
                _cell(family.manifest.description),
                ", ".join(bases),
                ", ".join(tags),
                f"{active} of {len(images)}",
            ]
        )
    return _table(["directory", "what", "base", "tags", "active"], rows)


def render_active(facts: Facts) -> str:
    """The images that are built."""
    return _images(facts, [image for image in facts.images if image.state is State.ACTIVE])


def render_retired(facts: Facts) -> str:
    """The images that are frozen or deprecated: since when, why, and what to use, as their manifests say."""
    return _retired(facts, facts.images, link=True)


def render_family(facts: Facts, family: Family) -> str:
    """All images of a family with their bases, and what is to be known of those that are no longer built."""
    images = _of(facts, family)
    notes = [_wrapped(f"- {_code(row.version)}: {_cell(row.note)}") for row in family.manifest.image if row.note]
    parts = [_images(facts, images, full=True)]
    if any(image.state is not State.ACTIVE for image in images):
        parts.append(_retired(facts, images, link=False))
    return "\n\n".join([*parts, *(["\n".join(notes)] if notes else [])])


def render_contents(facts: Facts, family: Family) -> str:
    """What the images of a family ask for directly, at the locked versions of each row."""
    rows = [row for row in family.manifest.image if (family.name, row.version) in facts.locks]
    if not rows:
        return _wrapped(", ".join(_code(name) for name in facts.asked))
    names = dict.fromkeys([*(name for row in rows for name in row.packages), *sorted(facts.asked)])
    table = []
    for name in names:
        found = [facts.locks[family.name, row.version].get(canonicalize_name(name), "") for row in rows]
        table.append([_code(name), *map(_cell, found)])
    return _table(["package", *(_code(row.version) for row in rows)], table)


def _images(facts: Facts, images: Sequence[ImageSpec], *, full: bool = False) -> str:
    """A table of images, those of a repository together; a column that would be empty is left out."""
    repositories = list(dict.fromkeys(image.repository for image in images))
    images = sorted(images, key=lambda image: repositories.index(image.repository))
    columns = {
        "image": [_code(image.id) for image in images],
        "Python": [image.python for image in images],
        "CUDA": [image.cuda or "" for image in images],
        "PyTorch": [image.packages.get("torch", "") for image in images],
        "TensorFlow": [_first(image.packages, "tensorflow", "tensorflow-cpu") for image in images],
        "base": [_code(image.base) if full else "" for image in images],
        "state": [str(image.state) if full else "" for image in images],
        "newest revision": [_newest(facts, image) for image in images],
    }
    kept = {name: cells for name, cells in columns.items() if any(cells)}
    return _table(list(kept), list(zip(*kept.values(), strict=True)))


def _retired(facts: Facts, images: Iterable[ImageSpec], *, link: bool) -> str:
    groups: dict[tuple[State, datetime.date | None, str], list[ImageSpec]] = {}
    for image in images:
        if image.state is not State.ACTIVE:
            groups.setdefault((image.state, image.since, image.reason or ""), []).append(image)
    rows = []
    for (state, since, reason), group in groups.items():
        whole = [family for family in facts.families if _of(facts, family) == group]
        if len(group) <= NAMED:
            which = ", ".join(_code(image.id) for image in group)
        elif whole:
            which = f"all of [{whole[0].name}/]({whole[0].name}/README.md)" if link else "all"
        else:
            which = f"{len(group)} images"
        rows.append([which, str(state), str(since or ""), _cell(reason)])
    return _table(["images", "state", "since", "why, and what to use"], rows) if rows else "There are none."


def _newest(facts: Facts, image: ImageSpec) -> str:
    """The newest revision that the ledger knows, with its day; nothing where it knows none."""
    repository = f"{facts.registry}/{image.repository}"
    lines = facts.ledger.published(repository, image.tag)
    if not lines:
        return ""
    newest = lines[-1]
    yanked, gone = facts.ledger.yanked(repository, image.tag), facts.ledger.gone(repository, image.tag)
    words = [word for word, numbers in (("yanked", yanked), ("gone", gone)) if newest.revision in numbers]
    return f"`-r{newest.revision}` ({', '.join([newest.time[:10], *words])})"


def _of(facts: Facts, family: Family) -> list[ImageSpec]:
    return [image for image in facts.images if image.family == family.name]


def _name_of(base: str) -> str:
    """A base without its tag; a port is part of a host."""
    path, _, tag = base.rpartition(":")
    return base if "/" in tag else path


def _first(packages: Mapping[str, str], *names: str) -> str:
    return next((packages[name] for name in names if name in packages), "")


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _code(text: str) -> str:
    """A name in a cell. Versions and tags hold nothing that Markdown would see."""
    return f"`{text}`"


def _cell(text: str) -> str:
    """Any text in a cell: on one line, and shown as it is."""
    return escaped(" ".join(text.split()))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent="  " if text.startswith("- ") else "", break_long_words=False)

"""A difference as a table for people, as Markdown for release notes, and as JSON for programs."""

from __future__ import annotations

import json
import posixpath
import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from scripts.contents.changes import Kind
from scripts.contents.difference_words import VERBS, distribution, sentence
from scripts.contents.exposure import exposure_line
from scripts.contents.words import MB, asked_for, harmless, made_by, size_words
from scripts.table import render_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scripts.contents.changes import Change
    from scripts.contents.difference import Difference
    from scripts.contents.exposure import Exposure, Known
    from scripts.contents.inventory import Inventory

    Rows = list[dict[str, Any]]

MADE_BY = 60
"""Characters of what made a layer that are shown."""


def render_difference(difference: Difference) -> str:
    """The difference for a terminal of 80 columns."""
    known = exposure_line(difference.exposure)
    words = [f"{sentence(difference)}.", "", pull_words(difference), "", known]
    blocks = [textwrap.fill(text, 80, break_on_hyphens=False) for text in words]
    for title, rows, columns in _sections(difference):
        blocks += ["", title, render_table(rows, columns)]
    return harmless("\n".join(blocks))


def render_markdown(difference: Difference) -> str:
    """The difference as release notes: what changed first, in a sentence, then everything."""
    known = _escaped(exposure_line(difference.exposure))
    blocks = [f"{_escaped(sentence(difference))}.", "", pull_words(difference), "", known]
    for title, rows, columns in _sections(difference):
        blocks += ["", f"### {title}", "", f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        blocks += [f"| {' | '.join(_escaped(_cell(row[name])) for name in columns)} |" for row in rows]
    return harmless("\n".join(blocks))


def render_json(difference: Difference) -> str:
    """The difference as JSON; sizes in bytes."""
    layers = difference.layers
    content = {
        "old": _subject(difference.old),
        "new": _subject(difference.new),
        "sentence": sentence(difference),
        **{name: [asdict(item) for item in getattr(difference, name)] for name in ("programs", "python", "apt")},
        "conda": [asdict(item) for item in difference.conda],
        "settings": [asdict(item) for item in difference.settings],
        "weaknesses": _weaknesses(difference.exposure),
        "layers": {
            "pull": layers.pull_size,
            "shared": len({layer.digest for layer in layers.new} & layers.shared),
            "rows": layer_rows(difference),
        },
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def pull_words(difference: Difference) -> str:
    """What a user of the old image pulls for the new one."""
    layers = difference.layers
    there = {layer.digest for layer in layers.new}
    if not layers.pulled:
        return f"Nothing to pull for who has the old image: all {len(there)} layers are there."
    return (
        f"Who has the old image pulls {size_words(layers.pull_size)} of {size_words(difference.new.size)}: "
        f"{len(there & layers.shared)} of {len(there)} layers are there."
    )


def _subject(inventory: Inventory) -> dict[str, Any]:
    return {**inventory.image.model_dump(), "size": inventory.size}


def _weaknesses(exposure: Exposure) -> dict[str, Any]:
    """Null is what nobody knows."""
    scans = {"old": exposure.old, "new": exposure.new}
    known = exposure.compared
    return {
        "compared": known,
        "same_database": exposure.exact,
        "why": exposure_line(exposure),
        "scans": {name: scan and {"scanner": scan.scanner, "database": scan.database} for name, scan in scans.items()},
        "fixed": [asdict(item) for item in exposure.fixed] if known else None,
        "new": [asdict(item) for item in exposure.added] if known else None,
        "both": exposure.both if known else None,
    }


def _sections(difference: Difference) -> Iterator[tuple[str, Rows, Mapping[str, int | None]]]:
    """Title, rows and columns of each group that has something."""
    versions: Mapping[str, int | None] = {"what": 30, "before": 20, "now": 20}
    groups: tuple[tuple[str, Sequence[Change]], ...] = (
        ("System", difference.programs),
        ("Python packages", difference.python),
        (f"{distribution(difference)} packages", difference.apt),
        ("Conda packages", difference.conda),
    )
    for title, changes in groups:
        if changes:
            yield title, list(_change_rows(changes, usual_place(difference.new))), versions
    exposure = difference.exposure
    if weak := [*_weak_rows(exposure.fixed, "fixed"), *_weak_rows(exposure.added, "new")]:
        yield "Known weaknesses", weak, {"id": 20, "severity": None, "state": None, "in": 30}
    settings = [item for item in difference.settings if item.part != "labels"]
    if settings:
        rows = [{"what": f"{item.part} {item.name}".strip(), "before": item.old, "now": item.new} for item in settings]
        yield "Settings", rows, {"what": 24, "before": 25, "now": 25}
    if difference.layers.pulled:
        yield "Layers", layer_rows(difference), {"MB": None, "state": None, "made by": None}


def _weak_rows(found: Iterable[Known], state: str) -> Iterator[dict[str, Any]]:
    for item in found:
        where = harmless(", ".join(item.packages))
        yield {"id": harmless(item.id), "severity": str(item.severity), "state": state, "in": where}


def usual_place(inventory: Inventory) -> str:
    """The prefix of the interpreter on PATH: what is in its environment needs no word about where it is."""
    interpreter = inventory.python.interpreter
    return posixpath.dirname(posixpath.dirname(interpreter.path)) if interpreter else ""


def _change_rows(changes: Iterable[Change], usual: str) -> Iterator[dict[str, Any]]:
    """With what it is beside the name: asked for, going back, or elsewhere than people would look."""
    for change in changes:
        notes = ["asked for"] if change.direct else []
        notes += [VERBS[change.kind]] if change.kind in {Kind.DOWNGRADED, Kind.CHANGED} else []
        notes += [change.where] if change.where not in {"", usual} else []
        note = f" ({', '.join(notes)})" if notes else ""
        yield {"what": f"{change.name}{note}", "before": change.old or None, "now": change.new or None}


def layer_rows(difference: Difference) -> Rows:
    """The layers of the new image, lowest first, then those of the old one that it has no more."""
    layers = difference.layers
    asked = asked_for(difference.old, difference.new)
    found = [(layer, "same" if layer.digest in layers.shared else "new") for layer in layers.new]
    found += [(layer, "gone") for layer in layers.old if layer.digest not in layers.shared]
    return [
        {
            "digest": layer.digest,
            "MB": f"{layer.size / MB:.1f}",
            "size": layer.size,
            "state": state,
            "made by": made_by(layer, asked, MADE_BY),
        }
        for layer, state in found
    ]


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _escaped(text: str) -> str:
    """Text as it is, in Markdown."""
    for char in "\\`*_[]<>|":
        text = text.replace(char, f"\\{char}")
    return " ".join(text.split())


PAGES = {"table": render_difference, "json": render_json, "markdown": render_markdown}
"""What a difference is shown as, by the name of the format."""

"""Release notes of a family: its ledger as people read it, newest first; ``CHANGES.md`` beside the ledger.

Made anew from the whole ledger at each write, so it says what the ledger says and nothing else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scripts.release.ledger import append_lines, load_ledger, writing
from scripts.release.lines import Line, Published, Yanked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.ledger import Ledger

FILENAME = "CHANGES.md"
HEAD = "# Changes\n\nWritten by `push` from revisions.jsonl, newest first.\n"


def record(ledger: Path, *lines: Line) -> None:
    """Add lines to a ledger, and write the notes anew.

    :raises LedgerError: as ``ledger.append_lines``.
    """
    append_lines(ledger, *lines)
    write_notes(ledger)


def write_notes(ledger: Path) -> None:
    """Write the notes of a ledger, if they are not what they should be: after a crash, or a merge."""
    with writing(ledger):
        path, wanted = ledger.with_name(FILENAME), render_notes(load_ledger(ledger))
        if path.exists() and path.read_text(encoding="utf-8") == wanted:
            return
        work = path.with_name(f".{path.name}.{os.getpid()}")
        work.write_text(wanted, encoding="utf-8")
        work.replace(path)


def render_notes(ledger: Ledger) -> str:
    """The notes of one family: a section for each day, an entry for each line of the ledger."""
    text, day = HEAD, ""
    for line in reversed(ledger.lines):
        if line.time[:10] != day:
            day = line.time[:10]
            text += f"\n## {day}\n\n"
        text += "\n  ".join(_entry(ledger, line)) + "\n"
    return text


def _entry(ledger: Ledger, line: Line) -> Iterator[str]:
    name = f"{line.repository.rpartition('/')[2]}:{line.tag}-r{line.revision}"
    if not isinstance(line, Published):
        yield f"- **{name}** is {line.kind}: {escaped(line.reason)}"
        return
    yanked = ledger.yanked(line.repository, line.tag).get(line.revision)
    yield f"- {'~~' if yanked else ''}**{name}**{'~~' if yanked else ''}: {escaped(line.reason)}"
    facts = [f"{line.size / 1e6:.0f} MB"]
    if line.replaces:
        facts.insert(0, f"replaces r{line.replaces}")
    if line.same_as:
        facts.append(f"the same as r{line.same_as}")
    facts += [item.platform if item.smoke else f"{item.platform} not tested" for item in line.platforms]
    if line.smoke is None and (line.adopted or not any(item.smoke for item in line.platforms)):
        facts.append("adopted" if line.adopted else "published without a smoke test")
    yield f"`{line.digest}` ({', '.join(facts)})"
    if isinstance(yanked, Yanked):
        yield f"Yanked on {yanked.time[:10]}: {escaped(yanked.reason)}"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|~" else char for char in text)

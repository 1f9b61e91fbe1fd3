"""The ledgers of several checkouts into this one: jobs that publish side by side each have lines that the others lack.

Joined twice, or in another order, it is the same. What cannot both be true (two digests of one revision) is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.errors import UsageError
from scripts.release.ledger import FILENAME, load_ledger
from scripts.release.notes import record

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.release.lines import Line


def plan_join(root: Path, folder: Path) -> dict[Path, tuple[Line, ...]]:
    """The lines that the ledgers below ``folder`` have and those of this checkout lack, by ledger of this checkout.

    :param folder: has ``FAMILY/revisions.jsonl`` at any depth, of any number of checkouts.
    :raises UsageError: if it has none, or one of a family that is not here.
    :raises LedgerError: if one has faults.
    """
    paths = sorted(folder.rglob(FILENAME))
    if not paths:
        raise UsageError(f"{folder}: has no ledger (FAMILY/{FILENAME})")
    found: dict[Path, dict[str, Line]] = {}
    for path in paths:
        ledger = root / path.parent.name / FILENAME
        if not ledger.parent.is_dir():
            raise UsageError(f"{path}: there is no family {path.parent.name} here")
        known = {line.model_dump_json() for line in load_ledger(ledger).lines}
        for line in load_ledger(path).lines:
            if (text := line.model_dump_json()) not in known:
                found.setdefault(ledger, {})[text] = line
    return {ledger: _in_order(lines) for ledger, lines in found.items()}


def apply_join(lines: Mapping[Path, tuple[Line, ...]]) -> None:
    """Write them, and the change notes.

    :raises LedgerError: if they contradict what is there; that ledger is left as it was.
    """
    for ledger, added in lines.items():
        record(ledger, *added)


def _in_order(lines: Mapping[str, Line]) -> tuple[Line, ...]:
    """By time, which jobs of one run share a clock for; of one image, those of one checkout stay as they were."""
    return tuple(sorted(lines.values(), key=lambda line: (line.time, line.revision)))

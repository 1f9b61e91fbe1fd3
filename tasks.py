"""The maintainers' commands: ``invoke --list``. They are in ``scripts/tasks``; here they are put together."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from invoke import Collection

from scripts.positional import allow_optional_positionals
from scripts.tasks import (
    building,
    catalogue,
    ci,
    documents,
    evidence,
    housekeeping,
    locking,
    looking,
    planning,
    publishing,
)

# Invoke prints these itself, and knows no reader that has enough (invoke --list | head).
if not {"--list", "-l", "--help", "-h"}.isdisjoint(sys.argv):
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)

ROOT = Path(__file__).resolve().parent
allow_optional_positionals(frozenset({"list", "plan", "bases", "outdated"}))

ns = Collection(
    *building.TASKS,
    *planning.TASKS,
    *locking.TASKS,
    *publishing.TASKS,
    *looking.TASKS,
    *evidence.TASKS,
    *catalogue.TASKS,
    *documents.TASKS,
    *ci.TASKS,
    *housekeeping.TASKS,
)
# Where the checkout is, for `workplace.here`.
ns.configure({"root": str(ROOT)})

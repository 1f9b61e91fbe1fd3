"""What git knows of a recipe: the last commit that touched it, which dates and names the image."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# What a checkout without history gets: 1980-01-01, the time that the layers' files have too.
NO_HISTORY = 315532800
DIRTY = "-dirty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """The last commit that touched some files; ``id`` ends in ``-dirty`` where they were changed since."""

    id: str
    epoch: int
    """Committer's time in seconds since 1970-01-01."""

    @property
    def dirty(self) -> bool:
        """Whether the files were changed since that commit."""
        return self.id.endswith(DIRTY)


def last_commit(root: Path, paths: Iterable[Path]) -> Commit:
    """The last commit that touched ``paths``; without git or history, an empty id and a fixed time."""
    names = [path.relative_to(root).as_posix() for path in paths]
    found = _git(root, "log", "-1", "--format=%H %ct", "--", *names)
    if not found:
        return Commit(id="", epoch=NO_HISTORY)
    commit, _, epoch = found.partition(" ")
    dirty = DIRTY if _git(root, "status", "--porcelain", "--", *names) else ""
    return Commit(id=f"{commit}{dirty}", epoch=int(epoch))


def text_at(root: Path, commit: str, path: str) -> str:
    """The content of a file at a commit; empty: git does not know that commit, or not that file in it."""
    return _git(root, "show", f"{commit}:{path}") if re.fullmatch("[0-9a-f]{7,64}", commit) else ""


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", str(root), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

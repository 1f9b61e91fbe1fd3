"""What git knows of a recipe: the last commit that touched it, which dates and names the image."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath
from typing import TYPE_CHECKING

from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

# What a checkout without history gets: 1980-01-01, the time that the layers' files have too.
NO_HISTORY = 315532800
DIRTY = "-dirty"
# What Python has cached is in no build context (scripts/recipe/inputs.py).
NOT_CACHED = ":(exclude,glob)**/__pycache__/**"


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


def last_commit(root: Path, paths: Iterable[Path], changed: Collection[str] | None = None) -> Commit:
    """The last commit that touched ``paths``; without git or history, an empty id and a fixed time.

    :param paths: files, and folders with all that is, or was, in them but for what Python has cached.
    :param changed: what ``changed_files`` told; None: it is asked.
    """
    names = [path.relative_to(root).as_posix() for path in paths]
    found = _git(root, "log", "-1", "--format=%H %ct", "--", *names, NOT_CACHED)
    if not found:
        return Commit(id="", epoch=NO_HISTORY)
    commit, _, epoch = found.partition(" ")
    dirty = DIRTY if within(changed_files(root) if changed is None else changed, names) else ""
    return Commit(id=f"{commit}{dirty}", epoch=int(epoch))


def changed_files(root: Path) -> tuple[str, ...]:
    """The files below ``root`` that are not as they were committed, or new; relative to it, none that Python has cached.

    Of another repository in it, a submodule or a clone, only the folder is told. Git looks at each file of the checkout
    for this, so it is to be asked once for many images.

    :raises UsageError: if git cannot tell although it has a commit: what is not known must not count as committed.
    """
    done = git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--", ".", NOT_CACHED)
    if not done.ok and git(root, "rev-parse", "--verify", "--quiet", "HEAD").ok:
        raise UsageError(f"{root}: git cannot tell what is not committed: {done.complaint}")
    entries = done.text.split("\0") if done.ok else []
    above = git(root, "rev-parse", "--show-prefix").text if any(entries) else ""  # git names them from its own top
    return tuple(entry[3:].removeprefix(above).rstrip("/") for entry in entries if entry)


def within(files: Iterable[str], names: Iterable[str]) -> tuple[str, ...]:
    """Those of ``files`` that are one of ``names``, or in a folder of that name, or a repository that such a name is in.

    ``.`` is the folder of all.
    """
    wanted = frozenset(normpath(name) for name in names)  # a COPY may take a/../b
    if "." in wanted:
        return tuple(files)
    around = {str(folder) for name in wanted for folder in PurePosixPath(name).parents}
    return tuple(
        file
        for file in files
        if file in wanted or file in around or any(str(folder) in wanted for folder in PurePosixPath(file).parents)
    )


def text_at(root: Path, commit: str, path: str) -> str:
    """The content of a file at a commit; empty: git does not know that commit, or not that file in it."""
    return _git(root, "show", f"{commit}:{path}") if re.fullmatch("[0-9a-f]{7,64}", commit) else ""


def require_git(root: Path) -> None:
    """Refuse a place that git knows nothing of.

    :raises UsageError: with what is missing.
    """
    if not (done := git(root, "rev-parse", "--git-dir")).ok:
        raise UsageError(f"{root}: git knows no history here: {done.complaint}")


def known_refs(root: Path) -> tuple[str, ...]:
    """The names of branches and tags."""
    return tuple(git(root, "for-each-ref", "--format=%(refname:short)").text.splitlines())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a git command said."""

    ok: bool
    text: str
    complaint: str
    """Its last line on stderr."""


def git(root: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Answer:
    """Run git in a folder, whoever owns it."""
    command = ["git", "-c", "safe.directory=*", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="surrogateescape",  # names of files need not be UTF-8
            check=False,
            env={**os.environ, **(environment or {})},
        )
    except FileNotFoundError:
        return Answer(ok=False, text="", complaint="there is no git on PATH")
    complaint = (done.stderr.strip().splitlines() or [""])[-1].removeprefix("fatal: ")
    return Answer(ok=done.returncode == 0, text=done.stdout.strip("\n"), complaint=complaint)


def _git(root: Path, *arguments: str) -> str:
    done = git(root, *arguments)
    return done.text.strip() if done.ok else ""

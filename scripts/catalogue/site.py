"""A folder of ours: files are written where they differ, and nothing that others put there is touched."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MARK = ".catalogue.json"
"""Names what was written into the folder, so that it can be known again as ours."""


@dataclass(slots=True, kw_only=True)
class Written:
    """What became of the files of a site."""

    counts: Counter[str] = field(default_factory=Counter)
    """How many were new, changed, unchanged, removed."""
    paths: list[str] = field(default_factory=list)


def open_site(folder: Path) -> frozenset[str]:
    """The files of ours in a folder; none where there is no such folder yet.

    :raises UsageError: if it has something that is not ours.
    """
    if not folder.exists():
        return frozenset()
    if not folder.is_dir():
        raise UsageError(f"{folder}: is a file: --output names a folder")
    mark = folder / MARK
    if not mark.is_file():
        if any(folder.iterdir()):
            raise UsageError(
                f"{folder}: has files that the catalogue did not write (no {MARK}): name a new or an empty folder (--output)"
            )
        return frozenset()
    try:
        return frozenset(map(str, json.loads(mark.read_text(encoding="utf-8"))["files"]))
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{mark}: cannot be read: remove the folder, or name another one (--output)") from error


def write_site(folder: Path, files: Iterable[tuple[str, str]], *, dry_run: bool = False) -> Written:
    """Write files into a folder of ours, and remove those that were ours and are not wanted any more.

    :raises UsageError: if the folder, or a file in it that is to be written, is not ours; nothing is changed then but
        what was written before it was found.
    """
    ours = open_site(folder)
    done = Written()
    if not dry_run:
        folder.mkdir(parents=True, exist_ok=True)
        _save_mark(folder, ours)
    try:
        for path, text in files:
            done.paths.append(path)
            done.counts[_write(folder, path, text.encode(), ours, dry_run=dry_run)] += 1
    finally:
        # Also of a run that ends here: what it has written is ours.
        if not dry_run:
            _save_mark(folder, ours | frozenset(done.paths))
    for path in sorted(ours - frozenset(done.paths)):
        if _inside(folder, path) and (folder / path).is_file():
            done.counts["removed"] += 1
            if not dry_run:
                _remove(folder, path)
    if not dry_run:
        _save_mark(folder, frozenset(done.paths))
    return done


def _write(folder: Path, path: str, content: bytes, ours: frozenset[str], *, dry_run: bool) -> str:
    target = folder / path
    if not _inside(folder, path):
        raise UsageError(f"{target}: leads out of {folder} by a link: it is not ours")
    try:
        there: bytes | None = target.read_bytes()
    except FileNotFoundError:
        there = None
    if there == content:
        return "unchanged"
    if there is not None and path not in ours:
        raise UsageError(f"{target}: the catalogue did not write it: move it away, or name another folder (--output)")
    if not dry_run:
        target.parent.mkdir(parents=True, exist_ok=True)
        _save(target, content)
    return "new" if there is None else "changed"


def _remove(folder: Path, path: str) -> None:
    target = folder / path
    target.unlink()
    for parent in target.parents:
        if parent == folder or any(parent.iterdir()):
            return
        parent.rmdir()


def _inside(folder: Path, path: str) -> bool:
    """Whether a path stays in the folder: a mark may have been edited, and a folder be a link to elsewhere."""
    place = (folder / path).parent.resolve()
    return place.is_relative_to(folder.resolve()) and not (folder / path).is_symlink()


def _save_mark(folder: Path, files: frozenset[str]) -> None:
    content = {"written by": "invoke catalogue", "files": sorted(files)}
    _save(folder / MARK, f"{json.dumps(content, indent=0)}\n".encode())


def _save(target: Path, content: bytes) -> None:
    """Write a file that is whole at any moment: as it was, or as it is to be, on a full disk and in two runs at once."""
    work = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        work.write_bytes(content)
        work.replace(target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(target)) from error
    finally:
        work.unlink(missing_ok=True)

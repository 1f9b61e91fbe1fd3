"""The commit that an image is of: the last one that touched its recipe, and whether the recipe is that commit's."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pydantic import ValidationError

from scripts.build.vcs import DIRTY, Commit, changed_files, git, last_commit
from scripts.errors import UsageError
from scripts.recipe.family import FILENAME, Family, Manifest, State
from scripts.recipe.inputs import context_paths, ignore_file
from scripts.recipe.matrix import expand

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from scripts.recipe.dockerfile import Dockerfile
    from scripts.recipe.matrix import ImageSpec


def recipe_commit(
    root: Path, spec: ImageSpec, dockerfile: Dockerfile, changed: Collection[str] | None = None
) -> Commit:
    """The last commit that touched what a build of ``spec`` can see; dirty if the files or the row are not as committed.

    :param changed: what ``changed_files`` told; None: it is asked.
    """
    changed = changed_files(root) if changed is None else changed
    found = last_commit(root, recipe_paths(root, spec, dockerfile), changed)
    if not found.id:
        return found
    if not row_is_committed(root, spec, changed):
        return replace(found, id=f"{found.id.removesuffix(DIRTY)}{DIRTY}")
    return found if found.dirty else _with_row(root, spec, found)


def _with_row(root: Path, spec: ImageSpec, found: Commit) -> Commit:
    """The commit of the files, or the one after it that made the row what it is: whoever builds it has to get the image."""
    if _same_row(root, spec, found.id):
        return found
    log = git(root, "log", "--format=%H %ct", f"{found.id}..HEAD", "--", f"{spec.family}/{FILENAME}").text
    for line in log.splitlines():
        commit, _, epoch = line.partition(" ")
        if not _same_row(root, spec, commit):
            break
        found = Commit(id=commit, epoch=int(epoch))
    return found


def recipe_paths(root: Path, spec: ImageSpec, dockerfile: Dockerfile) -> tuple[Path, ...]:
    """The files and folders of a recipe but for its row: folders as such, so that git tells what was removed from one."""
    ignored = ignore_file(root, spec)
    return (*context_paths(root, spec, dockerfile), spec.dockerfile, *([ignored] if ignored else []))


def row_is_committed(root: Path, spec: ImageSpec, changed: Collection[str]) -> bool:
    """Whether versions.toml makes the same image of this row as it was committed; other rows and comments are not asked."""
    if f"{spec.family}/{FILENAME}" not in changed:
        return True
    return _same_row(root, spec, git(root, "rev-parse", "HEAD").text.strip())


def _same_row(root: Path, spec: ImageSpec, commit: str) -> bool:
    """Whether versions.toml of a commit makes the same image."""
    return _images_at(root, spec.family, commit).get(spec.id) == _built_of(spec)


@cache  # of a commit, which never changes: there may be a thousand rows in one file
def _images_at(root: Path, family: str, commit: str) -> Mapping[str, ImageSpec]:
    """What versions.toml of a commit makes, by id; nothing where it cannot be read.

    :param commit: its whole hash.
    """
    try:
        manifest = Manifest.model_validate(tomllib.loads(git(root, "show", f"{commit}:./{family}/{FILENAME}").text))
        found = expand(Family(name=family, path=root / family, manifest=manifest))
    except (tomllib.TOMLDecodeError, ValidationError, UsageError):
        return {}
    return {spec.id: _built_of(spec) for spec in found}


def _built_of(spec: ImageSpec) -> ImageSpec:
    """What of a row a build can see: not its state, nor whether it is the default."""
    return replace(spec, default=False, state=State.ACTIVE, reason=None, since=None)

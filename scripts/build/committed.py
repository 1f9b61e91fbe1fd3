"""The commit that an image is of: the last one that touched its recipe, and whether the recipe is that commit's."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from scripts.build.vcs import DIRTY, Commit, git, last_commit
from scripts.errors import UsageError
from scripts.recipe.family import FILENAME, Family, Manifest, State
from scripts.recipe.inputs import context_paths, ignore_file
from scripts.recipe.matrix import expand

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.recipe.dockerfile import Dockerfile
    from scripts.recipe.matrix import ImageSpec


def recipe_commit(root: Path, spec: ImageSpec, dockerfile: Dockerfile) -> Commit:
    """The last commit that touched the files that a build of ``spec`` can see; dirty if these or its row are not committed."""
    found = last_commit(root, recipe_paths(root, spec, dockerfile))
    if not found.id or found.dirty or row_is_committed(root, spec):
        return found
    return replace(found, id=f"{found.id}{DIRTY}")


def recipe_paths(root: Path, spec: ImageSpec, dockerfile: Dockerfile) -> tuple[Path, ...]:
    """The files and folders of a recipe but for its row: folders as such, so that git tells what was removed from one."""
    ignored = ignore_file(root, spec)
    return (*context_paths(root, spec, dockerfile), spec.dockerfile, *([ignored] if ignored else []))


def row_is_committed(root: Path, spec: ImageSpec) -> bool:
    """Whether versions.toml makes the same image of this row as it was committed; other rows and comments are not asked."""
    path = f"{spec.family}/{FILENAME}"
    if not git(root, "status", "--porcelain", "--", path).text:
        return True
    try:
        manifest = Manifest.model_validate(tomllib.loads(git(root, "show", f"HEAD:./{path}").text))
        before = expand(Family(name=spec.family, path=root / spec.family, manifest=manifest))
    except (tomllib.TOMLDecodeError, ValidationError, UsageError):
        return False
    return _built_of(spec) in map(_built_of, before)


def _built_of(spec: ImageSpec) -> ImageSpec:
    """What of a row a build can see: not its state, nor whether it is the default."""
    return replace(spec, default=False, state=State.ACTIVE, reason=None, since=None)

"""Decide what is to be built and why, before anything is. Reads; changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scripts.build.bake import EXPORTER
from scripts.build.bases import STAND_INS
from scripts.build.layout import Record, load_record
from scripts.build.sources import Base, resolve_base
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.inputs import Recipe, recipe_of, summarise

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec


class Action(StrEnum):
    """What a build would do with an image; the value is the word in the table."""

    BUILD = "build"
    NOTHING = "up to date"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One image of a plan."""

    spec: ImageSpec
    base: Base
    recipe: Recipe
    action: Action
    why: str


def plan_builds(specs: Sequence[ImageSpec], *, root: Path, out: Path, cache: Path, force: str = "") -> tuple[Step, ...]:
    """The step of each image.

    :param force: why everything is to be built whatever its recipe; empty to build only what changed.
    """
    references = list(dict.fromkeys(spec.base for spec in specs))
    with ThreadPoolExecutor(max_workers=8) as pool:
        bases = dict(zip(references, pool.map(lambda item: resolve_base(item, cache), references), strict=True))
    return tuple(
        plan_build(spec, bases[spec.base], load_record(out, spec.id), root=root, force=force) for spec in specs
    )


def plan_build(spec: ImageSpec, base: Base, record: Record | None, *, root: Path, force: str = "") -> Step:
    """The step of one image, from its base and the record of its last build."""
    recipe = recipe_of(root, spec, load_dockerfile(spec.dockerfile), base=base.digest, settings=EXPORTER)
    if base.stand_in and not base.digest and base.reference not in STAND_INS:
        action, why = Action.IMPOSSIBLE, f"base not resolvable, and no stand-in: {base.why}"
    elif record is None:
        action, why = Action.BUILD, "never built here"
    elif force:
        action, why = Action.BUILD, force
    elif changed := recipe.changed(record.recipe):
        action, why = Action.BUILD, summarise(changed)
    else:
        action, why = Action.NOTHING, f"recipe, lock and base are those of {record.digest[:19]}"
    return Step(spec=spec, base=base, recipe=recipe, action=action, why=why)

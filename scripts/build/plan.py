"""Decide what is to be built and why, before anything is. Reads; changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from scripts.build.bake import EXPORTER
from scripts.build.bases import STAND_INS
from scripts.build.committed import recipe_commit
from scripts.build.layout import Record, load_record
from scripts.build.sources import Base, resolve_base
from scripts.build.vcs import DIRTY, changed_files
from scripts.errors import BuildError
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.inputs import Recipe, recipe_of, summarise

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec


class Action(StrEnum):
    """What a build would do with an image; the value is the word in the table."""

    BUILD = "build"
    NOTHING = "up to date"
    IMPOSSIBLE = "impossible"
    LEFT = "left alone"
    """Frozen or deprecated: nobody builds it unless it is asked for by name."""
    RETIRED = "retired"
    """Published, and no row makes it any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One image of a plan."""

    spec: ImageSpec
    base: Base
    recipe: Recipe
    action: Action
    why: str


def plan_builds(specs: Sequence[ImageSpec], settings: Settings) -> tuple[Step, ...]:
    """The step of each image, compared with what was built here."""
    bases = resolve_bases(specs, settings)
    records = [load_record(settings.out, spec.id) for spec in specs]
    dirty = any(record and record.commit.endswith(DIRTY) for record in records)
    uncommitted = changed_files(settings.root) if dirty else ()
    return tuple(
        plan_build(spec, bases[spec.pinned_base], record, settings, uncommitted)
        for spec, record in zip(specs, records, strict=True)
    )


def resolve_bases(specs: Iterable[ImageSpec], settings: Settings) -> dict[str, Base]:
    """The base of each image, by its reference with its pin; each is asked for once, and all at a time."""
    cache = settings.cache / "bases"
    references = list(dict.fromkeys(spec.pinned_base for spec in specs))
    with ThreadPoolExecutor(max_workers=8) as pool:
        return dict(zip(references, pool.map(lambda item: resolve_base(item, cache), references), strict=True))


def plan_build(
    spec: ImageSpec, base: Base, record: Record | None, settings: Settings, uncommitted: Collection[str] | None = None
) -> Step:
    """The step of one image, from its base and the record of its last build.

    :param uncommitted: what ``changed_files`` told; None: it is asked where it matters.
    """
    dockerfile = load_dockerfile(spec.dockerfile)
    own = {"source": settings.source, **({"--set": " ".join(settings.overrides)} if settings.overrides else {})}
    recipe = recipe_of(settings.root, spec, dockerfile, base=base.digest, settings={**EXPORTER, **own})
    if base.stand_in and not base.digest and base.reference not in STAND_INS:
        action, why = Action.IMPOSSIBLE, f"base not resolvable, and no stand-in: {base.why}"
    elif record is None:
        action, why = Action.BUILD, "never built here"
    elif settings.force:
        action, why = Action.BUILD, settings.force
    elif changed := recipe.changed(record.recipe):
        action, why = Action.BUILD, summarise(changed, record.recipe, recipe.parts)
    elif record.commit.endswith(DIRTY) and not recipe_commit(settings.root, spec, dockerfile, uncommitted).dirty:
        action, why = Action.BUILD, "built before its recipe was committed, and labelled so"
    else:
        action, why = Action.NOTHING, f"recipe, lock and base are those of {record.digest[:19]}"
    return Step(spec=spec, base=base, recipe=recipe, action=action, why=why)


def refuse_stand_ins(steps: Iterable[Step]) -> None:
    """Refuse a plan that would build on stand-ins, for --real-bases.

    :raises BuildError: with every base that could not be resolved.
    """
    faults = {step.base.reference: step.base.why for step in steps if step.base.stand_in}
    if faults:
        raise BuildError(
            "\n".join(
                f"{name}: could not be resolved, and --real-bases was given: {why}" for name, why in faults.items()
            )
        )


def plan_row(step: Step) -> dict[str, Any]:
    """A row of ``plan``."""
    return {
        "id": step.spec.id,
        "action": str(step.action),
        "why": step.why,
        "base": step.base.reference,
        "base digest": step.base.digest,
        "pinned": step.base.pinned,
        "stand-in": step.base.stand_in,
        "recipe": step.recipe.hash,
    }


def row_apart(image_id: str, action: Action, why: str, base: str = "") -> dict[str, Any]:
    """A row of ``plan`` for an image that nothing was planned for; the columns are those of ``plan_row``."""
    empty = {"base digest": "", "pinned": False, "stand-in": False, "recipe": ""}
    return {"id": image_id, "action": str(action), "why": why, "base": base, **empty}

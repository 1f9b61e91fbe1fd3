"""Choose images by family, version and stage, the way the tasks' options name them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from scripts.errors import UsageError
from scripts.recipe.family import State
from scripts.recipe.faults import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scripts.recipe.family import Family, Row
    from scripts.recipe.matrix import ImageSpec


def select(
    specs: Iterable[ImageSpec], family: str | None = None, version: str | None = None, stage: str | None = None
) -> tuple[ImageSpec, ...]:
    """The images of ``family``, of the rows with ``version``, of ``stage``; each may be left out.

    :raises UsageError: for a name that does not exist, with the nearest that does.
    """
    chosen: Sequence[ImageSpec] = tuple(specs)
    for word, wanted, field in (
        ("family", family, "family"),
        ("version", version, "version"),
        ("stage", stage, "stage"),
    ):
        if wanted is None:
            continue
        known = dict.fromkeys(getattr(spec, field) for spec in chosen)
        if wanted not in known:
            within = " ".join(filter(None, (family, version if word == "stage" else None)))
            owner = f"{within} has " if within and word != "family" else ""
            raise UsageError(f'{owner}no {word} "{wanted}"{did_you_mean(wanted, known)}')
        chosen = tuple(spec for spec in chosen if getattr(spec, field) == wanted)
    return tuple(chosen)


def find(specs: Iterable[ImageSpec], image_id: str) -> ImageSpec:
    """The image of that id, REPO:TAG.

    :raises UsageError: if there is none, with the nearest that there is.
    """
    known = {spec.id: spec for spec in specs}
    if image_id not in known:
        raise UsageError(f'no image "{image_id}"{did_you_mean(image_id, known)}')
    return known[image_id]


def select_buildable(
    specs: Iterable[ImageSpec],
    family: str,
    version: str | None = None,
    stage: str | None = None,
    *,
    every: bool = False,
    include_frozen: bool = False,
) -> tuple[ImageSpec, ...]:
    """What ``build`` builds: the row of ``version``, all active rows (``every``), or the family's default row.

    :raises UsageError: for a frozen or deprecated row without ``include_frozen``, and for contrary options.
    """
    if every and version:
        raise UsageError("--all and --version exclude each other: leave one out")
    chosen = select(specs, family, version, stage)
    if not every and version is None:
        rows = dict.fromkeys(spec.version for spec in chosen)
        chosen = tuple(spec for spec in chosen if spec.default)
        if not chosen:
            raise UsageError(
                f'the default row of {family} has no stage "{stage}": name a row that has it with --version: '
                f"{', '.join(rows)}"
            )
    if include_frozen:
        return chosen
    active = tuple(spec for spec in chosen if spec.state is State.ACTIVE)
    if not active and every:
        raise UsageError(f"{family} has no active image: all are frozen or deprecated (--include-frozen builds them)")
    if not active:
        spec = chosen[0]
        raise UsageError(
            f"{spec.id} is {spec.state} since {spec.since}: {spec.reason}. To build it all the same: --include-frozen"
        )
    return active


def select_rows(
    families: Iterable[Family], family: str | None = None, version: str | None = None, *, every: bool = False
) -> tuple[tuple[Family, Row], ...]:
    """Rows of version manifests: those that are active, of ``family``; the one of ``version`` whatever its state.

    :param every: frozen and deprecated rows too.
    :raises UsageError: for a name that does not exist, with the nearest that does.
    """
    known = {item.name: item for item in families}
    if family is not None and family not in known:
        raise UsageError(f'no family "{family}"{did_you_mean(family, known)}')
    rows = [(owner, row) for owner in known.values() if family in {None, owner.name} for row in owner.manifest.image]
    if version is not None:
        versions = dict.fromkeys(row.version for _, row in rows)
        if version not in versions:
            owner = f"{family} has " if family else ""
            raise UsageError(f'{owner}no version "{version}"{did_you_mean(version, versions)}')
        return tuple((owner, row) for owner, row in rows if row.version == version)
    return tuple((owner, row) for owner, row in rows if every or is_active(owner, row))


def is_active(family: Family, row: Row) -> bool:
    """Whether a row is maintained: neither frozen nor deprecated."""
    return (row.state or family.manifest.defaults.state) is State.ACTIVE


def narrow_platforms(specs: Iterable[ImageSpec], platforms: tuple[str, ...]) -> tuple[ImageSpec, ...]:
    """The images for some of their platforms only.

    :raises UsageError: for a platform that an image's row does not have: neither its base nor its lock has it.
    """
    narrowed = []
    platforms = tuple(dict.fromkeys(platforms))
    for spec in specs:
        for platform in platforms:
            if platform not in spec.platforms:
                raise UsageError(f'{spec.id} has no platform "{platform}"; it has {", ".join(spec.platforms)}')
        narrowed.append(replace(spec, platforms=platforms))
    return tuple(narrowed)


def image_row(spec: ImageSpec) -> dict[str, Any]:
    """A row of ``list``."""
    versions = {"python": spec.python, **({"cuda": spec.cuda} if spec.cuda else {}), **spec.packages}
    return {
        "id": spec.id,
        "family": spec.family,
        "repository": spec.repository,
        "tag": spec.tag,
        "stage": spec.stage,
        "base": spec.base,
        "base digest": spec.base_digest,
        "versions": versions,
        "platforms": list(spec.platforms),
        "gpu": spec.gpu,
        "state": str(spec.state),
        "reason": spec.reason,
        "since": spec.since,
    }

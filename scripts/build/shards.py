"""A plan as work for several builders: the images of a row share their stages, so they go to one. Pure.

https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax (strategy.matrix.include) and
https://docs.gitlab.com/ci/pipelines/downstream_pipelines/ (dynamic child pipelines; JSON is YAML).
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.build.plan import Action
from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scripts.build.plan import Step
    from scripts.recipe.matrix import ImageSpec

MOST = 256
"""Jobs that GitHub makes of one matrix."""
# What a job of a child pipeline runs; a file that is included after this one may say it otherwise.
SCRIPT = (
    'for row in $ROWS; do ./scripts/invoke build "${row%%=*}" --version "${row#*=}"; done',
    'for image in $IMAGES; do ./scripts/nox -s "smoke($image)"; done',
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What one builder builds: some rows of a family, with all of their images that are to be built."""

    family: str
    images: tuple[ImageSpec, ...]

    @property
    def versions(self) -> tuple[str, ...]:
        """Versions of its rows."""
        return tuple(dict.fromkeys(spec.version for spec in self.images))

    @property
    def name(self) -> str:
        """``cuda 12.1``, or ``cuda 12.1 to 12.8`` of several rows."""
        versions = self.versions
        return f"{self.family} {versions[0]}" + (f" to {versions[-1]}" if len(versions) > 1 else "")


def shards_of(steps: Iterable[Step], most: int = MOST) -> tuple[Shard, ...]:
    """The images that are to be built, by row; where these are more than ``most``, several rows of a family together.

    One that cannot be built has a job too: that fails, and says why, and keeps no other row from being built.

    :raises UsageError: if the name of a family would be taken apart by a shell.
    """
    rows: dict[str, dict[str, list[ImageSpec]]] = defaultdict(lambda: defaultdict(list))
    for step in steps:
        if step.action in {Action.BUILD, Action.IMPOSSIBLE}:
            rows[step.spec.family][step.spec.version].append(step.spec)
    if odd := [family for family in rows if not re.fullmatch(r"[A-Za-z0-9._-]+", family)]:
        raise UsageError(f'"{odd[0]}": a family with jobs of its own has a name of letters, digits and ". _ -"')
    size = 1
    while sum(-(-len(versions) // size) for versions in rows.values()) > max(most, len(rows)):
        size += 1
    return tuple(
        Shard(family=family, images=tuple(spec for row in part for spec in row))
        for family, versions in rows.items()
        for part in _parts(list(versions.values()), size)
    )


def _parts(rows: Sequence[list[ImageSpec]], size: int) -> Iterable[Sequence[list[ImageSpec]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def render_github(shards: Iterable[Shard]) -> str:
    """A matrix in one line, as a step's output takes it; where nothing is to be built, its ``include`` is empty.

    GitHub refuses a job with an empty matrix, so such a job has to be skipped: ``if: fromJSON(...).include[0]``.
    """
    return json.dumps({"include": [_entry(shard) for shard in shards]}, separators=(",", ":"))


def render_gitlab(shards: Sequence[Shard]) -> str:
    """A child pipeline, with a job for each shard; where nothing is to be built, one that says so: none is an error."""
    jobs: dict[str, Any] = {
        shard.name: {"extends": ".images", "variables": {"ROWS": _rows(shard), "IMAGES": _ids(shard)}}
        for shard in shards
    }
    if not jobs:
        jobs = {"nothing to build": {"stage": "images", "script": ["echo nothing to build"]}}
    common = {"stages": ["images"], ".images": {"stage": "images", "script": list(SCRIPT)}}
    return json.dumps({**common, **jobs}, indent=2)


def _entry(shard: Shard) -> dict[str, Any]:
    return {
        "name": shard.name,
        "rows": _rows(shard),
        "images": _ids(shard),
        "repositories": " ".join(dict.fromkeys(spec.repository for spec in shard.images)),
        "platforms": " ".join(dict.fromkeys(name for spec in shard.images for name in spec.platforms)),
        "gpu": any(spec.gpu for spec in shard.images),
    }


def _rows(shard: Shard) -> str:
    """``FAMILY=VERSION`` of each row, with a space between: neither has one, so a shell's loop takes them apart."""
    return " ".join(f"{shard.family}={version}" for version in shard.versions)


def _ids(shard: Shard) -> str:
    return " ".join(spec.id for spec in shard.images)

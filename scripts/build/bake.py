"""Builds to a bake definition: the JSON that ``docker buildx bake`` reads on stdin. Pure.

Keys are bake's own (https://docs.docker.com/build/bake/reference/); the options of the OCI exporter are BuildKit's.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from scripts.build.layout import directory_of_platform
from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

LABELS = "ai.vessl.images"
# What decides the bytes of the product besides the recipe. oci-mediatypes is given because its default depends on the
# BuildKit version. Not rewrite-timestamp: it compresses every layer a second time (65 s of a 119 s export of the CPU
# image), and the Dockerfiles give every file a fixed time where it is made, which also keeps a layer's digest when
# SOURCE_DATE_EPOCH moves on; tests/integration/test_images.py looks at the layers.
EXPORTER: Mapping[str, str] = {"oci-mediatypes": "true", "compression": "zstd"}
# All stages, as most of the time goes into those that are no part of the image themselves. As an image manifest, since
# quay.io refuses the index that BuildKit before 0.21 writes; zstd, or each layer would be compressed a second time.
CACHE: Mapping[str, str] = {
    "mode": "max",
    "image-manifest": "true",
    "oci-mediatypes": "true",
    "compression": "zstd",
    "ignore-error": "true",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A file that build steps can read under /run/secrets and that stays in no layer."""

    id: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One image to build with everything that was found out about this machine."""

    spec: ImageSpec
    output: Path
    """Where the OCI layout is written."""
    recipe_hash: str
    base_digest: str
    stand_in: bool
    commit: str
    epoch: int
    """Seconds since 1970-01-01 (https://reproducible-builds.org/specs/source-date-epoch/)."""
    source: str = ""
    """Address of the recipes' repository."""
    contexts: Mapping[str, str] = field(default_factory=dict)
    args: Mapping[str, str] = field(default_factory=dict)
    """Build arguments that this machine decides."""
    secrets: tuple[Secret, ...] = ()
    cache_to: str = ""
    """Where BuildKit is to write what it made of each step, see ``_cache``; empty: nowhere."""
    cache_from: str = ""
    platform: str = ""
    """The platform, where this is one of several of the image; else empty."""

    @property
    def target(self) -> str:
        """Name of the bake target."""
        part = self.platform.replace("/", "_")
        return f"{self.spec.target}__{part}" if part else self.spec.target

    @property
    def parts(self) -> tuple[Build, ...]:
        """What is built: an image of one platform as it is, one of several platforms as one build for each."""
        if len(self.spec.platforms) == 1:
            return (self,)
        return tuple(
            replace(
                self,
                spec=replace(self.spec, platforms=(platform,)),
                output=directory_of_platform(self.output, platform),
                platform=platform,
            )
            for platform in self.spec.platforms
        )


def render_bake(builds: Iterable[Build], *, root: Path, no_cache: bool = False) -> str:
    """The bake definition of ``builds`` as JSON, with a group ``default`` of all of them.

    :raises UsageError: if two have one target name.
    """
    parts = [part for build in builds for part in build.parts]
    targets = {part.target: _target(part, root, no_cache=no_cache) for part in parts}
    if len(targets) < len(parts):
        names = [part.target for part in parts]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise UsageError(f"{', '.join(twice)}: more than one image becomes this bake target: rename a tag")
    definition = {"group": {"default": {"targets": list(targets)}}, "target": targets}
    return json.dumps(definition, indent=2) + "\n"


def labels(build: Build) -> dict[str, str]:
    """Labels of the image: OCI's annotation keys (image-spec, annotations.md) and ours."""
    spec = build.spec
    found = {
        "org.opencontainers.image.title": spec.id,
        "org.opencontainers.image.version": spec.tag,
        "org.opencontainers.image.revision": build.commit,
        "org.opencontainers.image.source": build.source,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "org.opencontainers.image.base.name": spec.base,
        "org.opencontainers.image.base.digest": build.base_digest,
        f"{LABELS}.id": spec.id,
        f"{LABELS}.family": spec.family,
        f"{LABELS}.python": spec.python,
        f"{LABELS}.cuda": spec.cuda or "",
        f"{LABELS}.recipe": build.recipe_hash,
        f"{LABELS}.base": "stand-in" if build.stand_in else "",
    }
    return {name: value for name, value in found.items() if value}


def _target(build: Build, root: Path, *, no_cache: bool) -> dict[str, Any]:
    spec = build.spec
    target: dict[str, Any] = {
        "context": ".",
        "dockerfile": spec.dockerfile.relative_to(root).as_posix(),
        "target": spec.stage,
        "args": _escaped({**spec.build_args, **build.args, "SOURCE_DATE_EPOCH": str(build.epoch)}),
        "labels": _escaped(labels(build)),
        "platforms": list(spec.platforms),
        "output": [_exporter(build)],
        # BuildKit's own attestations carry times, so they would turn a stable digest into one that never repeats.
        "attest": ["type=provenance,disabled=true"],
    }
    if build.contexts:
        target["contexts"] = _escaped(build.contexts)
    if build.secrets:
        target["secret"] = [
            _options({"type": "file", "id": secret.id, "src": str(secret.path)}) for secret in build.secrets
        ]
    if build.cache_from:
        target["cache-from"] = [_cache(build.cache_from, build.target, {})]
    if build.cache_to:
        target["cache-to"] = [_cache(build.cache_to, build.target, CACHE)]
    if no_cache:
        target["no-cache"] = True
    return target


def _cache(place: str, target: str, options: Mapping[str, str]) -> str:
    """A cache of BuildKit's: ``TYPE=…`` options as they are, or a repository that has one tag for each image."""
    if "=" in place:
        return _literal(place)
    return _options({"type": "registry", "ref": f"{place}:{target}", **options})


def _exporter(build: Build) -> str:
    return _options({"type": "oci", "tar": "false", "dest": str(build.output), **EXPORTER})


def _options(options: Mapping[str, str]) -> str:
    """Options as one line of CSV, which buildx reads them as: a path may have a comma in it."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(f"{key}={value}" for key, value in options.items())
    return _literal(line.getvalue())


def _escaped(values: Mapping[str, str]) -> dict[str, str]:
    return {name: _literal(value) for name, value in values.items()}


def _literal(value: str) -> str:
    """A value that stays as it is: bake reads JSON strings as HCL templates."""
    return value.replace("${", "$${").replace("%{", "%%{")

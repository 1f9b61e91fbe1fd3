"""Families to image specs: every row and stage becomes one image to build, and no two may be in each other's way."""

from __future__ import annotations

import re
import string
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.recipe import torch_wheels
from scripts.recipe.dockerfile import Dockerfile, DockerfileError, load_dockerfile
from scripts.recipe.family import Family, Row, Stage, State, family_directories, layer_of, load_family
from scripts.recipe.faults import ManifestError, did_you_mean

if TYPE_CHECKING:
    import datetime
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

# distribution-spec 1.1, "Pulling manifests": <reference> as a tag
TAG_GRAMMAR = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
REVISION_SUFFIX = re.compile(r"-r[0-9]+$")
# Set for every image by the bake definition, so a row may not set them.
RESERVED_ARGS = frozenset({"BASE_IMAGE", "PYTHON_VERSION", "ROW", "SOURCE_DATE_EPOCH", "UV_VERSION"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """One image to build."""

    id: str
    """``REPOSITORY:TAG``, the one identifier of the image."""
    family: str
    repository: str
    tag: str
    version: str
    """What ``--version`` selects: the row's version."""
    stage: str
    dockerfile: Path
    base: str
    """Reference of the base image with its tag; the pin is apart."""
    base_digest: str | None
    """The digest that versions.toml pins the base to."""
    python: str
    cuda: str | None
    packages: Mapping[str, str]
    args: Mapping[str, str]
    torch_index: str | None
    default: bool
    """Whether this is the row that ``build FAMILY`` builds."""
    platforms: tuple[str, ...]
    gpu: bool
    state: State
    reason: str | None
    since: datetime.date | None

    @property
    def build_args(self) -> dict[str, str]:
        """Build arguments: the row's own and those that every Dockerfile has."""
        return {**self.args, "BASE_IMAGE": self.base, "PYTHON_VERSION": self.python, "ROW": self.version}

    @property
    def pinned_base(self) -> str:
        """The base as it is to be asked for: with its digest where it is pinned."""
        return f"{self.base}@{self.base_digest}" if self.base_digest else self.base

    @property
    def target(self) -> str:
        """Name of the bake target; bake allows ``[A-Za-z0-9_-]`` only."""
        return re.sub(r"[^A-Za-z0-9_-]", "_", self.id)


def load_families(root: Path) -> tuple[Family, ...]:
    """All families below ``root``.

    :raises ManifestError: with the faults of every file that has some.
    """
    families: list[Family] = []
    failures: list[ManifestError] = []
    for directory in family_directories(root):
        try:
            families.append(load_family(directory))
        except ManifestError as error:
            failures.append(error)
    if failures:
        raise _joined(failures)
    return tuple(families)


def expand_all(families: Iterable[Family]) -> tuple[ImageSpec, ...]:
    """The images of all families, checked within each and across them.

    :raises ManifestError: with every broken rule.
    """
    specs: list[ImageSpec] = []
    failures: list[ManifestError] = []
    for family in families:
        try:
            specs += expand(family)
        except ManifestError as error:
            failures.append(error)
    if failures:
        raise _joined(failures)
    _refuse_collisions(specs)
    return tuple(specs)


def expand(family: Family) -> tuple[ImageSpec, ...]:
    """The images of one family.

    :raises ManifestError: with every rule that the family breaks.
    """
    faults: list[str] = []
    dockerfile = _dockerfile(family, faults)
    manifest = family.manifest
    for name in manifest.stages:
        if dockerfile and dockerfile.stage(name) is None:
            known = [stage.name for stage in dockerfile.stages]
            faults.append(f"stages.{name}: {manifest.dockerfile} has no such stage{did_you_mean(name, known)}")
    if dockerfile and manifest.lock:
        copied = _locks_of(dockerfile)
        faults += [
            f"layers.{layer}: {manifest.dockerfile} copies no lock of that layer{did_you_mean(layer, copied)}"
            for layer in manifest.layers
            if layer not in copied
        ]
        faults += [
            f'layers: {manifest.dockerfile} copies a lock of "{layer}", which is no layer here'
            for layer in copied
            if layer not in manifest.layers
        ]
    versions = [row.version for row in manifest.image]
    if manifest.default not in versions:
        faults.append(f'default: no row has version "{manifest.default}"{did_you_mean(manifest.default, versions)}')
    faults += [
        f'image[{index}].version: "{version}" is the version of image[{versions.index(version)}] too'
        for index, version in enumerate(versions)
        if versions.index(version) != index
    ]
    faults += [f"defaults.{fault}" for fault in _arg_faults(family, dockerfile, manifest.defaults.args)]
    specs = [
        spec for index, row in enumerate(manifest.image) for spec in _expand_row(family, dockerfile, index, row, faults)
    ]
    if faults:
        raise ManifestError(family.where, list(dict.fromkeys(faults)))  # what is wrong for all rows is said once
    return tuple(specs)


def _expand_row(
    family: Family, dockerfile: Dockerfile | None, index: int, row: Row, faults: list[str]
) -> list[ImageSpec]:
    manifest, here = family.manifest, f"image[{index}]"
    faults += [f"{here}.{fault}" for fault in _row_faults(family, dockerfile, row)]
    state = row.state or manifest.defaults.state
    reason, since = row.reason or manifest.defaults.reason, row.since or manifest.defaults.since
    if state is not State.ACTIVE and not (reason and since):
        faults.append(f"{here}: {state} images say why and from when (reason and since)")
    if state is State.ACTIVE and (row.reason or row.since):
        faults.append(f"{here}: reason and since go with state frozen or deprecated")
    specs = []
    for name in manifest.stages if row.stages is None else row.stages:
        stage = manifest.stages.get(name)
        if stage is None:
            faults.append(f'{here}.stages: no stage "{name}"{did_you_mean(name, manifest.stages)}')
            continue
        tag = _render_tag(name, stage, row, here, faults)
        if tag is None:
            continue
        specs.append(
            ImageSpec(
                id=f"{stage.repository}:{tag}",
                family=family.name,
                repository=stage.repository,
                tag=tag,
                version=row.version,
                stage=name,
                dockerfile=family.dockerfile,
                base=row.base_name,
                base_digest=row.base_digest,
                python=row.python,
                cuda=row.cuda,
                packages=_packages_of(family, dockerfile, name, row),
                args={**manifest.defaults.args, **row.args},
                torch_index=manifest.torch_index,
                default=row.version == manifest.default,
                platforms=row.platforms or manifest.defaults.platforms,
                gpu=manifest.defaults.gpu if row.gpu is None else row.gpu,
                state=state,
                reason=reason if state is not State.ACTIVE else None,
                since=since if state is not State.ACTIVE else None,
            )
        )
    return specs


def _row_faults(family: Family, dockerfile: Dockerfile | None, row: Row) -> Iterator[str]:
    """What is wrong with a row by itself, each fault beginning with its key."""
    if row.base.startswith(("docker.io/", "index.docker.io/")):
        # bake's named contexts go by the familiar form: a stand-in for another form would silently not be used.
        familiar = row.base.partition("/")[2].removeprefix("library/")
        yield f'base: leave out the default registry: "{familiar}"'
    if family.manifest.lock:  # otherwise torch comes with the base, which has builds of its own
        indexed = family.manifest.torch_index is not None
        yield from (f"packages.{fault}" for fault in torch_wheels.faults(row, indexed=indexed))
    yield from _arg_faults(family, dockerfile, row.args)


def _arg_faults(family: Family, dockerfile: Dockerfile | None, args: Iterable[str]) -> Iterator[str]:
    for name in args:
        if name in RESERVED_ARGS:
            yield f"args.{name}: is set for every image from base, python and version"
        elif dockerfile and name not in dockerfile.args:
            hint = did_you_mean(name, set(dockerfile.args) - RESERVED_ARGS)
            yield f"args.{name}: {family.manifest.dockerfile} declares no such ARG{hint}"


def _packages_of(family: Family, dockerfile: Dockerfile | None, stage: str, row: Row) -> Mapping[str, str]:
    """The row's packages that this stage holds: those whose layer the stage copies, or all where there are no layers."""
    if dockerfile is None or not family.manifest.lock:
        return row.packages
    held = _locks_of(dockerfile, stage)
    return {name: version for name, version in row.packages.items() if layer_of(name, family.manifest.layers) in held}


def _locks_of(dockerfile: Dockerfile, stage: str | None = None) -> tuple[str, ...]:
    """The layers whose locks a Dockerfile copies, in all or for one stage."""
    stages = dockerfile.stages if stage is None else dockerfile.reachable(stage, {})
    paths = [path for item in stages for path in item.context_paths if "/locks/" in path]
    return tuple(path.rpartition("/")[2].removesuffix(".txt") for path in paths)


def _render_tag(name: str, stage: Stage, row: Row, here: str, faults: list[str]) -> str | None:
    """The standard tag of a row, or None where the template cannot be filled or breaks the grammar."""
    fields = {"version": row.version, "python": row.python, **row.packages}
    if row.cuda:
        fields["cuda"] = row.cuda
    try:
        parsed = [item for item in string.Formatter().parse(stage.tag) if item[1] is not None]
        if any(form or conversion for _, _, form, conversion in parsed):
            raise ValueError("fields are plain names, such as {version}")  # noqa: TRY301 - reported as the parser's own
        wanted = [field for _, field, _, _ in parsed if field is not None]
    except ValueError as error:
        faults.append(f"stages.{name}.tag: {stage.tag!r}: {error}")
        return None
    unknown = [field for field in wanted if field not in fields]
    faults += [
        f"stages.{name}.tag: {stage.tag!r}: {here} has no field {{{field}}}{did_you_mean(field, fields)}"
        for field in unknown
    ]
    if unknown:
        return None
    tag = stage.tag.format(**fields)
    if not TAG_GRAMMAR.fullmatch(tag):
        faults.append(f"{here}: tag {tag!r} is against the OCI grammar: {TAG_GRAMMAR.pattern}")
        return None
    if REVISION_SUFFIX.search(tag):
        faults.append(f"{here}: tag {tag!r} ends like a revision tag (-rN)")
        return None
    return tag


def _dockerfile(family: Family, faults: list[str]) -> Dockerfile | None:
    try:
        return load_dockerfile(family.dockerfile)
    except OSError as error:
        faults.append(f"dockerfile: {family.manifest.dockerfile} cannot be read: {error.strerror}")
    except DockerfileError as error:
        faults.append(f"dockerfile: {family.manifest.dockerfile}: {error}")
    except UnicodeDecodeError as error:
        faults.append(f"dockerfile: {family.manifest.dockerfile} is not UTF-8 at byte {error.start}")
    return None


def _refuse_collisions(specs: Iterable[ImageSpec]) -> None:
    """Refuse two images with one id, and two ids that would share a bake target name."""
    by_target: dict[str, list[ImageSpec]] = defaultdict(list)
    for spec in specs:
        by_target[spec.target].append(spec)
    faults = []
    for target, group in by_target.items():
        if len(group) == 1:
            continue
        places = " and ".join(f"{spec.family}/versions.toml {spec.version}, stage {spec.stage}" for spec in group)
        ids = sorted({spec.id for spec in group})
        if len(ids) == 1:
            faults.append(f"{ids[0]}: claimed by {places}")
        else:
            faults.append(f"{' and '.join(ids)}: both become the bake target {target} ({places})")
    if faults:
        raise ManifestError("versions.toml", faults)


def _joined(failures: list[ManifestError]) -> ManifestError:
    joined = ManifestError("", [fault for failure in failures for fault in failure.faults])
    joined.args = ("\n".join(str(failure) for failure in failures),)
    return joined

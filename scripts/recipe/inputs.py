"""What a build can see, without building: the recipe of an image, part by part, and the hash over it.

Equal recipes give equal images (the build is reproducible), so a recipe that did not change need not be built.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from scripts.errors import UsageError
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.lock import parse_layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path, PurePath

    from scripts.recipe.dockerfile import Dockerfile
    from scripts.recipe.lock import Pin
    from scripts.recipe.matrix import ImageSpec

# A locked distribution's part has its version, so that a later plan can name what moved and not just the file.
PIN = "pin "


@dataclass(frozen=True, kw_only=True)  # no slots: the hash is kept
class Recipe:
    """The inputs of one build: name of each part to a digest or value. A file's part has its path as its name."""

    parts: Mapping[str, str]

    @cached_property
    def hash(self) -> str:
        """SHA-256 over all parts, in hexadecimal."""
        return _sha256(json.dumps(dict(sorted(self.parts.items())), separators=(",", ":")).encode())

    def changed(self, before: Mapping[str, str]) -> tuple[str, ...]:
        """Names of the parts that differ from those of an earlier build, sorted."""
        return tuple(name for name in sorted({*self.parts, *before}) if self.parts.get(name) != before.get(name))


def context_files(root: Path, spec: ImageSpec, dockerfile: Dockerfile) -> tuple[Path, ...]:
    """The files of the build context that a build of ``spec`` copies or mounts, sorted.

    :raises UsageError: if one that the Dockerfile names does not exist.
    """
    found: set[Path] = set()
    for path in context_paths(root, spec, dockerfile):
        if path.is_dir():
            found |= {item for item in path.rglob("*") if item.is_file() and "__pycache__" not in item.parts}
        elif path.is_file():
            found.add(path)
        else:
            shown = path.relative_to(root)
            hint = f": run `invoke lock {spec.family} --version {spec.version}`" if "locks" in shown.parts else ""
            raise UsageError(f"{spec.id}: {shown}, which {spec.dockerfile.relative_to(root)} copies, is missing{hint}")
    return tuple(sorted(found))


def context_paths(root: Path, spec: ImageSpec, dockerfile: Dockerfile) -> tuple[Path, ...]:
    """The files and folders of the build context that a build of ``spec`` names, there or not."""
    args = spec.build_args
    stages = dockerfile.reachable(spec.stage, args)
    # Each once: most stages mount the same folders.
    names = dict.fromkeys(dockerfile.expand(name, args) for stage in stages for name in stage.context_paths)
    return tuple(root / name for name in names)


def ignore_file(root: Path, spec: ImageSpec) -> Path | None:
    """The file that keeps things out of the build context: the Dockerfile's own, else the context's (as BuildKit)."""
    for path in (spec.dockerfile.with_name(f"{spec.dockerfile.name}.dockerignore"), root / ".dockerignore"):
        if path.is_file():
            return path
    return None


def is_lock(root: Path, path: Path) -> bool:
    """Whether a file of the build context is a layer of a lock: ``FAMILY/locks/VERSION/LAYER.txt``."""
    return _is_lock(path.relative_to(root))


def _is_lock(shown: PurePath) -> bool:
    return shown.parts[1:2] == ("locks",)


def lock_files(root: Path, spec: ImageSpec) -> tuple[Path, ...]:
    """The files of the lock that a build of ``spec`` installs from, sorted; none where the base brings the packages.

    :raises UsageError: if one that the Dockerfile names does not exist.
    """
    files = context_files(root, spec, load_dockerfile(spec.dockerfile))
    return tuple(path for path in files if is_lock(root, path))


def locked_pins(root: Path, spec: ImageSpec) -> tuple[Pin, ...]:
    """Every distribution that is locked for ``spec``.

    :raises UsageError: as ``lock_files``.
    """
    return tuple(pin for path in lock_files(root, spec) for pin in parse_layer(path.read_text("utf-8")))


def recipe_of(root: Path, spec: ImageSpec, dockerfile: Dockerfile, *, base: str, settings: Mapping[str, str]) -> Recipe:
    """The recipe of an image.

    :param base: digest of the base image, or what else tells one base from another.
    :param settings: builder settings that change the bytes, such as the compression.
    """
    args = spec.build_args
    declared = {name: value for name, value in args.items() if name in dockerfile.args}
    parts = {"base": base, "platforms": ",".join(spec.platforms)}
    parts |= {f"setting {name}": value for name, value in settings.items()}
    parts |= {f"arg {name}": value for name, value in declared.items()}
    for stage in dockerfile.reachable(spec.stage, args):
        parts[f"stage {stage.name}"] = _sha256(dockerfile.texts[stage.name].encode())
    for path in context_files(root, spec, dockerfile):
        shown, content = path.relative_to(root), path.read_bytes()
        parts[shown.as_posix()] = _file_digest(path, content)
        if _is_lock(shown):
            parts |= {f"{PIN}{pin.name}": pin.version for pin in parse_layer(content.decode())}
    if ignored := ignore_file(root, spec):
        parts[ignored.relative_to(root).as_posix()] = _file_digest(ignored, ignored.read_bytes())
    return Recipe(parts=parts)


def summarise(
    changed: Iterable[str], before: Mapping[str, str] | None = None, after: Mapping[str, str] | None = None
) -> str:
    """The names of changed parts as one reason: what kind of change it is, then which.

    :param before: the parts of the earlier build, and ``after``: those of now; with both, packages are named.
    """
    return "; ".join(_kinds(tuple(changed), before or {}, after or {}))


def _kinds(changed: tuple[str, ...], before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    locks = [name for name in changed if "/locks/" in name]
    pins = [name for name in changed if name.startswith(PIN)]
    settings = [name for name in changed if name.startswith(("setting ", "arg ", "platforms"))]
    rest = [name for name in changed if name not in {*locks, *pins, *settings, "base"}]
    if "base" in changed:
        yield "base moved"
    if pins and any(name.startswith(PIN) for name in before):  # a record of before pins were kept names none
        moved = [
            f"{name.removeprefix(PIN)} {before.get(name, '(new)')} -> {after.get(name, '(gone)')}" for name in pins
        ]
        yield f"lock changed: {_few(moved)}"
    elif locks:
        yield f"lock changed: {_few(list(dict.fromkeys(name.rpartition('/')[2].removesuffix('.txt') for name in locks)))}"
    if rest or settings:
        # A file says more than the stages that use it.
        yield f"recipe changed: {_few(sorted([*rest, *settings], key=lambda name: name.startswith('stage ')))}"


def _few(names: list[str], most: int = 4) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _file_digest(path: Path, content: bytes) -> str:
    # Only the executable bit reaches an image: git keeps no other, and the Dockerfiles set modes.
    mode = "x" if path.stat().st_mode & 0o100 else "-"
    return f"{mode}{_sha256(content)}"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

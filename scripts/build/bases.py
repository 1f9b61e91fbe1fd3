"""Stand-in bases: what an image is built on where the registry of its real base cannot be reached.

Made once from Debian packages and NVIDIA's wheels, kept in a cache as OCI layouts, put in by bake named contexts.
An image built on one inherits the label ``ai.vessl.images.base=stand-in``, and is published to loopback only.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.build.rootfs import COMMON, EPOCH, make_rootfs, mmdebstrap_options, run
from scripts.errors import BuildError, UsageError
from scripts.recipe.selection import select

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scripts.recipe.matrix import ImageSpec

STAND_IN: Final = Path(__file__).with_name("standin")
BASE_PACKAGES: Final = ("ca-certificates", "netbase", "tzdata")
# Debian's own hold the CUDA libraries of another release, so these come out of NVIDIA's wheels, named in this file.
WHEELS: Final = "wheels.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the stand-in of one reference is made: a directory under ``standin/``, a Debian suite and its packages."""

    reference: str
    directory: str
    suite: str
    python: str
    packages: tuple[str, ...]
    build_args: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A stand-in that is made: an OCI layout directory and the digest of the image manifest in it."""

    reference: str
    layout: Path
    digest: str


def _python(version: str, suite: str, *packages: str, pip_packages: str = "pip") -> Recipe:
    parts = ("", "-venv", "-dev")
    return Recipe(
        reference=f"python:{version}-slim-{suite}",
        directory="python",
        suite=suite,
        python=f"python{version}",
        packages=(*BASE_PACKAGES, "python3-gdbm", *(f"python{version}{part}" for part in parts), *packages),
        build_args=(("PYTHON", version), ("PIP_PACKAGES", pip_packages)),
    )


# One row a base. From 3.12 on the official images ship neither distutils nor setuptools and wheel.
STAND_INS: Final = {
    recipe.reference: recipe
    for recipe in (
        _python("3.11", "bookworm", "python3-distutils", "python3-wheel-whl", pip_packages="pip setuptools wheel"),
        _python("3.13", "trixie"),
        Recipe(
            reference="nvcr.io/nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04",
            directory="cuda",
            suite="bookworm",
            python="python3.11",
            packages=(*BASE_PACKAGES, "build-essential", "python3.11", "python3.11-venv", "python3.11-dev"),
        ),
    )
}


def default_cache() -> Path:
    """Where stand-ins are kept unless the caller says otherwise: ``images/bases`` in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "images" / "bases"


def references_of(specs: Iterable[ImageSpec], family: str | None, version: str | None) -> tuple[str, ...]:
    """The bases of the chosen images that there are stand-ins for.

    :raises UsageError: if there is none.
    """
    found = tuple(dict.fromkeys(spec.base for spec in select(specs, family, version) if spec.base in STAND_INS))
    if not found:
        raise UsageError(f"none of these images has a stand-in base; those that have one: {', '.join(STAND_INS)}")
    return found


def find_stand_in(reference: str, cache: Path) -> StandIn | None:
    """Find the stand-in of this reference if it is made already by the present recipe; reads the disk only."""
    recipe = STAND_INS.get(reference)
    if recipe is None:
        return None
    layout = cache / _name(recipe)
    try:
        return StandIn(reference=reference, layout=layout, digest=_digest(layout))
    except (OSError, ValueError, LookupError, TypeError):  # not made, or damaged: it is made anew
        return None


def make_stand_in(
    reference: str,
    cache: Path,
    *,
    builder: str | None = None,
    say: Callable[[str], None] | None = None,
) -> StandIn:
    """Make the stand-in of this reference, or find it made; two processes at once make it once.

    ``builder`` is a buildx builder, by default the current one; ``say`` takes one line for each step, by default
    to stderr. Raises ``BuildError``; whatever ends it early leaves nothing that counts as made.
    """
    recipe = STAND_INS.get(reference)
    if recipe is None:
        known = "".join(f"\n  {known}" for known in STAND_INS)
        raise BuildError(
            f"{reference}: no stand-in base can be made for this reference; there are stand-ins for{known}"
        )
    tell = _prefixed(reference, say or _say_on_stderr)
    if recipe.directory == "cuda" and platform.machine() != "x86_64":
        raise BuildError(f"{reference}: the stand-in is for x86_64 only, and this machine is {platform.machine()}")
    cache.mkdir(parents=True, exist_ok=True)
    name = _name(recipe)
    with _locked(cache / f"{name}.lock", tell), _scratch(cache / f"{name}.part") as work:
        if found := find_stand_in(reference, cache):
            return found
        started = time.monotonic()
        layout = _make(recipe, work, builder, tell)
        shutil.rmtree(cache / name, ignore_errors=True)
        layout.rename(cache / name)
        tell(f"made in {time.monotonic() - started:.0f} s: {cache / name}")
    return StandIn(reference=reference, layout=cache / name, digest=_digest(cache / name))


def recipe_hash(recipe: Recipe) -> str:
    """Twelve hex digits that change whenever what the stand-in is made of does, or the processor it is for."""
    digest = hashlib.sha256(
        repr((recipe, EPOCH, mmdebstrap_options(recipe.packages), platform.machine())).encode(),
    )
    for path in (path for directory in _sources(recipe) for path in sorted(directory.iterdir())):
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def _make(recipe: Recipe, work: Path, builder: str | None, say: Callable[[str], None]) -> Path:
    context = work / "context"
    for directory in _sources(recipe):
        shutil.copytree(directory, context, dirs_exist_ok=True)
    rootfs = make_rootfs(recipe.suite, recipe.packages, python=recipe.python, work=work, say=say)
    rootfs.tar.rename(context / "rootfs.tar")
    if (context / WHEELS).exists():
        _fetch_wheels(context, say)
    say("building the image with docker buildx")
    layout = work / "layout"
    build_args = {
        **dict(recipe.build_args),
        "PYTHON_VERSION": rootfs.python_version,
        "SOURCE_DATE_EPOCH": str(EPOCH),
    }
    output = {
        "type": "oci",
        "tar": "false",
        "oci-mediatypes": "true",
        "compression": "zstd",
        "compression-level": "3",
        "rewrite-timestamp": "true",
        "dest": str(layout),
    }
    run(
        [
            *("docker", "buildx", "build", "--progress=plain", "--provenance=false", "--sbom=false"),
            *([f"--builder={builder}"] if builder else []),
            *(f"--build-arg={key}={value}" for key, value in build_args.items()),
            f"--output={','.join(f'{key}={value}' for key, value in output.items())}",
            str(context),
        ],
    )
    return layout


def _fetch_wheels(context: Path, say: Callable[[str], None]) -> None:
    """Unpack the wheels into ``context/wheels``: on this machine, so index settings and certificates stay on it."""
    say("fetching NVIDIA's wheels with uv")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
    if uv is None:
        raise BuildError(
            "uv is missing, needed to fetch NVIDIA's wheels: run `pip install uv`, or use ./scripts/invoke"
        )
    index = os.environ.get("PIP_INDEX_URL")
    env = {"UV_DEFAULT_INDEX": index} if index and not {"UV_DEFAULT_INDEX", "UV_INDEX_URL"} & os.environ.keys() else {}
    run(
        [
            *(uv, "pip", "install", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-progress"),
            *(f"--target={context / 'wheels'}", f"--cache-dir={context.with_name('uv-cache')}"),
            *(f"--python={sys.executable}", "--python-platform=x86_64-unknown-linux-gnu"),
            f"--requirements={context / WHEELS}",
        ],
        env=env,
    )


def _sources(recipe: Recipe) -> tuple[Path, ...]:
    return (COMMON, STAND_IN / recipe.directory)


def _name(recipe: Recipe) -> str:
    """Name the layout's directory in the cache: the reference in characters that every file system takes, and the hash."""
    return f"{re.sub('[^a-z0-9.-]', '_', recipe.reference)}-{recipe_hash(recipe)}"


def _digest(layout: Path) -> str:
    index = json.loads((layout / "index.json").read_text(encoding="utf-8"))
    return str(index["manifests"][0]["digest"])


@contextmanager
def _locked(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file; the system lets go of it when the process ends, however it does."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another process is making it; waiting")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(path: Path) -> Iterator[Path]:
    """Lend an empty directory that is gone afterwards, as is what a killed process left there before."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _prefixed(reference: str, say: Callable[[str], None]) -> Callable[[str], None]:
    return lambda line: say(f"stand-in {reference}: {line}")


def _say_on_stderr(line: str) -> None:
    sys.stderr.write(line + "\n")

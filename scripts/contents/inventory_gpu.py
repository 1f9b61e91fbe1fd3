"""CUDA, cuDNN and NCCL of an image: in the system, and in the wheels that frameworks bring theirs with."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

from packaging.utils import canonicalize_name

from scripts.contents.inventory import Architectures, Gpu, Library

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scripts.contents.inventory import Environment, Package
    from scripts.contents.inventory_files import Tree

    Name = Literal["CUDA", "cuDNN", "NCCL"]

WHEELS: Mapping[str, Name] = {"nvidia-cuda-runtime": "CUDA", "nvidia-cudnn": "cuDNN", "nvidia-nccl": "NCCL"}
# NVIDIA's packages of the libraries without headers, in images that only run programs.
APT: Mapping[str, Name] = {r"cuda-cudart-\d+-\d+": "CUDA", r"libcudnn\d+(?:-cuda-\d+)?": "cuDNN", r"libnccl2": "NCCL"}
HEADERS: tuple[tuple[Name, str, str], ...] = (
    ("cuDNN", r"(?P<folder>.*)/cudnn_version(?:_v\d+)?\.h", r"#define\s+CUDNN_(?:MAJOR|MINOR|PATCHLEVEL)\s+(\d+)"),
    ("NCCL", r"(?P<folder>.*)/nccl\.h", r"#define\s+NCCL_(?:MAJOR|MINOR|PATCH)\s+(\d+)"),
)
ARCHITECTURES = "gpu architectures of "
LOWEST_DRIVER = "lowest driver"


def read_gpu(
    tree: Tree,
    env: Mapping[str, str],
    apt: Iterable[Package],
    environments: Iterable[Environment],
    facts: Mapping[str, Any] | None = None,
) -> Gpu:
    """What matters to GPUs. Of what several things tell, the most exact one is taken.

    :param env: the image's environment variables.
    :param facts: those of the smoke test of this digest, whose names the check of the architectures gives them; None:
        it was never tested, and what only a test finds out is unknown.
    """
    system = [*_toolkits(tree), *_headers(tree)]
    for more in (_cuda_headers(tree), _packages(apt), _variables(env)):
        named = {library.name for library in system}
        system += [library for library in more if library.name not in named]
    libraries = sorted({*system, *_wheels(environments)}, key=lambda item: (item.name, item.where, item.version))
    found = {
        name.removeprefix(ARCHITECTURES): Architectures(sass=tuple(value["sass"]), ptx=tuple(value["ptx"]))
        for name, value in sorted((facts or {}).items())
        if name.startswith(ARCHITECTURES)
    }
    driver = (facts or {}).get(LOWEST_DRIVER)
    return Gpu(libraries=tuple(libraries), architectures=found or None, lowest_driver=driver and str(driver))


def _toolkits(tree: Tree) -> Iterator[Library]:
    for match, content in tree.find(r"(/usr/local/cuda[^/]*)/version\.(?:json|txt)"):
        text = content.decode(errors="replace")
        try:
            version = str(json.loads(text)["cuda"]["version"])
        except (ValueError, KeyError, TypeError):
            said = re.search(r"CUDA Version (\S+)", text)  # before CUDA 11
            version = said[1] if said else ""
        if version:
            yield Library(name="CUDA", version=version, where=match[0])


def _headers(tree: Tree) -> Iterator[Library]:
    seen = set()
    for name, pattern, macros in HEADERS:
        for match, content in tree.find(pattern):
            numbers = re.findall(macros, content.decode(errors="replace"))
            key = (name, match["folder"], tuple(numbers))  # cudnn_version_v8.h may be beside one without a number
            if len(numbers) >= 3 and key not in seen and "-packages/" not in match[0]:  # a wheel's are the wheel's
                seen.add(key)
                yield Library(name=name, version=".".join(numbers[:3]), where=match[0])


def _cuda_headers(tree: Tree) -> Iterator[Library]:
    for match, content in tree.find(r"(/usr/local/cuda[^/]*)/.*cuda\.h"):
        if number := re.search(rb"#define\s+CUDA_VERSION\s+(\d+)", content):
            version = int(number[1])  # 1000 * major + 10 * minor
            yield Library(name="CUDA", version=f"{version // 1000}.{version % 1000 // 10}", where=match[0])


def _variables(env: Mapping[str, str]) -> Iterator[Library]:
    """The word of NVIDIA's base images, where nothing that is installed says it."""
    if version := env.get("CUDA_VERSION"):
        yield Library(name="CUDA", version=version, where="CUDA_VERSION (environment)")


def _packages(apt: Iterable[Package]) -> Iterator[Library]:
    for package in apt:
        for pattern, name in APT.items():
            if re.fullmatch(pattern, package.name):
                yield Library(name=name, version=package.version.partition("-")[0], where=f"{package.name} (apt)")


def _wheels(environments: Iterable[Environment]) -> Iterator[Library]:
    for place in environments:
        for item in place.distributions:
            family = re.sub(r"-cu\d+$", "", canonicalize_name(item.name))
            if family in WHEELS:
                yield Library(name=WHEELS[family], version=item.version, where=f"{item.name} ({place.path})")

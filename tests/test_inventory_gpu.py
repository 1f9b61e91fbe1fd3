"""CUDA, cuDNN and NCCL: from the most exact thing that tells, and nothing that nobody measured."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.contents.inventory import Architectures, Distribution, Environment, Package
from scripts.contents.inventory_files import Tree
from scripts.contents.inventory_gpu import read_gpu

CUDA = "/usr/local/cuda-12.1"
CUDNN = "#define CUDNN_MAJOR 8\n#define CUDNN_MINOR 9\n#define CUDNN_PATCHLEVEL 7\n#define CUDNN_VERSION (CUDNN_MAJOR * 1000)"
NCCL = '#define NCCL_MAJOR 2\n#define NCCL_MINOR 18\n#define NCCL_PATCH 3\n#define NCCL_SUFFIX ""'


def apt(name: str, version: str) -> Package:
    return Package(name=name, architecture="amd64", version=version, source=name)


def libraries(
    files: dict[str, str],
    env: dict[str, str] | None = None,
    packages: tuple[Package, ...] = (),
    places: tuple[Environment, ...] = (),
) -> list[tuple[str, str, str]]:
    tree = Tree({path: text.encode() for path, text in files.items()}, {})
    return [(item.name, item.version, item.where) for item in read_gpu(tree, env or {}, packages, places).libraries]


@pytest.mark.parametrize(
    ("files", "env", "packages", "expected"),
    [
        ({f"{CUDA}/version.json": '{"cuda": {"name": "CUDA SDK", "version": "12.1.1"}}'}, {"CUDA_VERSION": "9"},
         (apt("cuda-cudart-12-1", "12.1.105-1"),), ("CUDA", "12.1.1", f"{CUDA}/version.json")),
        ({"/usr/local/cuda/version.txt": "CUDA Version 10.2.89\n"}, {}, (), ("CUDA", "10.2.89", "/usr/local/cuda/version.txt")),
        ({f"{CUDA}/include/cuda.h": "#define CUDA_VERSION 12010\n"}, {"CUDA_VERSION": "9"}, (),
         ("CUDA", "12.1", f"{CUDA}/include/cuda.h")),
        ({}, {"CUDA_VERSION": "12.1.1"}, (apt("cuda-cudart-12-1", "12.1.105-1"),),
         ("CUDA", "12.1.105", "cuda-cudart-12-1 (apt)")),
        ({}, {"CUDA_VERSION": "12.1.1"}, (), ("CUDA", "12.1.1", "CUDA_VERSION (environment)")),
        ({"/usr/include/cudnn_version.h": CUDNN}, {}, (apt("libcudnn8", "8.0.0-1+cuda12.1"),),
         ("cuDNN", "8.9.7", "/usr/include/cudnn_version.h")),
        ({}, {}, (apt("libcudnn9-cuda-12", "9.1.0.70-1"),), ("cuDNN", "9.1.0.70", "libcudnn9-cuda-12 (apt)")),
        ({"/usr/include/nccl.h": NCCL}, {}, (), ("NCCL", "2.18.3", "/usr/include/nccl.h")),
        ({}, {}, (apt("libnccl2", "2.17.1-1+cuda12.1"), apt("libnccl-dev", "2.17.1-1+cuda12.1")),
         ("NCCL", "2.17.1", "libnccl2 (apt)")),
    ],
)  # fmt: skip
def test_the_most_exact_thing_that_tells_is_taken(
    files: dict[str, str], env: dict[str, str], packages: tuple[Package, ...], expected: tuple[str, str, str]
) -> None:
    assert libraries(files, env, packages) == [expected]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cuda": 1}', "no version"])
def test_a_file_that_tells_nothing_is_passed_over(text: str) -> None:
    assert libraries({f"{CUDA}/version.json": text, "/usr/include/nccl.h": text, f"{CUDA}/include/cuda.h": text}) == []


def test_two_headers_of_one_library_side_by_side_count_once_and_apart_twice() -> None:
    files = {f"/usr/include/{name}": CUDNN for name in ("cudnn_version.h", "cudnn_version_v8.h")}
    assert libraries(files) == [("cuDNN", "8.9.7", "/usr/include/cudnn_version.h")]
    assert len(libraries(files | {"/opt/include/cudnn_version.h": CUDNN})) == 2


def test_wheels_bring_theirs_beside_that_of_the_system() -> None:
    items = [
        ("nvidia-cudnn-cu12", "9.1.0.70"),
        ("nvidia_nccl_cu12", "2.21.5"),
        ("nvidia-cuda-runtime", "13.0.96"),
        ("nvidia-cublas-cu12", "12"),
    ]
    found = tuple(
        Distribution(name=name, version=version, direct=None, installer=None, url=None) for name, version in items
    )
    place = Environment(path="/opt/venv", directories=(), python=None, distributions=found)
    header = "/opt/venv/lib/python3.11/site-packages/nvidia/cudnn/include/cudnn_version.h"
    assert libraries({header: CUDNN, "/usr/include/cudnn_version.h": CUDNN}, places=(place,)) == [
        ("CUDA", "13.0.96", "nvidia-cuda-runtime (/opt/venv)"),
        ("NCCL", "2.21.5", "nvidia_nccl_cu12 (/opt/venv)"),
        ("cuDNN", "8.9.7", "/usr/include/cudnn_version.h"),
        ("cuDNN", "9.1.0.70", "nvidia-cudnn-cu12 (/opt/venv)"),
    ]


def test_what_a_smoke_test_found_is_taken_and_without_one_it_is_unknown() -> None:
    facts: dict[str, Any] = {
        "gpu architectures of torch": {"sass": ["sm_80", "sm_90"], "ptx": ["compute_90"]},
        "lowest driver": "525.60.13",
        "cudnn": "8.9.7",
    }
    found = read_gpu(Tree({}, {}), {}, (), (), facts)
    assert found.architectures == {"torch": Architectures(sass=("sm_80", "sm_90"), ptx=("compute_90",))}
    assert found.lowest_driver == "525.60.13"
    nothings: tuple[dict[str, Any] | None, ...] = (None, {})
    for nothing in nothings:
        unknown = read_gpu(Tree({}, {}), {}, (), (), nothing)
        assert (unknown.architectures, unknown.lowest_driver) == (None, None)

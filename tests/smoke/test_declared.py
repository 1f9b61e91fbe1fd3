"""Declared = measured: every part of the tag, and every version that the version manifest has for this image."""

from __future__ import annotations

import json
import re
import string
from typing import TYPE_CHECKING, Any

import pytest

from tests.smoke.conftest import name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.recipe.matrix import ImageSpec
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

FRAMEWORKS = ("torch", "torchvision", "torchaudio", "tensorflow")
# Each in a process of its own: one that crashes must not hide what the others are. The modules' own words, because
# what pip wrote beside a package says what was to be installed.
WORDS = {
    "torch": "import torch as m; cuda = m.version.cuda",
    "torchvision": "import torchvision as m; cuda = m.version.cuda",
    "torchaudio": "import torchaudio as m; cuda = getattr(getattr(m, 'version', None), 'cuda', None)",
    "tensorflow": "import tensorflow as m; cuda = m.sysconfig.get_build_info().get('cuda_version')",
}
CUDART = """
import ctypes, glob
library = ctypes.CDLL(sorted(glob.glob('/usr/local/cuda/lib64/libcudart.so.[0-9]*'))[0])
version = ctypes.c_int()
assert library.cudaRuntimeGetVersion(ctypes.byref(version)) == 0
print(f'{version.value // 1000}.{version.value % 1000 // 10}')
"""
CUDNN = """
import ctypes, ctypes.util
library = ctypes.CDLL(ctypes.util.find_library('cudnn'))
library.cudnnGetVersion.restype = ctypes.c_size_t
print(library.cudnnGetVersion())
"""
SYSTEMS = {"bookworm": "Debian 12", "trixie": "Debian 13", "bullseye": "Debian 11"}
# ELF e_machine (https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html) by OCI architecture.
MACHINES = {"amd64": 62, "arm64": 183}
MACHINE = """
import glob
for path in glob.glob('/usr/local/bin/*') + glob.glob('/usr/bin/*') + glob.glob('/opt/venv/bin/*'):
    try:
        head = open(path, 'rb').read(20)
    except OSError:
        continue
    if head[:4] == b'\\x7fELF':
        print(int.from_bytes(head[18:20], 'little'), path)
"""


@pytest.fixture(scope="module")
def modules(rest: Container, spec: ImageSpec) -> dict[str, dict[str, Any]]:
    """What the frameworks say of themselves; a fault in place of the version of one that cannot be imported."""
    found = {}
    for name in (name_of(package) for package in spec.packages):
        code = f"{WORDS.get(name, f'import {name} as m; cuda = None')}; import json; print(json.dumps([m.__version__, cuda]))"
        done = rest.exec("python", "-W", "ignore", "-c", code, seconds=90)
        if done.code:
            last = done.stderr.strip().rpartition("\n")[2] or f"ended with code {done.code}"
            found[name] = {"version": f"cannot be imported: {last}", "cuda": None}
        else:
            version, cuda = json.loads(done.stdout.splitlines()[-1])
            found[name] = {"version": version, "cuda": cuda and ".".join(str(cuda).split(".")[:2])}
    return found


def python_of(rest: Container) -> str:
    return rest.read("python", "-c", "import platform; print(platform.python_version())").strip()


def nvcc_of(rest: Container) -> str:
    done = rest.exec("nvcc", "--version")
    release = re.search(r"release ([0-9.]+),", done.stdout)
    return release[1] if release else f"no answer from nvcc: {done.stderr.strip() or done.stdout.strip()}"[:80]


def public(version: str) -> str:
    """A version without its local part and NVIDIA's pre-release marks: 2.13.0+cpu is 2.13.0, as is 2.13.0a0+1234.nv."""
    return re.split(r"\+|(?<=\d)(?:a|b|rc)\d", version)[0]


def test_python(rest: Container, spec: ImageSpec, claim: Claim) -> None:
    measured = python_of(rest)
    claim(measured, spec.python, ok=measured.startswith(f"{spec.python}."))


def test_tag(rest: Container, spec: ImageSpec, template: str, modules: Mapping[str, Any], claim: Claim) -> None:
    """The tag as it is written, taken apart by its template, and each part measured."""
    fields = [name for _, name, _, _ in string.Formatter().parse(template) if name]
    pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(template))
    parts = re.fullmatch(pattern, spec.tag)
    assert parts, f"the tag {spec.tag} is not made from {template}"
    if unknown := [name for name in fields if name not in {"python", "cuda", *map(name_of, spec.packages)}]:
        pytest.skip(f"no way to measure {{{unknown[0]}}} of the tag's template {template}")
    measure = {"python": lambda: ".".join(python_of(rest).split(".")[:2]), "cuda": lambda: nvcc_of(rest)}
    measured = {
        name: measure[name]() if name in measure else public(modules[name_of(name)]["version"]) for name in fields
    }
    claim(_joined(measured), _joined(parts.groupdict()))


def _joined(parts: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in parts.items())


@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in FRAMEWORKS])
def test_version(rest: Container, spec: ImageSpec, modules: Mapping[str, Any], name: str, claim: Claim) -> None:
    """The module's own word, and what pip believes."""
    (package,) = (key for key in spec.packages if name_of(key) == name)
    claim(
        modules[name]["version"], spec.packages[package], ok=public(modules[name]["version"]) == spec.packages[package]
    )
    code = "import sys; from importlib.metadata import distributions as d; print(*{x.version for n in sys.argv[1:] for x in d(name=n)})"
    installed = rest.read("python", "-c", code, *{package, name}).split()
    agree = bool(installed) and all(public(item) == spec.packages[package] for item in installed)
    claim(f"{modules[name]['version']}, pip: {' '.join(installed) or 'none'}", spec.packages[package], ok=agree)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.needs(name)) for name in ("torch", "tensorflow")]
)
def test_build(spec: ImageSpec, modules: Mapping[str, Any], name: str, claim: Claim) -> None:
    """Built for the CPU, or with the CUDA of the tag."""
    cuda = modules[name]["cuda"]
    claim(f"CUDA {cuda}" if cuda else "CPU", f"CUDA {spec.cuda}" if spec.cuda else "CPU")


@pytest.mark.needs("cuda")
def test_nvcc(rest: Container, spec: ImageSpec, claim: Claim) -> None:
    claim(nvcc_of(rest), spec.cuda)


@pytest.mark.needs("cuda")
def test_cuda_runtime(rest: Container, spec: ImageSpec, claim: Claim) -> None:
    done = rest.exec("python", "-c", CUDART)
    claim(done.stdout.strip() or done.stderr.strip().rpartition("\n")[2], spec.cuda)


@pytest.mark.needs("cuda")
def test_cudnn(rest: Container, spec: ImageSpec, claim: Claim) -> None:
    """The major version of the base's name where it has one; header and library have to agree in any case."""
    named = re.search(r"-cudnn(\d*)", spec.base)
    macros = rest.exec("sh", "-c", "cat /usr/include/cudnn_version.h /usr/include/*/cudnn_version.h 2>/dev/null").stdout
    header = ".".join(re.findall(r"#define CUDNN_(?:MAJOR|MINOR|PATCHLEVEL) (\d+)", macros)[:3])
    done = rest.exec("python", "-c", CUDNN)
    number = int(done.stdout) if done.stdout.strip().isdigit() else 0
    library = f"{number // 1000}.{number % 1000 // 100}.{number % 100}"  # 8: MAJOR * 1000 + MINOR * 100 + PATCHLEVEL
    if number >= 90000:
        library = f"{number // 10000}.{number % 10000 // 100}.{number % 100}"
    major = named[1] if named else ""
    wanted = f"{major or 'any'}, header = library"
    claim(f"header {header or 'none'}, library {library}", wanted, ok=header == library and header.startswith(major))
    claim.fact("cudnn", library)


def test_system(rest: Container, spec: ImageSpec, claim: Claim, *, stand_in: bool) -> None:
    """The release of Debian or Ubuntu that the base's name has."""
    release = dict(line.partition("=")[::2] for line in rest.read("cat", "/etc/os-release").splitlines())
    names = {key: value.strip('"') for key, value in release.items()}
    measured = f"{names.get('ID', '').capitalize()} {names.get('VERSION_ID', '')}"
    ubuntu = re.search(r"ubuntu(\d\d\.\d\d)", spec.base)
    debian = next((system for word, system in SYSTEMS.items() if f"-{word}" in spec.base), None)
    wanted = f"Ubuntu {ubuntu[1]}" if ubuntu else debian
    if wanted is None:
        claim(measured, "Debian or Ubuntu", ok=names.get("ID") in {"debian", "ubuntu"})
    elif stand_in and ubuntu:
        pytest.skip(f"the base is a stand-in, {measured} in place of {wanted}")
    else:
        claim(measured, wanted)


def test_platform(rest: Container, spec: ImageSpec, inspected: Mapping[str, Any], claim: Claim) -> None:
    """The platform of the image's config, and of every program in it."""
    platform = f"{inspected['Os']}/{inspected['Architecture']}"
    claim(platform, " ".join(spec.platforms), ok=platform in spec.platforms)
    programs = [line.partition(" ") for line in rest.read("python", "-c", MACHINE).splitlines()]
    wrong = [path for machine, _, path in programs if int(machine) != MACHINES[inspected["Architecture"]]]
    claim(f"{platform}, not {wrong[0]}" if wrong else platform, platform, ok=len(programs) > 100 and not wrong)


def test_labels(
    rest: Container, spec: ImageSpec, inspected: Mapping[str, Any], claim: Claim, *, stand_in: bool
) -> None:
    """The labels that say what the image is; each that can be measured is."""
    labels = inspected["Config"]["Labels"] or {}
    ours = "ai.vessl.images"
    wanted = {
        "org.opencontainers.image.title": spec.id,
        "org.opencontainers.image.version": spec.tag,
        "org.opencontainers.image.base.name": spec.base,
        f"{ours}.id": spec.id,
        f"{ours}.family": spec.family,
        f"{ours}.python": ".".join(python_of(rest).split(".")[:2]),
        f"{ours}.cuda": nvcc_of(rest) if spec.cuda else None,
        f"{ours}.base": "stand-in" if stand_in else None,
    }
    wrong = [f"{name}={labels.get(name)}" for name, value in wanted.items() if labels.get(name) != value]
    grammar = {f"{ours}.recipe": r"[0-9a-f]{64}", "org.opencontainers.image.base.digest": r"sha256:[0-9a-f]{64}"}
    wrong += [
        f"{name}={labels.get(name)}"
        for name, pattern in grammar.items()
        if not re.fullmatch(pattern, labels.get(name) or "")
    ]
    claim(f"{len(labels)} labels" if not wrong else "; ".join(wrong), "as declared and measured", ok=not wrong)

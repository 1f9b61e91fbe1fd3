"""Resolve a row's requirements to a lock, with uv, for the image's Python and platform and not for this machine's."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import requests
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from scripts.errors import BuildError
from scripts.recipe.lock import Pin, parse_pylock

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scripts.recipe.family import Row

# The oldest glibc of our bases: Ubuntu 22.04's.
PLATFORM = "manylinux_2_35"
ARCHITECTURES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
TORCH = ("torch", "torchvision", "torchaudio")
# What the wheels of torch on the package index ask for and those on the CPU index do not.
GPU_ONLY = re.compile(r"^(nvidia|cuda|triton)(-|$)")
TIMEOUT = 20.0


def resolve(
    row: Row,
    requirements: Sequence[str],
    *,
    platform: str,
    torch_index: str | None,
    wheels: Iterable[Path],
    keep: Iterable[Pin],
) -> tuple[Pin, ...]:
    """Resolve ``requirements`` under the row's constraints.

    :param torch_index: index of the CPU wheels of torch. Their metadata is that of the wheels on the package index
        but for the CUDA libraries, so those are resolved there and only the hashes come from this index.
    :param wheels: folders with wheels to take hashes from where ``torch_index`` can't be reached.
    :param keep: pins of the lock so far, kept wherever they still fit.
    :raises BuildError: if uv finds no solution or cannot reach the index.
    """
    architecture = ARCHITECTURES[platform]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "requirements.in").write_text("\n".join(requirements) + "\n")
        (work / "constraints.txt").write_text("\n".join(row.constraints) + "\n")
        locked = work / "locked.txt"
        # A CPU wheel's local version is not on the index that is asked here.
        kept = "".join(f"{pin.name}=={pin.version.removesuffix('+cpu')}\n" for pin in keep)
        target = ("--python-version", row.python, "--python-platform", f"{architecture}-{PLATFORM}")

        def compile_lock(*overrides: str) -> None:
            (work / "overrides.txt").write_text("".join(f'{item} ; sys_platform == "never"\n' for item in overrides))
            locked.write_text(kept)
            _uv(
                work,
                "requirements.in",
                "-c",
                "constraints.txt",
                "--override",
                "overrides.txt",
                "-o",
                "locked.txt",
                *target,
            )

        compile_lock()
        if torch_index:
            names = [line.partition("==")[0] for line in locked.read_text().splitlines()]
            compile_lock(*(item for item in names if GPU_ONLY.match(item)))
        _uv(work, "locked.txt", "--no-deps", "--format", "pylock.toml", "-o", "pylock.toml", *target)
        pins = parse_pylock(tomllib.loads((work / "pylock.toml").read_text()))
    if not torch_index:
        return pins
    return tuple(
        _on_cpu(pin, row.python, architecture, torch_index, wheels) if pin.name in TORCH else pin for pin in pins
    )


def _uv(work: Path, *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    # Nothing is built, so this interpreter does: uv would fetch one of the row's version for each call.
    command += ["--python", sys.executable, "--no-python-downloads"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", *arguments], cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"uv could not resolve the requirements; nothing was written\n{done.stderr.strip()}")


def _on_cpu(pin: Pin, python: str, architecture: str, index: str, wheels: Iterable[Path]) -> Pin:
    """The pin of the CPU wheel, with its hash from the index or from a local folder, or with the reason why not."""
    version = f"{pin.version}+cpu"
    page = f"{index}/{pin.name}/"
    try:
        answer = requests.get(page, timeout=TIMEOUT)
        answer.raise_for_status()
        known: list[tuple[str, str | Path]] = list(_links(answer.text))
        why = "its index lists no hash for it"  # no lock names an index's host
    except requests.RequestException:
        known = []
        why = "its index could not be reached when this lock was made"
    for folder in wheels:
        known += [(path.name, path) for path in sorted(folder.glob("*.whl"))]
    for filename, source in known:
        if _fits(filename, pin.name, version, python, architecture):
            digest = source if isinstance(source, str) else hashlib.sha256(source.read_bytes()).hexdigest()
            return Pin(name=pin.name, version=version, hashes=(digest,))
    return replace(pin, version=version, hashes=(), why=why)


def _links(page: str) -> Iterator[tuple[str, str]]:
    """File names and SHA-256 of the links of an index page (PEP 503)."""
    for match in re.finditer(r'href="([^"#]+)#sha256=([0-9a-f]{64})"', page):
        yield unquote(match[1]).rpartition("/")[2], match[2]


def _fits(filename: str, name: str, version: str, python: str, architecture: str) -> bool:
    try:
        found, found_version, _, tags = parse_wheel_filename(filename)
    except InvalidWheelFilename:
        return False
    interpreter = f"cp{python.replace('.', '')}"
    return (
        found == name
        and str(found_version) == version
        and any(
            tag.interpreter == interpreter and tag.abi == interpreter and tag.platform.endswith(f"_{architecture}")
            for tag in tags
        )
    )

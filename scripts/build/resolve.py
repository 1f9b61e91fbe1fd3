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
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from scripts.recipe.family import Row

# The oldest glibc of our bases: Ubuntu 22.04's.
PLATFORM = "manylinux_2_35"
ARCHITECTURES = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}
TORCH = ("torch", "torchvision", "torchaudio")
# What the wheels of torch on the package index ask for and those on the CPU index do not.
GPU_ONLY = re.compile(r"^(nvidia|cuda|triton)(-|$)")
TIMEOUT = 20.0
# The file that uv writes its answer into; before that it holds what is to be kept.
LOCKED = "locked.txt"


def resolve(
    row: Row,
    requirements: Sequence[str],
    *,
    platforms: Sequence[str],
    torch_index: str | None,
    wheels: Sequence[Path],
    keep: Iterable[Pin],
) -> tuple[Pin, ...]:
    """Resolve ``requirements`` under the row's constraints, for all of its platforms.

    :param torch_index: index of the CPU wheels of torch. Their metadata is that of the wheels on the package index
        but for the CUDA libraries, so those are resolved there and only the hashes come from this index.
    :param wheels: folders with wheels to take hashes from where ``torch_index`` can't be reached.
    :param keep: pins of the lock so far, kept wherever they still fit.
    :raises BuildError: if uv finds no solution or cannot reach the index, or finds another version for each platform.
    """
    before = {pin.name: pin for pin in keep}
    found: dict[str, dict[str, Pin]] = {}
    for platform in platforms:
        # What one platform has is preferred on the next: a lock has one version of a distribution.
        preferred = before | {name: pin for pins in found.values() for name, pin in pins.items()}
        with tempfile.TemporaryDirectory() as name:
            work = Path(name)
            versions(row, requirements, platform=platform, keep=preferred.values(), work=work, cpu=bool(torch_index))
            _uv(work, LOCKED, "--no-deps", "--format", "pylock.toml", "-o", "pylock.toml", *_target(row, platform))
            pins = parse_pylock(tomllib.loads((work / "pylock.toml").read_text()))
        found[platform] = {pin.name: pin for pin in pins}
        for pin in pins:
            if torch_index and pin.name in TORCH:
                cpu = _on_cpu(pin, row.python, ARCHITECTURES[platform], torch_index, wheels, before.get(pin.name))
                found[platform][pin.name] = cpu
    return _merged(found)


def versions(
    row: Row,
    requirements: Sequence[str],
    *,
    platform: str,
    keep: Iterable[Pin] = (),
    work: Path,
    cpu: bool = False,
    options: Sequence[str] = (),
) -> dict[str, str]:
    """Name to version of what ``requirements`` resolve to on one platform; leaves it in the file ``LOCKED``.

    :param work: directory for the files that uv reads and writes.
    :param cpu: without what only the CUDA wheels of torch ask for.
    :param options: further options of ``uv pip compile``.
    """
    (work / "requirements.in").write_text("\n".join(requirements) + "\n")
    (work / "constraints.txt").write_text("\n".join(row.constraints) + "\n")
    # A CPU wheel's local version is not on the index that is asked here.
    kept = "".join(f"{pin.name}=={pin.version.removesuffix('+cpu')}\n" for pin in keep)

    def compile_lock(*overrides: str) -> dict[str, str]:
        (work / "overrides.txt").write_text("".join(f'{item} ; sys_platform == "never"\n' for item in overrides))
        (work / LOCKED).write_text(kept)
        files = ("requirements.in", "-c", "constraints.txt", "--override", "overrides.txt", "-o", LOCKED)
        _uv(work, *files, *_target(row, platform), *options)
        return dict(line.split("==") for line in (work / LOCKED).read_text().splitlines())

    found = compile_lock()
    return compile_lock(*filter(GPU_ONLY.match, found)) if cpu else found


def _merged(found: Mapping[str, Mapping[str, Pin]]) -> tuple[Pin, ...]:
    """The pins of several platforms as one lock, by name.

    :raises BuildError: if a distribution has another version on each.
    """
    merged = []
    faults = []
    for name in sorted({name for pins in found.values() for name in pins}):
        at = {platform: pins[name] for platform, pins in found.items() if name in pins}
        pins = list(at.values())
        if len({pin.version for pin in pins}) > 1:
            faults.append(f"{name} is {', '.join(f'{pin.version} for {platform}' for platform, pin in at.items())}")
        machines = " or ".join(f'platform_machine == "{ARCHITECTURES[platform]}"' for platform in at)
        why = next((pin.why for pin in pins if not pin.hashes), "")
        hashes = () if why else tuple(sorted({digest for pin in pins for digest in pin.hashes}))
        marker = machines if len(at) < len(found) else ""
        merged.append(Pin(name=name, version=pins[0].version, hashes=hashes, why=why, marker=marker))
    if faults:
        raise BuildError(
            f"a lock has one version for all platforms, and {'; '.join(faults)}; nothing was written: "
            "add a constraint to the row that both can fulfil"
        )
    return tuple(merged)


def _target(row: Row, platform: str) -> tuple[str, ...]:
    """The options of uv that name the image's Python and platform."""
    return ("--python-version", row.python, "--python-platform", f"{ARCHITECTURES[platform]}-{PLATFORM}")


def _uv(work: Path, *arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "--quiet", "--no-header", "--no-annotate"]
    # Nothing is built, so this interpreter does: uv would fetch one of the row's version for each call.
    command += ["--python", sys.executable, "--no-python-downloads"]
    done = subprocess.run(
        [*command, "--only-binary", ":all:", *arguments], cwd=work, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BuildError(f"uv could not resolve the requirements; nothing was written\n{done.stderr.strip()}")


def _on_cpu(pin: Pin, python: str, architecture: str, index: str, wheels: Iterable[Path], before: Pin | None) -> Pin:
    """The pin of the CPU wheel, with its hash from the index, the lock so far or a folder, or with the reason why not."""
    version = f"{pin.version}+cpu"
    page = f"{index}/{pin.name}/"
    known: list[tuple[str, str | Path]] = []
    try:
        answer = requests.get(page, timeout=TIMEOUT)
        answer.raise_for_status()
        known += _links(answer.text)
        why = "its index lists no hash for it"  # no lock names an index's host
    except requests.RequestException:
        if before and before.version == version and before.hashes:
            return before
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

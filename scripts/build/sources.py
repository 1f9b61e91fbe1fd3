"""Where a build's outside inputs come from on this machine: the base, the wheels of torch, uv, certificates, indexes.

The defaults are the real ones. What cannot be reached is replaced where there is a replacement, with a line that says
so; where there is none, the error says what to do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build.bake import Secret
from scripts.build.bases import StandIn, find_stand_in, make_stand_in
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from scripts.recipe.lock import Pin
    from scripts.recipe.matrix import ImageSpec

# A registry or an index that does not answer by then counts as out of reach.
ANSWER_TIMEOUT = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A base image as a build uses it. ``digest`` is empty for a stand-in that is not made yet."""

    reference: str
    digest: str
    context: str
    """Bake named context that takes the place of the reference, so that it is built on this digest."""
    stand_in: bool = False
    why: str = ""
    """Why the real base is not used."""
    pinned: bool = False
    """Whether versions.toml says which digest it is."""


def resolve_base(reference: str, cache_directory: Path) -> Base:
    """Find a base in its registry, else in the engine, else take its stand-in, made already or not.

    One that is pinned (``NAME:TAG@sha256:...``) is that digest and no other: its tag may have moved on.
    """
    name, _, pin = reference.partition("@")
    digest, complaint = _digest_in_registry(reference)
    why = ""
    if digest is None and (local := _digest_in_engine(reference)):
        digest, why = local, complaint
    if digest is None:
        return replace(_as_base(name, find_stand_in(name, cache_directory), complaint), pinned=bool(pin))
    digest = pin or digest
    context = f"docker-image://{name}@{digest}"
    return Base(reference=name, digest=digest, context=context, why=why, pinned=bool(pin))


def latest_digest(name: str) -> tuple[str | None, str]:
    """The digest that a tag has in its registry now, or None and why it could not be had."""
    return _digest_in_registry(name)


def provide_stand_in(base: Base, cache_directory: Path, say: Callable[[str], None]) -> Base:
    """``base``, with its stand-in made if it is one.

    :raises BuildError: if there is no stand-in for it, or it cannot be made.
    """
    if not base.stand_in or base.digest:
        return base
    try:
        made = _as_base(base.reference, make_stand_in(base.reference, cache_directory, say=say), base.why)
    except BuildError as error:
        raise BuildError(f"{base.reference} could not be resolved: {base.why}\n{error}") from error
    return replace(made, pinned=base.pinned)


def _as_base(name: str, stand_in: StandIn | None, why: str) -> Base:
    if stand_in is None:
        return Base(reference=name, digest="", context="", stand_in=True, why=why)
    return Base(
        reference=name,
        digest=stand_in.digest,
        context=f"oci-layout://{stand_in.layout}@{stand_in.digest}",
        stand_in=True,
        why=why,
    )


@cache
def _digest_in_registry(reference: str) -> tuple[str | None, str]:
    """The digest of a reference in its registry, or None and why it could not be had. Asks as ``docker pull`` would."""
    command = ["docker", "buildx", "imagetools", "inspect", reference, "--format", "{{json .Manifest}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ANSWER_TIMEOUT)
    except subprocess.TimeoutExpired:
        return None, f"no answer within {ANSWER_TIMEOUT:.0f} s"
    except FileNotFoundError:
        return None, "no docker client to ask with"
    if done.returncode:
        return None, _short((done.stderr.strip().splitlines() or ["no answer"])[-1])
    try:
        return str(json.loads(done.stdout)["digest"]), ""
    except (ValueError, KeyError, TypeError):
        return None, f"docker buildx imagetools gave no digest: {done.stdout.strip()[:80]}"


def _short(complaint: str) -> str:
    """What a registry client says, without the address it asked, where the reason is that the host is not found."""
    lookup = re.search(r"lookup ([^\s:]+)(?: on \S+)?: (no such host)$", complaint)
    return f"{lookup[1]}: {lookup[2]}" if lookup else complaint.removeprefix("ERROR: ")


def _digest_in_engine(reference: str) -> str | None:
    if not shutil.which("docker"):
        return None
    command = ["docker", "image", "inspect", reference, "--format", "{{json .RepoDigests}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    digests = json.loads(done.stdout) if done.returncode == 0 else None
    return str(digests[0]).rpartition("@")[2] if digests else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchWheels:
    """Where a build takes torch from: its index, or a local folder mounted in the index's place."""

    folder: Path | None = None
    why: str = ""
    """Why the index is not used."""


def find_torch_wheels(spec: ImageSpec, pins: Iterable[Pin], folders: Iterable[Path]) -> TorchWheels:
    """The index if it answers, else the first folder that has every pin's wheel.

    :raises BuildError: if neither has them.
    """
    needed = [pin for pin in pins if pin.version.endswith("+cpu")]
    if spec.torch_index is None or not needed:
        return TorchWheels()
    complaint = _unreachable(spec.torch_index)
    if not complaint:
        return TorchWheels()
    for folder in folders:
        if all(_in_folder(folder, pin, spec.python) for pin in needed):
            return TorchWheels(folder=folder, why=complaint)
    wanted = ", ".join(f"{pin.name} {pin.version}" for pin in needed)
    raise BuildError(
        f"{spec.id}: the wheel index {spec.torch_index} can't be reached ({complaint}), and no local folder has "
        f"{wanted} for Python {spec.python}: allow the host, or name a folder with the wheel in invoke.yaml "
        f"(images.wheels)"
    )


@cache
def _unreachable(index: str) -> str:
    """Why a wheel index does not answer, or an empty string if it does."""
    import requests  # noqa: PLC0415 - not needed where nothing is built

    try:
        answer = requests.get(f"{index}/torch/", timeout=ANSWER_TIMEOUT, stream=True)
        answer.close()
    except requests.exceptions.SSLError:
        return "TLS failed: its certificate is not trusted here (REQUESTS_CA_BUNDLE)"
    except requests.ConnectionError as error:
        return "host not found" if "NameResolution" in repr(error) else "connection failed"
    except requests.RequestException as error:
        return f"{type(error).__name__}"
    return "" if answer.ok else f"HTTP {answer.status_code}"


def _in_folder(folder: Path, pin: Pin, python: str) -> bool:
    tag = f"cp{python.replace('.', '')}"
    return any(folder.glob(f"{pin.name.replace('-', '_')}-{pin.version}-{tag}-*.whl"))


def wheel_folders(configured: Sequence[str]) -> tuple[Path, ...]:
    """Local folders with wheels: the setting's, else those that pip is set up with (find-links), for which pip is asked."""
    return tuple(path for path in map(Path, configured or _pip_find_links()) if path.is_dir())


def _pip_find_links() -> list[str]:
    if not (pip := shutil.which("pip") or shutil.which("pip3")):
        return []
    command = [pip, "config", "get", "global.find-links"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()


def provide_uv(tools: Path) -> Path:
    """A directory with nothing but the uv of the maintainers' environment: the named context ``uv``.

    The same version as the Dockerfiles' default, without asking a registry for it.
    """
    binary = Path(sys.executable).with_name("uv")
    if not binary.exists():
        raise BuildError(
            f"{binary} is missing: the environment is not that of requirements.txt (./scripts/invoke makes it)"
        )
    directory = tools / f"uv-{hash_of_file_stamp(binary)}"
    if not (directory / "uv").exists():
        directory.mkdir(parents=True, exist_ok=True)
        part = directory / f".uv-{os.getpid()}"
        shutil.copy2(binary, part)
        part.rename(directory / "uv")
    return directory


def hash_of_file_stamp(path: Path) -> str:
    """Size and time of a file as a name: another uv gets another directory."""
    stat = path.stat()
    return f"{stat.st_size:x}-{stat.st_mtime_ns:x}"


def provide_secrets(directory: Path, *, ca_bundle: str, index_url: str) -> tuple[Secret, ...]:
    """The files that build steps may read and no layer keeps: a certificate bundle, and uv's settings.

    :param index_url: package index in place of the default one; may hold credentials.
    :raises BuildError: if the bundle does not exist.
    """
    found = []
    if ca_bundle:
        if not Path(ca_bundle).is_file():
            raise BuildError(f"{ca_bundle}: not a file (SSL_CERT_FILE, or images.ca_bundle in invoke.yaml)")
        found.append(Secret(id="ca-bundle", path=Path(ca_bundle).resolve()))
    if index_url:
        path = directory / "uv.toml"
        path.touch(mode=0o600)
        path.write_text(f"[[index]]\nurl = {json.dumps(index_url)}\ndefault = true\n", encoding="utf-8")
        found.append(Secret(id="uv-config", path=path.resolve()))
    return tuple(found)

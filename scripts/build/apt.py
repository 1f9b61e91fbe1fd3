"""The distribution's Docker packages: which they are, where apt finds them, and their installation.

Debian 12's engine is too old for OCI layouts, so there the packages are pinned from trixie, taken from the mirror that
the machine uses already; they need nothing newer than libc 2.34 and everything else stays Debian 12.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SBIN = "/usr/local/sbin:/usr/sbin:/sbin"
"""Not on everybody's PATH, but dpkg wants it, and dockerd finds iptables there."""
POLICY_MARK = "# made by scripts/build/apt.py for the time of an installation"
PINNED = ("docker.io", "docker-cli", "docker-buildx", "containerd")
PIN_DOCKER = f"""\
# Debian 12's own Docker is too old to build the images.
Package: {" ".join(PINNED)}
Pin: release n=trixie
Pin-Priority: 900
"""
PIN_THE_REST = """
# Nothing else comes from there.
Package: *
Pin: release n=trixie
Pin-Priority: -10
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """What ``/etc/os-release`` says; ``version`` is 0 for Debian testing and unstable, which have none."""

    id: str
    version: int
    codename: str
    name: str

    @property
    def pinned(self) -> bool:
        """Whether Docker comes from trixie by pinning."""
        return self.id == "debian" and self.version == 12

    @property
    def packages(self) -> tuple[str, ...]:
        """The packages to install; Ubuntu has the client inside docker.io."""
        return PINNED if self.id == "debian" else ("docker.io", "docker-buildx", "containerd")


@dataclass(frozen=True, slots=True, kw_only=True)
class AptSource:
    """One place that apt takes binary packages from."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""
    trusted: str = ""


def load_distribution(root: Path) -> Distribution:
    """Read ``etc/os-release`` under ``root``; raise ``BuildError`` for what this tool cannot install Docker on."""
    path = root / "etc/os-release"
    text = path.read_text() if path.exists() else ""
    values = {key: "".join(shlex.split(value)) for key, _, value in (line.partition("=") for line in text.splitlines())}
    version = values.get("VERSION_ID", "").partition(".")[0]
    found = Distribution(
        id=values.get("ID", ""),
        version=int(version) if version.isdecimal() else 0,
        codename=values.get("VERSION_CODENAME", ""),
        name=values.get("PRETTY_NAME", "this system"),
    )
    if found.id not in {"debian", "ubuntu"} or (found.id == "debian" and 0 < found.version < 12):
        raise BuildError(
            f"there is no Docker engine, and it is installed for you only on Debian 12 or newer and Ubuntu, "
            f"not on {found.name}: install Docker Engine 26 or newer with buildx"
        )
    return found


def parse_one_line(text: str) -> tuple[AptSource, ...]:
    """Read a ``.list`` file (sources.list(5), one-line style)."""
    found = []
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)\s*(.*)", line.partition("#")[0].strip())
        if match is None:
            continue
        options = dict(option.split("=", 1) for option in (match[1] or "").split() if "=" in option)
        found.append(
            AptSource(
                uri=match[2],
                suites=(match[3],),
                components=tuple(match[4].split()),
                signed_by=options.get("signed-by", "").replace(",", " "),
                trusted=options.get("trusted", ""),
            )
        )
    return tuple(found)


def parse_deb822(text: str) -> tuple[AptSource, ...]:
    """Read a ``.sources`` file (sources.list(5), deb822 style); a key written into the file is kept as it is."""
    found = []
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", text):
        fields = {
            match[1].lower(): match[2].strip() for match in re.finditer(r"(?m)^([\w-]+):(.*(?:\n[ \t].*)*)", stanza)
        }
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in {"no", "false", "0"}:
            continue
        found += [
            AptSource(
                uri=uri,
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                signed_by=fields.get("signed-by", ""),
                trusted=fields.get("trusted", ""),
            )
            for uri in fields.get("uris", "").split()
        ]
    return tuple(found)


def load_sources(root: Path) -> tuple[AptSource, ...]:
    """Read all sources of the machine, except the one that ``pin_trixie`` made."""
    folder = root / "etc/apt/sources.list.d"
    found: list[AptSource] = []
    for path in (root / "etc/apt/sources.list", *sorted(folder.glob("*.list")), *sorted(folder.glob("*.sources"))):
        if path.exists() and path.name != "trixie-docker.sources":
            found += (parse_deb822 if path.suffix == ".sources" else parse_one_line)(path.read_text())
    return tuple(found)


def render_source(source: AptSource, suite: str, components: Sequence[str] = ("main",)) -> str:
    """Return the deb822 text of ``source`` for another suite."""
    fields = {"Types": "deb", "URIs": source.uri, "Suites": suite, "Components": " ".join(components)}
    fields |= {"Signed-By": source.signed_by} if source.signed_by else {}
    fields |= {"Trusted": source.trusted} if source.trusted else {}
    separator = {key: ":" if value.startswith("\n") else ": " for key, value in fields.items()}
    return "".join(f"{key}{separator[key]}{value}\n" for key, value in fields.items())


def pin_trixie(root: Path) -> None:
    """Let apt take Docker, and only Docker, from trixie; a trixie source of the machine's own is used as it is."""
    pin_packages(root, "Docker", PIN_DOCKER)


def pin_packages(root: Path, what: str, pins: str) -> None:
    """Let apt take from trixie what ``pins`` names (apt_preferences(5)), and nothing else."""
    sources = load_sources(root)
    if not any("trixie" in source.suites for source in sources):
        pins += PIN_THE_REST
        wanted = ({"bookworm"}, {"oldstable", "stable"})
        fitting = [
            source
            for suites in wanted
            for source in sources
            if suites & set(source.suites) and "main" in source.components and not source.uri.startswith("cdrom:")
        ]
        if not fitting:
            raise BuildError(f"the apt sources of this machine name no mirror for bookworm/main to take {what} from")
        _write(root / "etc/apt/sources.list.d/trixie-docker.sources", render_source(fitting[0], "trixie"))
    _write(root / f"etc/apt/preferences.d/trixie-{what.lower()}", pins)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)  # whatever the umask: apt reads it as its own user


def environment() -> dict[str, str]:
    """Return the environment for system commands: no questions, English messages, and the directories of root."""
    path = f"{os.environ.get('PATH', '/usr/bin:/bin')}:{SBIN}"
    return os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C", "PATH": path}


def run(command: Sequence[str]) -> None:
    """Run a system command quietly; raise ``BuildError`` with the end of its output when it fails."""
    try:
        out, err = subprocess.PIPE, subprocess.STDOUT
        done = subprocess.run(command, env=environment(), input="", stdout=out, stderr=err, text=True, check=False)
    except OSError as error:
        raise BuildError(f"`{shlex.join(command)}` cannot be run: {error.strerror}") from error
    if done.returncode != 0:
        raise BuildError(f"`{shlex.join(command)}` failed with exit code {done.returncode}:\n{tail(done.stdout)}")


def tail(text: str, lines: int = 8) -> str:
    """Return the last lines that say something, indented to stand under a message."""
    return "\n".join(f"    {line[:240]}" for line in [line for line in text.splitlines() if line.strip()][-lines:])


@contextlib.contextmanager
def no_service_starts(root: Path) -> Iterator[None]:
    """Keep packages from starting services where no systemd runs: a start script that fails there fails the package.

    invokerc.d-policyrc.d-specification, in the documentation of init-system-helpers
    """
    policy = root / "usr/sbin/policy-rc.d"
    ours = not (root / "run/systemd/system").exists() and (not policy.exists() or POLICY_MARK in policy.read_text())
    if ours:
        policy.write_text(f"#!/bin/sh\n{POLICY_MARK}\nexit 101\n")
        policy.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            policy.unlink(missing_ok=True)


def install_packages(packages: Sequence[str], *, root: Path, patience: float = 120.0) -> None:
    """Install with apt, waiting up to ``patience`` seconds for another apt, and mending what an interruption left."""
    lock = f"DPkg::Lock::Timeout={patience:.0f}"
    install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", "-o", lock, *packages]
    with no_service_starts(root):
        # One broken source among many fails an update that has what is needed: only the installation decides.
        complaint = _update(patience)
        try:
            run(install)
        except BuildError as error:
            if "dpkg --configure -a" not in str(error):
                raise BuildError("\n".join(filter(None, (str(error), complaint)))) from error
            run(["dpkg", "--configure", "-a"])
            run(install)


def _update(patience: float) -> str:
    """Return the complaint of ``apt-get update``, which unlike the installation does not wait for a lock by itself."""
    deadline = time.monotonic() + patience
    while True:
        try:
            run(["apt-get", "update", "-qq"])
        except BuildError as error:
            if "Could not get lock" not in str(error) or time.monotonic() > deadline:
                return str(error)
            time.sleep(1)
        else:
            return ""

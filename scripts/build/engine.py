"""What Docker engine is here, and whether it can build these images; asked through the ``docker`` command.

The command is asked, not the socket, because it alone knows about contexts, ``DOCKER_HOST`` and ssh; one
``docker info`` answers for the client, the daemon, the image store and buildx at once.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NEEDED_ENGINE = (26, 0)
"""Engine 26.0 is the first with BuildKit 0.13 inside: https://docs.docker.com/engine/release-notes/26.0/"""
NEEDED_BUILDX = (0, 13)
CONTAINERD_STORE = "io.containerd.snapshotter.v1"
"""``driver-type`` in ``docker info`` when images are kept by containerd; the other store has no OCI exporter."""
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""The kernel's names of processors to OCI's (image-spec, config.md)."""
ANSWER_TIMEOUT = 10.0
"""Seconds the engine may take to answer before it counts as unreachable."""


class Lack(StrEnum):
    """The ways in which an engine is not good enough, in the order in which they have to be mended."""

    CLIENT = "client"
    STOPPED = "stopped"
    PERMISSION = "permission"
    UNREACHABLE = "unreachable"
    ENGINE_OLD = "engine old"
    BUILDX = "buildx"
    BUILDX_OLD = "buildx old"
    STORE = "store"


FIXES = {
    Lack.CLIENT: "install Docker Engine 26 or newer; as root on Debian or Ubuntu, ./scripts/invoke does it for you",
    Lack.STOPPED: "systemctl start docker; as root on Debian or Ubuntu, ./scripts/invoke does it for you",
    Lack.PERMISSION: "add yourself to the group: sudo usermod -aG docker $USER, then log in again; or run as root",
    Lack.UNREACHABLE: "check DOCKER_HOST and `docker context ls`",
    Lack.ENGINE_OLD: "upgrade the engine: it brings the BuildKit that writes OCI layouts",
    Lack.BUILDX: "install docker-buildx (Debian, Ubuntu) or docker-buildx-plugin (Docker's own packages)",
    Lack.BUILDX_OLD: "upgrade docker-buildx (Debian, Ubuntu) or docker-buildx-plugin (Docker's own packages)",
    Lack.STORE: 'put {"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json, restart docker',
}
MENDABLE = {Lack.CLIENT, Lack.STOPPED}
"""What installing and starting an engine cures; an engine that is there but unfit is somebody's, and left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A Docker engine that can build the images; ``root_dir`` and ``architecture`` are those of its own machine."""

    client_version: str
    server_version: str
    buildx_version: str
    containerd_store: bool
    architecture: str
    root_dir: str
    local: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """One thing that keeps an engine from building, in a sentence, with what to do about it."""

    lack: Lack
    problem: str

    @property
    def fix(self) -> str:
        """What the person can do."""
        return FIXES[self.lack]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineState:
    """Each piece as found (empty: not found) and what is missing; ``local`` is false for a context elsewhere."""

    client_version: str = ""
    server_version: str = ""
    buildx_version: str = ""
    containerd_store: bool = False
    architecture: str = ""
    root_dir: str = ""
    local: bool = True
    shortfalls: tuple[Shortfall, ...] = ()

    @property
    def engine(self) -> Engine | None:
        """The engine when nothing is missing."""
        if self.shortfalls:
            return None
        return Engine(
            client_version=self.client_version,
            server_version=self.server_version,
            buildx_version=self.buildx_version,
            containerd_store=self.containerd_store,
            architecture=self.architecture,
            root_dir=self.root_dir,
            local=self.local,
        )

    @property
    def mendable(self) -> bool:
        """Whether there is no engine at all here, or one that is not running: what ``install`` can put right."""
        return self.local and any(shortfall.lack in MENDABLE for shortfall in self.shortfalls)


def parse_version(text: str) -> tuple[int, ...]:
    """Return the leading numbers of ``26.1.5+dfsg1`` or ``v0.13.1``; empty when there are none."""
    found = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def inspect_engine(*, timeout: float = ANSWER_TIMEOUT) -> EngineState:
    """Look at the engine that ``docker`` points to; never raises: what cannot be found out is a shortfall."""
    if shutil.which("docker") is None:
        return EngineState(shortfalls=(Shortfall(lack=Lack.CLIENT, problem="there is no docker command on PATH"),))
    command = ["docker", "info", "--format", "{{json .}}"]
    try:
        # A daemon that is down is exit code 1 with some clients and 0 with others: the text tells, not the code.
        answer = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        problem = f"the Docker engine did not answer within {timeout:g} seconds"
        return EngineState(shortfalls=(Shortfall(lack=Lack.UNREACHABLE, problem=problem),))
    except OSError as error:
        problem = f"the docker command cannot be run: {error.strerror}"
        return EngineState(shortfalls=(Shortfall(lack=Lack.CLIENT, problem=problem),))
    return parse_info(answer.stdout, answer.stderr)


def parse_info(text: str, complaint: str) -> EngineState:
    """Read the output of ``docker info --format '{{json .}}'``: ``text`` from stdout, ``complaint`` from stderr."""
    try:
        info = json.loads(text)
    except ValueError:
        info = None
    if not isinstance(info, dict):
        problem = f"docker info failed: {first_line(complaint or text)}"
        return EngineState(shortfalls=(Shortfall(lack=Lack.UNREACHABLE, problem=problem),))
    if "ClientInfo" not in info and "ServerVersion" not in info:
        problem = "the docker command here is not Docker's (podman answers to the name too)"
        return EngineState(shortfalls=(Shortfall(lack=Lack.CLIENT, problem=problem),))
    client = info.get("ClientInfo") or {}
    plugins = {plugin.get("Name"): plugin for plugin in client.get("Plugins") or ()}
    buildx = plugins.get("buildx") or {}
    server_version = info.get("ServerVersion") or ""
    store = dict(pair[:2] for pair in info.get("DriverStatus") or () if len(pair) > 1)
    local = client.get("Context", "default") == "default" and not is_remote(os.environ.get("DOCKER_HOST", ""))
    state = EngineState(
        client_version=client.get("Version") or "unknown",
        server_version=server_version,
        buildx_version="" if buildx.get("Err") else (buildx.get("Version") or ""),
        containerd_store=store.get("driver-type") == CONTAINERD_STORE,
        architecture=info.get("Architecture") or "",
        root_dir=info.get("DockerRootDir") or "",
        local=local,
    )
    return _with_shortfalls(state, "\n".join(info.get("ServerErrors") or ()) or complaint)


def is_remote(docker_host: str) -> bool:
    """Whether ``DOCKER_HOST`` names another place than the usual socket, which is not ours to install or start."""
    return docker_host not in {"", "unix:///var/run/docker.sock", "unix:///run/docker.sock"}


def this_platform() -> str:
    """The OCI platform of this machine."""
    return f"linux/{ARCHITECTURES.get(os.uname().machine, os.uname().machine)}"


def first_line(text: str) -> str:
    """Return the first line that says something, at most 200 characters of it."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0][:200] if lines else "it said nothing"


def _with_shortfalls(state: EngineState, complaint: str) -> EngineState:
    found = []
    if not state.server_version:
        found.append(_unreachable(state, complaint))
    elif parse_version(state.server_version) < NEEDED_ENGINE:
        problem = f"Docker Engine {state.server_version} is too old: 26.0 or newer is needed"
        found.append(Shortfall(lack=Lack.ENGINE_OLD, problem=problem))
    if not state.buildx_version:
        found.append(Shortfall(lack=Lack.BUILDX, problem="docker has no buildx"))
    elif parse_version(state.buildx_version) < NEEDED_BUILDX:
        problem = f"buildx {state.buildx_version} is too old: 0.13 or newer is needed"
        found.append(Shortfall(lack=Lack.BUILDX_OLD, problem=problem))
    if state.server_version and not state.containerd_store:
        problem = "the engine does not use the containerd image store, without which it cannot write OCI layouts"
        found.append(Shortfall(lack=Lack.STORE, problem=problem))
    return replace(state, shortfalls=tuple(found))


def _unreachable(state: EngineState, complaint: str) -> Shortfall:
    reason = first_line(complaint)
    if "permission denied" in complaint:
        return Shortfall(lack=Lack.PERMISSION, problem="you may not use the Docker engine: permission denied")
    if state.local and re.search(r"Cannot connect|failed to connect|no such file|connection refused", complaint):
        return Shortfall(lack=Lack.STOPPED, problem="the Docker engine is not running")
    return Shortfall(lack=Lack.UNREACHABLE, problem=f"the Docker engine cannot be reached: {reason}")


def require_engine(*, may_install: bool, log: Callable[[str], None]) -> Engine:
    """Return an engine that can build, installing or starting one where that is allowed and possible.

    Raises ``BuildError`` with every shortfall and its fix.
    """
    state = inspect_engine()
    if may_install and state.mendable and os.geteuid() == 0:
        from scripts.build import install  # noqa: PLC0415 - needed once in a machine's life

        install.install_engine(log)
        state = inspect_engine()
    if (engine := state.engine) is not None:
        return engine
    raise BuildError("\n".join(f"{shortfall.problem} ({shortfall.fix})" for shortfall in state.shortfalls))


def free_space(path: Path) -> int:
    """Return the bytes this user may still write at ``path``, or at its nearest parent where it is not there yet."""
    path = path.absolute()
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def require_space(
    path: Path,
    bytes_needed: int,
    what: str,
    remedy: Callable[[], str] = lambda: "docker builder prune, docker image prune",
) -> None:
    """Raise ``BuildError`` when ``path`` has less room than ``what`` (such as ``python:3.11``) needs.

    :param remedy: says how to make room; asked only then.
    """
    free = free_space(path)
    if free < bytes_needed:
        raise BuildError(
            f"no space for the build: {what} needs about {bytes_needed / 1e9:.1f} GB in {path}, "
            f"{free / 1e9:.1f} GB free ({remedy()}, or move out/ to another disk)"
        )

"""What this machine lacks for building, checking and publishing the images: looks only, installs nothing.

Every look is bounded in time and they run side by side, so that the answer comes in seconds without a network too.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build.engine import Lack, free_space, inspect_engine, parse_version
from scripts.errors import ImagesError
from scripts.recipe.family import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scripts.build.engine import EngineState

ENGINE_SPACE = 20e9
"""Bytes that the engine needs for the largest image and its build cache."""
OUT_SPACE = 10e9
"""Bytes for the OCI layouts of the largest images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row: the texts are short enough for a table of 80 columns; ``fix`` is empty when all is well."""

    what: str
    found: str
    needed: str
    ok: bool
    fix: str
    required: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A command line program to look for, on PATH and next to the Python that runs this."""

    name: str
    needed: str
    fix: str
    required: bool
    arguments: tuple[str, ...] = ("--version",)


TOOLS = (
    Tool(name="uv", needed="any", fix="./scripts/invoke brings it", required=True),
    Tool(name="git", needed="any", fix="apt-get install git", required=True),
    Tool(name="hadolint", needed="any", fix="./scripts/nox brings it", required=False),
    Tool(name="shellcheck", needed="any", fix="./scripts/nox brings it", required=False),
    Tool(name="mmdebstrap", needed="any", fix="only to make stand-in bases", required=False),
    Tool(name="cosign", needed="any", fix="only to sign and verify", required=False, arguments=("version",)),
    Tool(name="syft", needed="any", fix="./scripts/invoke brings it", required=False, arguments=("version",)),
)
HOSTS = {
    "docker.io": ("https://registry-1.docker.io/v2/", "stand-in: invoke bases"),
    "nvcr.io": ("https://nvcr.io/v2/", "stand-in: invoke bases"),
    "quay.io": ("https://quay.io/v2/", "--registry localhost:5000"),
    "download.pytorch.org": ("https://download.pytorch.org/whl/", "wheels from a mirror"),
}
"""What is asked for over the network: where, and what to do without."""
ENGINE_FIXES = {
    Lack.CLIENT: "./scripts/invoke as root",
    Lack.STOPPED: "systemctl start docker",
    Lack.PERMISSION: "usermod -aG docker $USER",
    Lack.UNREACHABLE: "check DOCKER_HOST, context",
    Lack.ENGINE_OLD: "upgrade Docker Engine",
    Lack.BUILDX: "install docker-buildx",
    Lack.BUILDX_OLD: "upgrade docker-buildx",
    Lack.STORE: "daemon.json: see README.md",
}


def examine(root: Path, *, hosts: Mapping[str, tuple[str, str]] = HOSTS, patience: float = 2.0) -> tuple[Finding, ...]:
    """Return a row for everything that matters, the required first; ``root`` is the repository.

    ``hosts`` maps a name to the address to ask and the fix; ``patience`` is the seconds that each look may take.
    """
    checks: list[tuple[str, Callable[[], tuple[Finding, ...]]]] = [
        ("Python", lambda: (check_python(),)),
        *((tool.name, lambda tool=tool: (check_tool(tool, patience),)) for tool in TOOLS),
        ("docker", lambda: check_engine(inspect_engine(timeout=patience))),
        ("out/", lambda: (check_space("space for out/", root / "out", OUT_SPACE, "move out/ to a larger disk"),)),
        ("arm64", lambda: (check_emulation(),)),
        *((name, lambda name=name: (check_host(name, *hosts[name], patience),)) for name in hosts),
        ("package index", lambda: (check_index(patience),)),
        ("base pins", lambda: (check_pins(root),)),
    ]
    found: dict[str, tuple[Finding, ...]] = {}

    def look(name: str, check: Callable[[], tuple[Finding, ...]]) -> None:
        found[name] = check()

    # Daemon threads, because a name lookup knows no timeout and must not hold up the answer or the exit.
    threads = [threading.Thread(target=look, args=check, daemon=True) for check in checks]
    deadline = time.monotonic() + patience + 0.5
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    rows: list[Finding] = []
    for name, _ in checks:
        late = Finding(
            what=name, found="no answer", needed="", ok=False, fix=hosts.get(name, ("", ""))[1], required=False
        )
        rows += found.get(name, (late,))
    return tuple(sorted(rows, key=lambda row: not row.required))


def is_fit(findings: tuple[Finding, ...]) -> bool:
    """Whether everything that is required is there."""
    return all(finding.ok for finding in findings if finding.required)


def rows_of(findings: tuple[Finding, ...]) -> tuple[dict[str, str | bool], ...]:
    """Return the findings as rows of a table or of JSON, with the fields of ``Finding`` as keys."""
    return tuple(asdict(finding) for finding in findings)


def check_python() -> Finding:
    """Check the Python that runs this: older ones cannot read the code."""
    ok = sys.version_info >= (3, 11)
    fix = "" if ok else "install Python 3.11 or newer"
    return Finding(what="Python", found=platform.python_version(), needed="3.11", ok=ok, fix=fix, required=True)


def find_program(name: str) -> str | None:
    """Return where a program is: on PATH, or beside this Python, where the wrappers put the locked ones."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


def check_tool(tool: Tool, patience: float) -> Finding:
    """Whether a program is here and runs, and the first version number that it prints."""
    found = "missing"
    if (program := find_program(tool.name)) is not None:
        found = "does not run"
        output = run_program([program, *tool.arguments], patience)
        if output is not None:
            words = output.replace(",", " ").split()
            numbers = [version for word in words if len(version := parse_version(word)) > 1]
            found = ".".join(map(str, numbers[0])) if numbers else "unknown"
    ok = found not in {"missing", "does not run"}
    fix = "" if ok else tool.fix
    return Finding(what=tool.name, found=found, needed=tool.needed, ok=ok, fix=fix, required=tool.required)


def run_program(command: list[str], patience: float, *, text: str = "") -> str | None:
    """Return what a program prints, or nothing when it fails or takes longer than ``patience`` seconds."""
    environment = os.environ | {"UV_HTTP_RETRIES": "0"}
    try:
        done = subprocess.run(
            command, input=text, env=environment, capture_output=True, text=True, timeout=patience, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def check_engine(state: EngineState) -> tuple[Finding, ...]:
    """Return the rows of the Docker engine: client, daemon, buildx, image store, and the room that the engine has."""
    lacks = {shortfall.lack for shortfall in state.shortfalls}
    running = bool(state.server_version)
    store = "on" if state.containerd_store else "off"

    def row(what: str, found: str, needed: str, *mine: Lack) -> Finding:
        fix = next((ENGINE_FIXES[lack] for lack in Lack if lack in mine and lack in lacks), "")
        return Finding(what=what, found=found, needed=needed, ok=not fix, fix=fix, required=True)

    down = (Lack.CLIENT, Lack.STOPPED, Lack.PERMISSION, Lack.UNREACHABLE)
    reason = next((lack for lack in down[1:] if lack in lacks), "missing")
    absent = "missing" if lacks & {Lack.CLIENT, Lack.BUILDX} else "unknown"
    rows = [
        row("docker client", short(state.client_version) or absent, "any", Lack.CLIENT),
        row("Docker Engine", short(state.server_version) or str(reason), "26.0", *down, Lack.ENGINE_OLD),
        row("buildx", short(state.buildx_version) or absent, "0.13", Lack.CLIENT, Lack.BUILDX, Lack.BUILDX_OLD),
        row("containerd store", store if running else "unknown", "on", *down, Lack.STORE),
    ]
    if state.local and running and state.root_dir and Path(state.root_dir).exists():
        rows.append(check_space("space for engine", Path(state.root_dir), ENGINE_SPACE, "docker builder prune"))
    return tuple(rows)


def short(version: str) -> str:
    """Return ``26.1.5`` for ``26.1.5+dfsg1``."""
    return ".".join(map(str, parse_version(version))) or version


def check_space(what: str, path: Path, needed: float, fix: str) -> Finding:
    """Whether a disk has the room that a build of the largest image takes."""
    free = free_space(path)
    ok = free >= needed
    found, wanted = f"{free / 1e9:.1f} GB", f"{needed / 1e9:.0f} GB"
    return Finding(what=what, found=found, needed=wanted, ok=ok, fix="" if ok else fix, required=True)


def check_emulation() -> Finding:
    """Whether this machine runs programs of the other architecture, for ``build --platform``."""
    other = "x86_64" if platform.machine() in {"aarch64", "arm64"} else "aarch64"
    ok = Path("/proc/sys/fs/binfmt_misc", f"qemu-{other}").exists()
    found, fix = ("registered", "") if ok else ("missing", "only for build --platform")
    return Finding(what=f"qemu {other}", found=found, needed="any", ok=ok, fix=fix, required=False)


def check_host(name: str, address: str, fix: str, patience: float) -> Finding:
    """Whether a server answers at all: refusing a stranger (401) is an answer."""
    import requests  # noqa: PLC0415 - slow to import, and every command imports this module's neighbours

    try:
        requests.head(address, timeout=patience, allow_redirects=False)
    except requests.exceptions.SSLError:
        return Finding(what=name, found="untrusted TLS", needed="", ok=False, fix="REQUESTS_CA_BUNDLE", required=False)
    except requests.exceptions.RequestException:
        return Finding(what=name, found="unreachable", needed="", ok=False, fix=fix, required=False)
    return Finding(what=name, found="reachable", needed="", ok=True, fix="", required=False)


def check_index(patience: float) -> Finding:
    """Whether the package index that uv is set to gives out a package; uv is asked, since it knows its settings."""
    uv = find_program("uv")
    command = [str(uv), "pip", "compile", "-", "--quiet", "--no-header", "--no-deps", "--no-cache"]
    ok = uv is not None and run_program(command, patience, text="invoke") is not None
    found, fix = ("reachable", "") if ok else ("unreachable", "check network and index")
    return Finding(what="package index", found=found, needed="", ok=ok, fix=fix, required=False)


def check_pins(root: Path) -> Finding:
    """Whether the bases of the active images are pinned to digests, so that a build is the same on another day."""
    from scripts.build.pins import FIX, unpinned  # noqa: PLC0415 - pulls in what only builds need
    from scripts.recipe.matrix import expand_all, load_families  # noqa: PLC0415

    try:
        images = [spec for spec in expand_all(load_families(root)) if spec.state is State.ACTIVE]
    except ImagesError:
        return Finding(what="base pins", found="unknown", needed="", ok=False, fix="invoke list", required=False)
    bases = {spec.base for spec in images}
    loose = unpinned(images)
    found = f"{len(bases) - len(loose)} of {len(bases)}"
    return Finding(what="base pins", found=found, needed="all", ok=not loose, fix=FIX if loose else "", required=False)

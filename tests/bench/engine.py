"""An engine of the benchmark's own: empty at its start, so caches really are, and gone at its end with all it made.

It shares nothing with the machine's engine but the way out: its containers are on a bridge that the machine's engine
made and translates addresses for, because two engines that both write the packet filter undo each other's rules.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import docker

from scripts.build.engine import require_space
from scripts.build.load import write_archive
from scripts.errors import BuildError
from tests.bench.disk import own_disk, unmount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PREFIX: Final = "images-bench-"
# Not /tmp, which is memory on many machines.
PLACE: Final = Path("/var/tmp")
SPACE: Final = {False: 9_000_000_000, True: 20_000_000_000}
"""Bytes that have to be free for each side, by whether the image has CUDA: a build, its layout, a copy pulled or rebuilt."""
START: Final = 60.0
"""Seconds that the engine may take until it answers."""
# In place of the machine's own daemon.json. Nothing is to be collected while it is still measured.
DAEMON: Final = {"features": {"containerd-snapshotter": True}, "builder": {"gc": {"enabled": False}}}
PASSES: Final = 20
CONTAINERD: Final = 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnEngine:
    """An engine that is running."""

    host: str
    """Its socket as ``DOCKER_HOST`` names it."""

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which the ``docker`` command talks to it."""
        kept = {name: value for name, value in os.environ.items() if name not in {"DOCKER_CONTEXT", "BUILDX_BUILDER"}}
        return {**kept, "DOCKER_HOST": self.host, "BUILDX_GIT_INFO": "false", "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}

    @property
    def client(self) -> docker.DockerClient:
        """A client of the SDK."""
        return docker.DockerClient(base_url=self.host, timeout=600)

    def docker(self, *words: str) -> str:
        """What a ``docker`` command prints.

        :raises BuildError: if it fails, with the end of what it said.
        """
        return run(["docker", *words], environment=self.environment)

    def cached(self) -> frozenset[str]:
        """Ids of what is in the build cache."""
        listed = self.docker("buildx", "du", "--builder", "default", "--verbose")
        return frozenset(re.findall(r"^ID:\s+(\S+)", listed, re.MULTILINE))

    def forget(self, kept: frozenset[str]) -> None:
        """Remove what was added to the build cache since it was ``kept``: a rebuild of gigabytes, with its results.

        :raises BuildError: if something cannot be removed.
        """
        for _ in range(PASSES):
            added = self.cached() - kept
            if not added:
                return
            for item in sorted(added):  # a parent is not removed before what stands on it
                self.docker("buildx", "prune", "--builder", "default", "--force", "--all", "--filter", f"id={item}")
        raise BuildError(f"the build cache keeps {', '.join(sorted(self.cached() - kept))}")

    def load(self, layout: Path, reference: str) -> None:
        """Load an OCI layout under a name."""
        command = ["docker", "image", "load", "--quiet"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=self.environment
        ) as process:
            assert process.stdin
            with contextlib.suppress(BrokenPipeError):  # its reason follows
                write_archive(layout, reference, process.stdin)
            said = process.communicate()[0].decode(errors="replace")
        if process.returncode:
            raise BuildError(f"{reference}: the engine did not take the image: {said.strip()}")


def run(command: Sequence[str], *, environment: dict[str, str] | None = None) -> str:
    """What a command prints.

    :raises BuildError: if it fails, with the end of what it said.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise BuildError(f"{' '.join(command[:4])} failed with {done.returncode}: {done.stderr.strip()[-600:]}")
    return done.stdout


@contextlib.contextmanager
def work_directory(space: int) -> Iterator[Path]:
    """A directory on disk that is gone afterwards, as are those of earlier runs that were killed.

    :param space: bytes that are needed.
    :raises BuildError: if the disk is too full.
    """
    for left in PLACE.glob(f"{PREFIX}*"):
        if not _alive(left.name.removeprefix(PREFIX).partition("-")[0]):
            _remove(left)
    require_space(PLACE, space, "the benchmark")
    path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=PLACE))
    try:
        yield path
    finally:
        _remove(path)


@contextlib.contextmanager
def own_bridge() -> Iterator[str]:
    """Name of a bridge of the machine's engine for the containers of ours."""
    for name in run(["docker", "network", "ls", "--filter", f"name=^{PREFIX}", "--format", "{{.Name}}"]).split():
        if not _alive(name.removeprefix(PREFIX)):
            run(["docker", "network", "rm", name])
    name, bridge = f"{PREFIX}{os.getpid()}", f"bench{os.getpid()}"
    run(["docker", "network", "create", "--opt", f"com.docker.network.bridge.name={bridge}", name])
    try:
        yield bridge
    finally:
        run(["docker", "network", "rm", name])


@contextlib.contextmanager
def own_engine(work: Path, bridge: str) -> Iterator[OwnEngine]:
    """An engine with nothing in it, below ``work``; removed afterwards with all its containers and images.

    :raises BuildError: if this is not root on Linux, or the engine does not start.
    """
    if os.geteuid() != 0:
        raise BuildError(
            "nox -s bench starts a Docker engine of its own, and only root can: sudo ./scripts/nox -s bench"
        )
    with contextlib.ExitStack() as stack:
        root = stack.enter_context(own_disk(work))
        yield _start_engine(stack, root, bridge)


def _start_engine(stack: contextlib.ExitStack, root: Path, bridge: str) -> OwnEngine:
    (root / "containerd.toml").write_text(CONTAINERD, encoding="utf-8")
    (root / "daemon.json").write_text(json.dumps(DAEMON), encoding="utf-8")
    address = root / "c.sock"
    _start(
        stack,
        root / "containerd.log",
        *("containerd", "--config", f"{root}/containerd.toml", "--address", str(address)),
        *("--root", f"{root}/containerd", "--state", f"{root}/containerd-state", "--log-level", "error"),
    )
    _wait_for(address.exists, "containerd", root / "containerd.log")
    _start(
        stack,
        root / "dockerd.log",
        *("dockerd", "--config-file", f"{root}/daemon.json", "--host", f"unix://{root}/d.sock"),
        *("--containerd", str(address), "--data-root", f"{root}/data", "--exec-root", f"{root}/exec"),
        *("--pidfile", f"{root}/d.pid", "--bridge", bridge, "--iptables=false", "--ip6tables=false"),
    )
    engine = OwnEngine(host=f"unix://{root}/d.sock")
    _wait_for(lambda: _answers(engine), "dockerd", root / "dockerd.log")
    stack.callback(_remove_containers, engine)
    return engine


def _start(stack: contextlib.ExitStack, log: Path, *command: str) -> None:
    """Start a daemon that ends with the stack, and with us if we are killed; Ctrl-C is not for it."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", *command], stdout=file, stderr=file, start_new_session=True
        )
    stack.callback(_stop, process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(check: Callable[[], bool], what: str, log: Path) -> None:
    deadline = time.monotonic() + START
    while not check():
        if time.monotonic() > deadline:
            raise BuildError(f"{what} did not answer within {START:g} s: {log.read_text(errors='replace')[-600:]}")
        time.sleep(0.1)


def _answers(engine: OwnEngine) -> bool:
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, capture_output=True, check=False, env=engine.environment).returncode == 0


def _remove_containers(engine: OwnEngine) -> None:
    for container in engine.client.containers.list(all=True):
        container.remove(force=True, v=True)


def _remove(path: Path) -> None:
    """Remove a directory in which an engine may have left mounts."""
    unmount(path)
    shutil.rmtree(path, ignore_errors=True)


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path("/proc", pid).exists()

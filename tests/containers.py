"""Containers for tests: started with a label, waited for with a limit, always removed."""

from __future__ import annotations

import os
import socket
import time
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from docker.models.containers import Container as EngineContainer


def process(pid: int | str) -> str:
    """A process of this machine by its number and its start (proc(5), stat): numbers are given again. Empty: gone."""
    try:
        stat = Path("/proc", str(pid), "stat").read_text(encoding="utf-8")
    except OSError:
        return ""
    return f"{pid}-{stat.rpartition(')')[2].split()[19]}"


LABEL = "ai.vessl.images.test"
HOST = socket.gethostname()
RUN = os.environ.setdefault("IMAGES_TEST_RUN", f"{HOST}/{process(os.getpid())}/{uuid.uuid4().hex}")
"""Value of the label: whose container it is. The same in all workers of a run of pytest, another in the next."""
PLATFORM = "IMAGES_TEST_PLATFORM"
"""Variable with the platform that all containers are to be of; not set: the engine's own."""
STARTS = 4
"""How often a container is started at most."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class Container:
    """A container that was started; seconds are limits, after which AssertionError shows its log."""

    engine: EngineContainer

    def start(self) -> None:
        """Start it; again where the engine fails itself, as Docker does at networks of a machine that is busy."""
        for left in range(STARTS, 0, -1):
            try:
                self.engine.start()
            except docker.errors.APIError as error:
                if not error.is_server_error() or left == 1:
                    raise
                time.sleep(1)
            else:
                return

    def exec(self, *argv: str, seconds: int = 60, user: str = "") -> Finished:
        """Run a command in it, not through a shell; one that takes too long ends with code 124 or 137."""
        limited = ["timeout", "-k", "1", str(seconds), *argv]
        result: Any = self.engine.exec_run(limited, demux=True, user=user)  # its type depends on demux
        stdout, stderr = result.output
        return Finished(result.exit_code, (stdout or b"").decode(), (stderr or b"").decode())

    def read(self, *argv: str) -> str:
        """Return what a command prints; it has to succeed."""
        done = self.exec(*argv)
        assert done.code == 0, f"{argv} ended with code {done.code}: {done.stderr}"
        return done.stdout

    @property
    def log(self) -> str:
        """Standard output and standard error so far."""
        return self.engine.logs().decode(errors="replace")

    def port(self, inside: int) -> int:
        """Return the port on 127.0.0.1 that leads to a published one; a restart changes it."""
        self.engine.reload()
        published: list[dict[str, str]] | None = self.engine.ports.get(f"{inside}/tcp")
        assert published, f"port {inside} is not published: has the container ended?\n{self.log}"
        return int(published[0]["HostPort"])

    def wait_until(self, what: str, check: Callable[[], bool], seconds: float = 30) -> None:
        """Poll until true."""
        deadline = time.monotonic() + seconds
        while not check():
            self.engine.reload()
            alive = self.engine.status in ("created", "running")
            assert alive, f"the container ended before {what}:\n{self.log}"
            assert time.monotonic() < deadline, f"no {what} within {seconds} s:\n{self.log}"
            time.sleep(0.05)

    def wait_for_port(self, inside: int, seconds: float = 30) -> int:
        """Wait for a server that speaks first, as sshd does (the engine's proxy accepts before anyone listens)."""
        port = self.port(inside)

        def answers() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
                    return bool(connection.recv(1))
            except OSError:
                return False

        self.wait_until(f"answer on port {inside}", answers, seconds)
        return port

    def wait_for_http(self, path: str, inside: int, headers: Mapping[str, str], seconds: float = 30) -> str:
        """Wait for status 200, and return the address of the server without the path."""
        base = f"http://127.0.0.1:{self.port(inside)}"

        def answers() -> bool:
            try:
                return requests.get(base + path, headers=dict(headers), timeout=5).status_code == 200
            except requests.RequestException:
                return False

        self.wait_until(f"answer from {path}", answers, seconds)
        return base

    def wait(self, seconds: float = 30) -> int:
        """Return the exit code once it has ended."""
        code: int = self.engine.wait(timeout=seconds)["StatusCode"]
        return code

    def finish(self, seconds: float = 30) -> Finished:
        """Wait until it has ended, and return what it wrote."""
        code = self.wait(seconds)
        streams = (self.engine.logs(stdout=out, stderr=not out).decode() for out in (True, False))
        return Finished(code, *streams)


def create(image: str, *command: str, ports: Sequence[int] = (), **options: Any) -> Container:
    """Make a container that is not started yet; its ports are published on random ones of 127.0.0.1."""
    published = {f"{port}/tcp": ("127.0.0.1", 0) for port in ports}
    engine = docker.from_env(timeout=180).containers.create(
        image,
        list(command) or None,
        labels={LABEL: RUN},
        ports=published,
        detach=True,
        platform=os.environ.get(PLATFORM),
        **options,
    )
    return Container(engine)


@contextmanager
def running(image: str, *command: str, ports: Sequence[int] = (), **options: Any) -> Iterator[Container]:
    """Start a container, and remove it whatever happens.

    Options are those of ``containers.create`` in the Docker SDK. No command: the one of the image.
    """
    container = create(image, *command, ports=ports, **options)
    try:
        container.start()
        yield container
    finally:
        container.engine.remove(force=True, v=True)
        if client := container.engine.client:
            client.close()


def remove_left(run: str = RUN) -> list[str]:
    """Remove what a run has left behind, as a worker does that was killed; the names of those containers."""
    return _remove(f"{LABEL}={run}", lambda _: True)


def remove_orphans() -> list[str]:
    """Remove what earlier runs of this machine left behind that were killed themselves; the names of those containers."""

    def is_orphan(run: str) -> bool:
        host, owner, *_ = [*run.split("/"), "", ""]
        return host == HOST and process(owner.partition("-")[0]) != owner

    return _remove(LABEL, is_orphan)


def _remove(label: str, wanted: Callable[[str], bool]) -> list[str]:
    client = docker.from_env(timeout=60)
    removed = []
    # Sparse: what another process removes meanwhile must not end this one.
    for container in client.containers.list(all=True, filters={"label": label}, sparse=True):
        if wanted(str((container.attrs.get("Labels") or {}).get(LABEL, ""))):
            try:
                container.remove(force=True, v=True)
            except docker.errors.NotFound:
                pass
            except docker.errors.APIError as error:
                if "already in progress" not in str(error):  # the reaper may be at it too
                    raise
            removed.append(str(container.id))
    client.close()
    return removed


def run(image: str, *command: str, seconds: float = 30, **options: Any) -> Finished:
    """Run a container until it ends."""
    with running(image, *command, **options) as container:
        return container.finish(seconds)

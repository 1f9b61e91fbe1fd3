"""Smoke tests that are ended from outside: no container is left, and an engine that goes away is no fault of the image."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from scripts.smoke.record import directory_of
from tests.containers import LABEL, remove_left, remove_orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[2]
# The process says by which label its containers are known, and goes on as the command. Whoever runs these tests may have
# closed the terminal on purpose (nohup).
SAY_RUN = """
import os, signal, sys
from tests.containers import RUN
signal.signal(signal.SIGHUP, signal.SIG_DFL)
print(RUN, flush=True)
os.execvp(sys.argv[1], sys.argv[1:])
"""
SMOKE = [sys.executable, "-m", "scripts.smoke", "python:3.11", "--only", "workspace"]
NOX = [sys.executable, "-m", "nox", "-s", "smoke(python:3.11)", "--", "--only", "workspace"]


def containers(run: str) -> list[str]:
    client = docker.from_env(timeout=60)
    found = client.containers.list(all=True, filters={"label": f"{LABEL}={run}"}, sparse=True)
    client.close()
    return [str(item.id) for item in found]


def wait_until(check: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


@contextlib.contextmanager
def started(command: list[str], **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A smoke test in a process group of its own, once its containers are there, with the label of these."""
    own = {name: value for name, value in os.environ.items() if name != "IMAGES_TEST_RUN"}
    own["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), own["PATH"]])
    own["IMAGES_SETUP"] = "1"  # nox is to use this environment
    process = subprocess.Popen(
        [sys.executable, "-c", SAY_RUN, *command],
        cwd=ROOT,
        env={**own, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    run = process.stdout.readline().strip()
    try:
        wait_until(lambda: len(containers(run)) > 1 or process.poll() is not None, 60, "two containers")
        assert process.poll() is None, process.communicate()[1]
        yield process, run
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        remove_left(run)


def reapers(run: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if {b"tests.reaper", run.encode()} <= set(path.read_bytes().split(b"\0")):
                found.append(int(path.parent.name))
    return found


def terminal_is_closed(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGHUP)


def ctrl_c_again_and_again(process: subprocess.Popen[str]) -> None:
    for _ in range(10):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.3)


def out_of_memory(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)


def nox_is_interrupted(process: subprocess.Popen[str]) -> None:
    """It passes nothing on: it waits, then ends what it runs."""
    os.kill(process.pid, signal.SIGINT)


ENDINGS = [
    pytest.param(SMOKE, terminal_is_closed, id="SIGHUP"),
    pytest.param(SMOKE, ctrl_c_again_and_again, id="Ctrl-C"),
    pytest.param(SMOKE, out_of_memory, id="SIGKILL"),
    pytest.param(NOX, ctrl_c_again_and_again, id="nox, Ctrl-C"),
    pytest.param(NOX, terminal_is_closed, id="nox, SIGHUP"),
    pytest.param(NOX, nox_is_interrupted, id="nox's own kill"),
]


@pytest.mark.usefixtures("cpu")
@pytest.mark.parametrize(("command", "end"), ENDINGS)
def test_no_container_is_left(command: list[str], end: Callable[[subprocess.Popen[str]], None]) -> None:
    with started(command) as (process, run):
        end(process)
        _, err = process.communicate(timeout=60)
        wait_until(lambda: not containers(run), 30, "end of the containers")
        wait_until(lambda: not reapers(run), 30, "end of the reaper")
    # Where nox waits, and nobody else was told, the checks may come to their end meanwhile.
    assert process.returncode != 0 or end is nox_is_interrupted
    assert "Traceback" not in err.partition("tests/smoke")[0]


@pytest.mark.usefixtures("cpu")
def test_what_is_left_when_all_was_killed_is_removed_by_the_next_run() -> None:
    with started(SMOKE) as (process, run):
        for pid in reapers(run):
            os.kill(pid, signal.SIGKILL)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        left = containers(run)
        assert left
        assert set(left) <= set(remove_orphans())
        assert containers(run) == []


@pytest.mark.usefixtures("cpu")
def test_what_another_run_needs_is_not_removed() -> None:
    """Two at once: each knows its own."""
    with started(SMOKE) as (_, run):
        before = set(containers(run))
        assert not before & set(remove_orphans())


class EngineProxy:
    """A socket that leads to the engine until it is cut."""

    def __init__(self, path: Path) -> None:
        self.address = f"unix://{path}"
        self._open: list[socket.socket] = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was cut
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect("/var/run/docker.sock")
                self._open += [near, far]
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def cut(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for end in self._open:
            with contextlib.suppress(OSError):  # the other side was first
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def test_an_engine_that_goes_away_is_no_fault_of_the_image(cpu: dict[str, Any], tmp_path: Path) -> None:
    record = directory_of(ROOT / "out", cpu["digest"]) / "record.json"
    before = record.read_bytes() if record.exists() else b""
    proxy = EngineProxy(tmp_path / "engine.sock")
    command = [sys.executable, "-m", "scripts.smoke", "python:3.11", "--again", "--format", "json"]
    with started(command, DOCKER_HOST=proxy.address) as (process, _):
        time.sleep(3)
        proxy.cut()
        out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (3, ""), err
    assert err.endswith("python:3.11: the checks lost their engine (the reason is above): nothing is recorded\n")
    assert (record.read_bytes() if record.exists() else b"") == before

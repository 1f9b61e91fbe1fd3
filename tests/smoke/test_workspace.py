"""How a workspace starts and ends."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import requests

from tests.containers import run
from tests.workspaces import FIND_JUPYTERLAB, REFUSAL, ask, kernel_channel, start_kernel, terminal, workspace

if TYPE_CHECKING:
    from scripts.smoke.plugin import Claim

STOP_SECONDS = 5
# A long call into C that keeps the lock of the interpreter, in a kernel that does not die of SIGTERM.
BUSY = """
import pathlib, re, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pathlib.Path('/tmp/busy').touch()
re.match('(a+)+$', 'a' * 60 + 'b')
"""


def test_does_not_start_without_a_token(image: str, claim: Claim) -> None:
    try:
        done = run(image, environment={"VESSL_TOKEN": " \n"}, seconds=4)
        measured = f"{done.code}: {done.stderr.strip()}"
    except requests.RequestException:  # the engine's answer did not come in time
        measured = "it started"
    claim(measured, f"2: {REFUSAL.strip()}")


def test_starts_open_only_if_told(image: str, claim: Claim) -> None:
    """With a warning, and without sshd, as no key was given."""
    environment = {"VESSL_TOKEN": "", "VESSL_ALLOW_NO_TOKEN": "1"}
    with workspace(image, environment=environment) as (container, address):
        status = requests.get(f"{address}api/status", timeout=30).status_code
        warned = "WARNING: no token: everyone who can reach the port can run commands here" in container.log
        programs = container.read("sh", "-c", "cat /proc/[0-9]*/comm").split()
    measured = f"{status}, {'a' if warned else 'no'} warning, {'an' if 'sshd' in programs else 'no'} sshd"
    claim(measured, "200, a warning, no sshd")


def test_stops_soon(image: str, claim: Claim) -> None:
    """With a busy kernel and a terminal."""
    with (
        workspace(image) as (container, address),
        terminal(address),
        kernel_channel(address, start_kernel(address)) as channel,
    ):
        ask(channel, BUSY)
        container.wait_until("busy kernel", lambda: container.exec("test", "-e", "/tmp/busy").code == 0, 10)
        began = time.monotonic()
        container.engine.kill("SIGTERM")
        try:
            code = str(container.wait(STOP_SECONDS + 3))
        except requests.RequestException:
            code = "still running"
        took = time.monotonic() - began
    claim(f"{code} after {took:.1f} s", f"0 within {STOP_SECONDS} s", ok=code == "0" and took < STOP_SECONDS)


def test_ends_when_jupyterlab_does(image: str, claim: Claim) -> None:
    with workspace(image) as (container, _):
        container.read("bash", "-c", f"kill -9 $({FIND_JUPYTERLAB})")
        try:
            done = container.finish(10)
            measured = f"{done.code}: {done.stderr.strip().rpartition(chr(10))[2]}"
        except requests.RequestException:
            measured = "still running"
    claim(measured, "137: workspace: JupyterLab ended with code -9")

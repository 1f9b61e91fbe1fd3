"""Remove what a run of tests leaves behind when it is killed: a process of its own, which waits for the run's end."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import docker
import requests

from tests.containers import RUN, remove_left

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).resolve().parent.parent
LOOKS, QUIET = 60, 3
"""Seconds for which it looks at most, and for how many of them there has to be nothing left: a worker dies later."""


class Reaper:
    """Removes the containers of this run, and a folder, once this process has ended, however that came about.

    It reads from a pipe that this process alone can write to; what ends that without a word was no orderly end. It has
    a session of its own, so what a terminal sends to us (Ctrl-C, and SIGHUP when it is closed) does not reach it.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.reaper", RUN, str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Tell it that all has been removed."""
        self._process.communicate(b"done")


def main(arguments: Sequence[str]) -> None:
    """Wait, then remove."""
    run, folder = arguments
    if sys.stdin.buffer.read() == b"done":
        return
    quiet = 0
    for _ in range(LOOKS):
        try:
            quiet = 0 if remove_left(run) else quiet + 1
        except (docker.errors.DockerException, requests.RequestException):
            quiet = 0  # the engine may be back in a moment, and so may what it ran
        if quiet == QUIET:
            break
        time.sleep(1)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])

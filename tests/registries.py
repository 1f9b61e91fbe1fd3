"""Real registries: Debian's docker-registry on a free port of loopback, stopped again whatever happens."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import requests

from scripts.build.apt import install_packages
from scripts.release.credentials import Credential
from scripts.release.reference import Repository, parse_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

USER = "robot"
WORD = "loopback-only"
HTPASSWD = "robot:$2b$05$BljJElV9oFkQ1z50knfuMe3XJUJIp9hRsLXnrnV8i7NB7FMiiSW6S"
"""The two as htpasswd(1) writes them, with bcrypt at its lowest cost."""
LOGIN = Credential(username=USER, password=WORD)
START = 20.0
"""Seconds that a registry may take to answer for the first time."""


@dataclass(frozen=True)
class RealRegistry:
    """A registry that is running."""

    host: str
    storage: Path

    def repository(self, name: str = "vessl-ai/torch") -> Repository:
        return parse_repository(f"{self.host}/{name}")


def find_program(name: str = "docker-registry") -> str:
    """A program of the Debian package of its name, installed if it is not there and may be; there is no test without it."""
    if not shutil.which(name):
        assert os.geteuid() == 0, f"these tests need Debian's {name}: apt-get install {name}"
        install_packages([name], root=Path("/"))
    found = shutil.which(name)
    assert found, f"{name} was installed, and is not on PATH"
    return found


@contextlib.contextmanager
def serve_registry(folder: Path, *, login: bool = False, delete: bool = False) -> Iterator[RealRegistry]:
    """A registry that keeps its things below a folder.

    :param login: only for ``LOGIN``, by htpasswd.
    :param delete: deletes what it is told to.
    """
    program = find_program()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "htpasswd").write_text(f"{HTPASSWD}\n")
    storage = {"filesystem": {"rootdirectory": str(folder / "storage")}, "delete": {"enabled": delete}}
    auth = {"auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}} if login else {}
    config = {"version": 0.1, "log": {"level": "error"}, "storage": storage, "http": {"addr": host}, **auth}
    (folder / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        _wait(process, host, folder / "log")
        yield RealRegistry(host, folder / "storage")
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], host: str, log: Path) -> None:
    deadline = time.monotonic() + START
    while True:
        with contextlib.suppress(requests.ConnectionError), requests.Session() as session:
            session.trust_env = False  # no proxy to loopback
            session.get(f"http://{host}/v2/", timeout=5)
            return
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"docker-registry does not run:\n{log.read_text()}")
        time.sleep(0.05)

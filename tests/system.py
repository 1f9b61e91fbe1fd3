"""A directory that stands for a Debian system, with fakes for apt, dpkg and dockerd that note how they were called."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
from typing import TYPE_CHECKING

import pytest

from scripts.build import install
from scripts.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path


DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n'
DEBIAN_13 = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n'
DEB822 = """\
# the first line of a comment
Types: deb deb-src
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: https://off.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb https://off.example/debian bookworm main
deb-src https://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/apt/key.gpg trusted=yes] https://mirror.example/debian bookworm main contrib # ours
deb https://security.example/debian-security bookworm-security main
"""
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class System:
    """A root directory with Debian's files, and a PATH of fakes that note how they were called."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.calls_file = folder / "calls"
        self.running = folder / "running"
        self.pid_file = folder / "pid"
        self.log: list[str] = []
        for made in (self.bin, self.root / "etc/apt", self.root / "usr/sbin"):
            made.mkdir(parents=True)
        self.write("etc/os-release", DEBIAN_12)
        self.write("etc/apt/sources.list", "deb https://mirror.example/debian bookworm main\n")
        info = {"ServerVersion": "", "ClientInfo": {"Version": "26.1.5", "Context": "default", "Plugins": []}}
        self.docker = (
            f"if [ -e {shlex.quote(str(self.running))} ]; then echo 26.1.5+dfsg1; exit 0; fi\n"
            f"echo {shlex.quote(json.dumps(info))}; echo 'Cannot connect to the Docker daemon' >&2; exit 1"
        )
        self.dockerd = f": >{shlex.quote(str(self.running))}; exec /bin/sleep 60"
        self.fake("dpkg", "")
        self.fake("dpkg-query", "")
        self.fake("apt-get", "")
        self.apt_installs()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def fake(self, name: str, body: str) -> None:
        calls, pid = shlex.quote(str(self.calls_file)), shlex.quote(str(self.pid_file))
        note = f"echo $$ >{pid}" if name == "dockerd" else f"printf '%s\\n' \"{name} $*\" >>{calls}"
        (self.bin / name).write_text(f"#!/bin/sh\n{note}\n{body}\n")
        (self.bin / name).chmod(0o755)

    def apt_installs(self) -> None:
        """Make apt-get bring what real packages would: move the fakes that wait in another folder onto PATH."""
        waiting = self.bin.parent / "packages"
        waiting.mkdir()
        self.bin, kept = waiting, self.bin
        for name, body in (("docker", self.docker), ("dockerd", self.dockerd), ("containerd", "")):
            self.fake(name, body)
        self.bin = kept
        self.fake("apt-get", f'case $1 in install) /bin/mv {shlex.quote(str(waiting))}/* "${{0%/*}}/" ;; esac')

    def already_installed(self) -> None:
        for name, body in (("docker", self.docker), ("dockerd", self.dockerd), ("containerd", "")):
            self.fake(name, body)
        self.write("usr/libexec/docker/cli-plugins/docker-buildx", "")

    @property
    def calls(self) -> list[str]:
        """The system commands that were run, without the questions put to docker."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [line for line in lines if not line.startswith(("docker ", "dpkg-query "))]

    def install(self, timeout: float = 20) -> None:
        install.install_engine(self.log.append, root=self.root, timeout=timeout)

    def refusal(self, timeout: float = 20) -> str:
        with pytest.raises(BuildError) as caught:
            self.install(timeout)
        assert caught.value.exit_code == 3
        return str(caught.value)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            pid = int(self.pid_file.read_text())
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


APT_INSTALL = "apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120"

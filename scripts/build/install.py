"""Puts the distribution's Docker engine on a machine that has none, and starts it: a first build needs no manual.

Each step looks first and can be run again after an interruption.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build import apt
from scripts.build.engine import inspect_engine
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

START_TIMEOUT = 60.0
"""Seconds that dockerd may take until it answers."""
PLUGINS = ("usr/libexec/docker/cli-plugins", "usr/lib/docker/cli-plugins", "usr/local/lib/docker/cli-plugins")


def install_engine(log: Callable[[str], None], *, root: Path = Path("/"), timeout: float = START_TIMEOUT) -> None:
    """Install what is missing of Docker, turn the containerd image store on, start dockerd and wait until it answers.

    ``root`` is where the system's files are, ``timeout`` the seconds to wait. Raises ``BuildError`` when not run by
    root, on other systems than Debian and Ubuntu, or with the command that failed and the end of its output.
    """
    if os.geteuid() != 0:
        raise BuildError("there is no Docker engine, and only root can install one: run ./scripts/invoke as root once")
    with _one_at_a_time():
        if not inspect_engine().mendable:  # another process was faster
            return
        if missing := missing_packages(root):
            distribution = apt.load_distribution(root)
            packages = [name for name in distribution.packages if name in missing]
            origin = "Debian trixie (Debian 12's own is too old)" if distribution.pinned else distribution.name
            log(f"installing {', '.join(packages)} from {origin}")
            started = time.monotonic()
            # First, because the packages themselves start the engine where systemd runs.
            enable_containerd_store(root / "etc/docker/daemon.json", log)
            if distribution.pinned:
                apt.pin_trixie(root)
            apt.install_packages([*packages, *companions(root)], root=root)
            log(f"installed in {time.monotonic() - started:.0f} s")
        else:
            enable_containerd_store(root / "etc/docker/daemon.json", log)
        start_engine(log, root=root, timeout=timeout)


def missing_packages(root: Path) -> tuple[str, ...]:
    """Return the packages whose program is not here, whoever it would be from."""
    path = apt.environment()["PATH"]
    programs = {"docker.io": "dockerd", "docker-cli": "docker", "containerd": "containerd"}
    missing = [package for package, program in programs.items() if shutil.which(program, path=path) is None]
    own = Path(os.environ.get("DOCKER_CONFIG") or Path("~/.docker").expanduser()) / "cli-plugins"
    if not any((folder / "docker-buildx").exists() for folder in (own, *(root / name for name in PLUGINS))):
        missing.append("docker-buildx")
    if "docker-cli" in missing and "docker.io" not in missing:
        missing.append("docker.io")  # where the client is part of it (Ubuntu)
    return (*missing, *(name for name in half_installed() if name not in missing))


def half_installed() -> tuple[str, ...]:
    """Return the packages that an interrupted installation left unpacked, with programs that would start already."""
    command = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\\n", *apt.PINNED]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:  # not a Debian
        return ()
    states = dict(line.split() for line in answer.stdout.splitlines())
    return tuple(name for name, state in states.items() if state in {"half-installed", "unpacked", "half-configured"})


def companions(root: Path) -> tuple[str, ...]:
    """Return what docker.io only recommends but pulling and running need here."""
    apparmor = root / "sys/module/apparmor/parameters/enabled"
    confined = apparmor.exists() and apparmor.read_text().startswith("Y")
    return ("ca-certificates", "apparmor") if confined else ("ca-certificates",)


def merge_daemon_json(text: str, where: Path) -> str:
    """Return the text of ``daemon.json`` with the containerd image store turned on and all else kept.

    https://docs.docker.com/engine/storage/containerd/
    """
    try:
        settings = json.loads(text or "{}")
    except ValueError as error:
        raise BuildError(f"{where}: not JSON ({error}): mend it, or remove it") from error
    if not isinstance(settings, dict) or not isinstance(settings.get("features", {}), dict):
        raise BuildError(f'{where}: expected an object such as {{"features": {{"containerd-snapshotter": true}}}}')
    features = settings.get("features", {})
    if features.get("containerd-snapshotter") is False:
        raise BuildError(f"{where}: containerd-snapshotter is turned off, but the images cannot be built without it")
    if features.get("containerd-snapshotter"):
        return text
    return json.dumps(settings | {"features": features | {"containerd-snapshotter": True}}, indent=2) + "\n"


def enable_containerd_store(path: Path, log: Callable[[str], None]) -> None:
    """Turn the containerd image store on in ``daemon.json``, in one step so that no half file is ever read."""
    before = path.read_text() if path.exists() else ""
    after = merge_daemon_json(before, path)
    if after == before:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(after)
    new.chmod(path.stat().st_mode & 0o777 if path.exists() else 0o644)
    new.replace(path)
    log(f"turned on the containerd image store in {path}")


def start_engine(log: Callable[[str], None], *, root: Path, timeout: float) -> None:
    """Start dockerd, by systemd where that runs and in the background otherwise, and wait until it answers."""
    began = time.monotonic()
    child, journal = None, root / "var/log/dockerd.log"
    if (root / "run/systemd/system").exists():
        log("starting docker (systemctl start docker)")
        apt.run(["systemctl", "start", "docker"])
    elif not _drop_stale(root / "run/docker.pid", "dockerd"):
        _drop_stale(root / "run/docker/containerd/containerd.pid", "containerd")
        log(f"starting dockerd in the background (its log: {journal})")
        journal.parent.mkdir(parents=True, exist_ok=True)
        logged = journal.stat().st_size if journal.exists() else 0
        child = _spawn_dockerd(journal)
    while not (version := server_version()):
        ended = child is not None and os.waitpid(child, os.WNOHANG)[0] == child
        if ended or time.monotonic() - began > timeout:
            problem = "dockerd ended" if ended else f"dockerd did not answer within {timeout:g} s"
            if child is None:
                raise BuildError(f"{problem} (journalctl -u docker, or {journal}, says why)")
            with journal.open(errors="replace") as lines:
                lines.seek(logged)
                raise BuildError(f"{problem}; the end of {journal}:\n{apt.tail(lines.read())}")
        time.sleep(0.2)
    log(f"Docker Engine {version} answers after {time.monotonic() - began:.1f} s")


def server_version() -> str:
    """Return the version of the running engine; empty while it does not answer."""
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
        return answer.stdout.strip() if answer.returncode == 0 else ""
    return ""


def _spawn_dockerd(journal: Path) -> int:
    """Return the process id of a dockerd in a session of its own, so that it outlives this process and its terminal."""
    null, out = (os.open(os.devnull, os.O_RDONLY), os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640))
    try:
        return os.posix_spawn(
            "/bin/sh",
            ["sh", "-c", "cd / && exec dockerd"],  # not in the caller's directory, which may go away
            apt.environment(),
            file_actions=[(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, out, 2)],
            setsid=True,
        )
    finally:
        os.close(null)
        os.close(out)


def _drop_stale(pid_file: Path, name: str) -> bool:
    """Tell whether the process of ``pid_file`` runs; if not, remove it: dockerd refuses to start on a reused number."""
    with contextlib.suppress(OSError, ValueError):
        running = Path(f"/proc/{int(pid_file.read_text())}/comm").read_text().strip()
        if running == name:
            return True
    pid_file.unlink(missing_ok=True)
    return False


@contextlib.contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Hold a lock on this very file: two builds started together on a new machine install one engine."""
    with Path(__file__).open() as this:
        fcntl.flock(this, fcntl.LOCK_EX)
        yield

"""Each state an engine can be in, told by a fake ``docker`` that prints what real ones print."""

from __future__ import annotations

import json
import os
import shlex
import time
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build import engine, install
from scripts.build.engine import Lack, free_space, inspect_engine, parse_version, require_engine, require_space
from scripts.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

BUILDX = {"Name": "buildx", "Version": "0.13.1+ds1", "Path": "/usr/libexec/docker/cli-plugins/docker-buildx"}
INFO: dict[str, Any] = {
    "ServerVersion": "26.1.5+dfsg1",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "DockerRootDir": "/var/lib/docker",
    "Architecture": "x86_64",
    "ClientInfo": {"Version": "28.2.2", "Context": "default", "Plugins": [BUILDX]},
}
DOWN: dict[str, Any] = INFO | {"ServerVersion": "", "DriverStatus": None, "DockerRootDir": "", "Architecture": ""}
CANNOT_CONNECT = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
DENIED = (
    "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.45/info": dial unix /var/run/docker.sock: connect: permission denied'
)


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH: no test sees the engine of this machine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    return folder


def put_docker(path: Path, info: object, complaint: str = "", code: int = 0) -> None:
    text = info if isinstance(info, str) else json.dumps(info)
    script = f"#!/bin/sh\nprintf '%s' {shlex.quote(text)}\nprintf '%s' {shlex.quote(complaint)} >&2\nexit {code}\n"
    (path / "docker").write_text(script)
    (path / "docker").chmod(0o755)


def refusal() -> str:
    with pytest.raises(BuildError) as caught:
        require_engine(may_install=False, log=print)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_a_good_engine(path: Path) -> None:
    put_docker(path, INFO)
    found = require_engine(may_install=True, log=pytest.fail)
    assert found == engine.Engine(
        client_version="28.2.2",
        server_version="26.1.5+dfsg1",
        buildx_version="0.13.1+ds1",
        containerd_store=True,
        architecture="x86_64",
        root_dir="/var/lib/docker",
        local=True,
    )


def test_no_client() -> None:
    assert refusal() == (
        "there is no docker command on PATH "
        "(install Docker Engine 26 or newer; as root on Debian or Ubuntu, ./scripts/invoke does it for you)"
    )


@pytest.mark.parametrize(
    ("info", "complaint", "code"),
    [(DOWN, CANNOT_CONNECT, 1), (DOWN | {"ServerErrors": [CANNOT_CONNECT]}, CANNOT_CONNECT, 0)],
    ids=["client 28", "client 26"],
)
def test_not_running(path: Path, info: dict[str, Any], complaint: str, code: int) -> None:
    put_docker(path, info, complaint, code)
    assert refusal() == (
        "the Docker engine is not running "
        "(systemctl start docker; as root on Debian or Ubuntu, ./scripts/invoke does it for you)"
    )


def test_permission_denied(path: Path) -> None:
    put_docker(path, DOWN, DENIED, 1)
    assert refusal() == (
        "you may not use the Docker engine: permission denied "
        "(add yourself to the group: sudo usermod -aG docker $USER, then log in again; or run as root)"
    )


def test_another_host_that_does_not_answer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://build.example:2375")
    complaint = "Cannot connect to the Docker daemon at tcp://build.example:2375. Is the docker daemon running?"
    put_docker(path, DOWN, complaint, 1)
    assert not inspect_engine().mendable
    assert refusal() == (
        f"the Docker engine cannot be reached: {complaint} (check DOCKER_HOST and `docker context ls`)"
    )


def test_a_context_elsewhere_is_not_local(path: Path) -> None:
    put_docker(path, INFO | {"ClientInfo": INFO["ClientInfo"] | {"Context": "farm"}})
    assert not inspect_engine().local


def test_a_context_that_does_not_exist(path: Path) -> None:
    put_docker(path, "", 'Failed to initialize: unable to resolve docker endpoint: context "x": not found', 1)
    assert refusal() == (
        'docker info failed: Failed to initialize: unable to resolve docker endpoint: context "x": not found '
        "(check DOCKER_HOST and `docker context ls`)"
    )


def test_too_old(path: Path) -> None:
    put_docker(path, INFO | {"ServerVersion": "20.10.24+dfsg1"})
    assert refusal() == (
        "Docker Engine 20.10.24+dfsg1 is too old: 26.0 or newer is needed "
        "(upgrade the engine: it brings the BuildKit that writes OCI layouts)"
    )


@pytest.mark.parametrize("plugins", [None, [], [BUILDX | {"Err": "failed to fetch metadata"}]])
def test_no_buildx(path: Path, plugins: list[dict[str, str]] | None) -> None:
    put_docker(path, INFO | {"ClientInfo": {"Version": "26.1.5", "Plugins": plugins}})
    assert refusal() == (
        "docker has no buildx (install docker-buildx (Debian, Ubuntu) or docker-buildx-plugin (Docker's own packages))"
    )


def test_store_off_and_old_buildx_are_told_together(path: Path) -> None:
    client = {"Version": "26.1.5", "Plugins": [BUILDX | {"Version": "v0.12.1"}]}
    put_docker(path, INFO | {"DriverStatus": [["Backing Filesystem", "extfs"]], "ClientInfo": client})
    assert refusal().splitlines() == [
        (
            "buildx v0.12.1 is too old: 0.13 or newer is needed "
            "(upgrade docker-buildx (Debian, Ubuntu) or docker-buildx-plugin (Docker's own packages))"
        ),
        (
            "the engine does not use the containerd image store, without which it cannot write OCI layouts "
            '(put {"features": {"containerd-snapshotter": true}} in /etc/docker/daemon.json, restart docker)'
        ),
    ]


def test_podman(path: Path) -> None:
    put_docker(path, {"host": {}, "store": {}, "version": {"Version": "4.3.1"}})
    assert refusal().startswith("the docker command here is not Docker's (podman answers to the name too) (install ")


def test_an_engine_that_hangs(path: Path) -> None:
    (path / "docker").write_text("#!/bin/sh\nexec /bin/sleep 30\n")
    (path / "docker").chmod(0o755)
    began = time.monotonic()
    (shortfall,) = inspect_engine(timeout=0.2).shortfalls
    assert time.monotonic() - began < 2
    assert (shortfall.lack, shortfall.problem) == (
        Lack.UNREACHABLE,
        "the Docker engine did not answer within 0.2 seconds",
    )


def test_a_command_that_cannot_run(path: Path) -> None:
    (path / "docker").write_text("#!/no/such/interpreter\n")
    (path / "docker").chmod(0o755)
    assert refusal().startswith("the docker command cannot be run: No such file or directory (install ")


@pytest.mark.parametrize(("uid", "may_install"), [(0, True), (0, False), (1000, True)])
def test_installs_only_as_root_and_when_allowed(
    path: Path, monkeypatch: pytest.MonkeyPatch, uid: int, *, may_install: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.setattr(install, "install_engine", lambda _log: put_docker(path, INFO))
    if uid == 0 and may_install:
        assert require_engine(may_install=may_install, log=print).server_version == "26.1.5+dfsg1"
    else:
        with pytest.raises(BuildError, match="there is no docker command on PATH"):
            require_engine(may_install=may_install, log=print)


def test_an_unfit_engine_is_left_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(install, "install_engine", lambda _log: pytest.fail("somebody else's engine"))
    put_docker(path, INFO | {"ServerVersion": "25.0.3"})
    with pytest.raises(BuildError, match=r"^Docker Engine 25\.0\.3 is too old"):
        require_engine(may_install=True, log=print)


@pytest.mark.parametrize(
    ("text", "version"), [("26.1.5+dfsg1", (26, 1, 5)), ("v0.13.1", (0, 13, 1)), ("29.0.0-rc.1", (29, 0, 0)), ("x", ())]
)
def test_parse_version(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out" / "not yet"
    assert free_space(folder) > 0
    monkeypatch.setattr(engine, "free_space", lambda _path: 3_100_000_000)
    require_space(folder, 3_100_000_000, "python:3.11")
    with pytest.raises(BuildError) as caught:
        require_space(folder, 12_000_000_000, "python:3.11")
    assert str(caught.value) == (
        f"no space for the build: python:3.11 needs about 12.0 GB in {folder}, 3.1 GB free "
        "(docker builder prune, docker image prune, or move out/ to another disk)"
    )

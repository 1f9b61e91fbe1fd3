"""ssh into a workspace: keys only, and host keys that are the container's own; users and volumes of all kinds."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest
import requests

from tests.integration.containers import Container, Finished, run, running
from tests.integration.workspaces import (
    HEADERS,
    ODD,
    TOKEN,
    evaluate,
    host_keys,
    public,
    ssh,
    workspace,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


def test_logs_in_with_the_key(shared: tuple[Container, str], key: Path) -> None:
    script = "import os, sys, json; print(json.dumps([sys.executable, dict(os.environ)]))"
    done = ssh(shared[0], key, f'python -c "{script}"')
    assert done.returncode == 0, done.stderr
    python, environment = json.loads(done.stdout)
    assert python == "/opt/venv/bin/python"
    assert (environment["ODD"], environment["CUDA_VISIBLE_DEVICES"]) == (ODD, "0,1")
    assert environment["PATH"].startswith("/opt/venv/bin:")
    assert not {"TWO_LINES", "VESSL_TOKEN", "JUPYTER_TOKEN", "VESSL_SSH_PUBLIC_KEY"} & environment.keys()
    assert "workspace: 'TWO_LINES' is not set in ssh sessions: " in shared[0].log


def test_login_shell_has_the_path(shared: tuple[Container, str], key: Path) -> None:
    done = ssh(shared[0], key, "-tt", "bash -lic 'type -P python; echo $0; printf %s \"$CUDA_VISIBLE_DEVICES\"'")
    assert done.stdout.replace("\r", "") == "/opt/venv/bin/python\nbash\n0,1"


def test_password_login_is_refused(shared: tuple[Container, str], key: Path) -> None:
    done = ssh(shared[0], key, "true", PubkeyAuthentication="no")
    assert (done.returncode, done.stderr) == (255, "root@127.0.0.1: Permission denied (publickey).\n")


def test_another_key_is_refused(shared: tuple[Container, str], tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    assert ssh(shared[0], tmp_path / "other", "true").returncode == 255


def test_each_container_has_host_keys_of_its_own_and_keeps_them(
    image: str, shared: tuple[Container, str], key: Path
) -> None:
    with running(image, environment={"VESSL_TOKEN": TOKEN, "VESSL_SSH_PUBLIC_KEY": public(key)}, ports=[22]) as other:
        keys = host_keys(other)
        assert not keys & host_keys(shared[0])
        other.engine.restart(timeout=5)
        assert host_keys(other) == keys


def test_host_keys_of_a_folder_outlive_the_container(image: str, key: Path, tmp_path: Path) -> None:
    environment = {"VESSL_SSH_PUBLIC_KEY": public(key), "VESSL_SSH_HOST_KEY_DIR": "/keys", "VESSL_TOKEN": TOKEN}
    seen = []
    for _ in range(2):
        with running(image, environment=environment, ports=[22], volumes=[f"{tmp_path}:/keys"]) as container:
            seen.append(host_keys(container))
    assert seen[0] == seen[1]


def test_no_host_key_in_the_image_and_no_sshd_without_a_public_key(image: str) -> None:
    assert run(image, "bash", "-c", "shopt -s nullglob; echo /etc/ssh/ssh_host_* ~/.ssh/*").stdout == "\n"
    with workspace(image) as (container, _):
        assert "; ssh off\n" in container.log
        assert "sshd" not in container.read("sh", "-c", "cat /proc/[0-9]*/comm")


def test_refuses_a_broken_public_key(image: str) -> None:
    environment = {"VESSL_TOKEN": TOKEN, "VESSL_SSH_PUBLIC_KEY": "# ann\nssh-ed25519 AAAAC3Nza ann"}
    assert run(image, environment=environment) == Finished(
        2,
        "",
        "workspace: VESSL_SSH_PUBLIC_KEY: line 2 is not a public key: it begins with ssh-ed25519, "
        "but what follows is not such a key (cut off?)\n",
    )


def test_starts_sshd_again(image: str, key: Path) -> None:
    with workspace(image, environment={"VESSL_SSH_PUBLIC_KEY": public(key)}) as (container, _):
        container.wait_for_port(22)
        container.read("bash", "-c", "kill -9 $(grep -lx sshd /proc/[0-9]*/comm | cut -d/ -f3)")
        assert ssh(container, key, "true").returncode == 0
        assert "workspace: sshd ended with code -9: starting it again\n" in container.log


# Users, volumes


def test_works_for_a_user_without_a_name(image: str, key: Path) -> None:
    environment = {"VESSL_SSH_PUBLIC_KEY": public(key)}
    with workspace(image, user="1000:100", environment=environment) as (container, address):
        who = evaluate(address, "import getpass, os; (os.getuid(), os.getgid(), getpass.getuser(), os.environ['HOME'])")
        assert who == "(1000, 100, 'workspace', '/tmp/home-1000')"
        done = ssh(container, key, "id -un; id -u; type -P python; pwd", user="workspace", port=2222)
        assert (done.stdout, done.stderr) == ("workspace\n1000\n/opt/venv/bin/python\n/tmp/home-1000\n", "")
        # ssh, so git over ssh, refuses to run for a user without a name
        code = "import subprocess; subprocess.run(['ssh', '-G', 'host'], stdout=subprocess.DEVNULL).returncode"
        assert evaluate(address, code) == "0"
        done = ssh(container, key, "-s", "sftp", user="workspace", port=2222)
        assert done.returncode == 0, done.stderr


def test_works_with_a_read_only_root(image: str, key: Path) -> None:
    tmpfs = {"/tmp": "", "/run": "", "/root": ""}  # inside the container
    environment = {"VESSL_SSH_PUBLIC_KEY": public(key)}
    with workspace(image, read_only=True, tmpfs=tmpfs, environment=environment) as (container, address):
        assert evaluate(address, "6 * 7") == "42"
        assert ssh(container, key, "true").returncode == 0


def test_works_with_volumes(image: str, key: Path, tmp_path: Path) -> None:
    """An empty volume over the home directory, which everyone may write to, and one that nobody may."""
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    home.chmod(0o777)
    data.mkdir()
    ssh_dir = home / ".ssh"
    volumes = [f"{home}:/root", f"{data}:/data:ro"]
    with workspace(image, volumes=volumes, environment={"VESSL_SSH_PUBLIC_KEY": public(key)}) as (container, address):
        body = {"type": "file", "format": "text", "content": "hello"}
        url = f"{address}api/contents/a.txt"
        assert requests.put(url, headers=HEADERS, json=body, timeout=10).status_code == 201
        assert (home / "a.txt").read_text(encoding="utf-8") == "hello"
        assert ssh(container, key, "cat a.txt").stdout == "hello"
    ssh_dir.mkdir(exist_ok=True)
    (ssh_dir / "authorized_keys").write_text(public(key), encoding="utf-8")
    with workspace(image, volumes=volumes, working_dir="/data") as (container, address):
        assert "workspace: /data cannot be written to: notebooks in it cannot be saved\n" in container.log
        assert ssh(container, key, "cat a.txt").stdout == "hello"

"""ssh into a workspace: keys only, host keys of the container's own, and the image's environment in the session."""

from __future__ import annotations

import json
import shlex
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.containers import running
from tests.workspaces import HEADERS, ODD, TOKEN, host_keys, make_key, public, ssh

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.smoke.plugin import Claim
    from tests.containers import Container

    Shared = tuple[Container, str]

SECRETS = {"VESSL_TOKEN", "JUPYTER_TOKEN", "VESSL_SSH_PUBLIC_KEY"}
PASSWORD = "pass-word-of-the-test"  # noqa: S105 - of a container that lives for seconds


def test_key_lets_in(shared: Shared, key: Path, claim: Claim) -> None:
    done = ssh(shared[0], key, "id -un")
    claim(done.stdout.strip() or done.stderr.strip(), "root")


@pytest.mark.parametrize("shell", [pytest.param(False, id="command"), pytest.param(True, id="login-shell")])
def test_environment(shared: Shared, key: Path, inspected: Mapping[str, Any], claim: Claim, *, shell: bool) -> None:
    """Every variable of the image and of the container is there, and no secret."""
    code = "import os, json; print(json.dumps(dict(os.environ)))"
    command = f'python -c "{code}"'
    done = ssh(shared[0], key, f"bash -lc {shlex.quote(command)}" if shell else command)
    if done.returncode:
        claim(done.stderr.strip().rpartition("\n")[2], "as in the image")
    environment = json.loads(done.stdout)
    wanted = dict(item.partition("=")[::2] for item in inspected["Config"]["Env"]) | {"ODD": ODD}
    wrong = [f"{name}={environment.get(name)}" for name, value in wanted.items() if environment.get(name) != value]
    wrong += [f"{name} is there" for name in sorted(SECRETS & environment.keys())]
    claim("; ".join(wrong) or "as in the image", "as in the image")


def test_password_is_refused(shared: Shared, key: Path, tmp_path: Path, claim: Claim) -> None:
    """Also where root has one."""
    shared[0].read("sh", "-c", f"echo root:{PASSWORD} | chpasswd")
    ask = tmp_path / "ask"
    ask.write_text(f"#!/bin/sh\necho {PASSWORD}\n")
    ask.chmod(0o700)
    asking = {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
    done = ssh(
        shared[0],
        key,
        "true",
        environment=asking,
        PubkeyAuthentication="no",
        BatchMode="no",
        NumberOfPasswordPrompts="1",
    )
    measured = "let in" if done.returncode == 0 else done.stderr.strip().rpartition(": ")[2]
    claim(measured, "Permission denied (publickey).")


def test_another_key_is_refused(shared: Shared, tmp_path: Path, claim: Claim) -> None:
    done = ssh(shared[0], make_key(tmp_path / "other"), "true")
    claim("let in" if done.returncode == 0 else "refused", "refused")


def test_host_keys_are_its_own_and_survive_a_restart(image: str, shared: Shared, key: Path, claim: Claim) -> None:
    environment = {"VESSL_TOKEN": TOKEN, "VESSL_SSH_PUBLIC_KEY": public(key)}
    with running(image, environment=environment, ports=[22]) as other:
        keys = host_keys(other)
        common = len(keys & host_keys(shared[0]))
        other.engine.restart(timeout=5)
        again = "the same" if host_keys(other) == keys else "others"
    claim(f"{common} in common, {again} after a restart", "0 in common, the same after a restart")


def test_starts_again(image: str, key: Path, claim: Claim) -> None:
    """An sshd that was killed (by a user's pkill, or for want of memory) comes back; JupyterLab does not mind."""
    environment = {"VESSL_TOKEN": TOKEN, "VESSL_SSH_PUBLIC_KEY": public(key)}
    with running(image, environment=environment, ports=[22, 8888]) as container:
        container.wait_for_port(22)
        container.read("bash", "-c", "kill -9 $(grep -lx sshd /proc/[0-9]*/comm | cut -d/ -f3)")
        try:
            container.wait_until("end of the old sshd", lambda: "sshd ended with code -9" in container.log, 5)
            done = ssh(container, key, "echo back")
            measured = done.stdout.strip() or done.stderr.strip()
            container.wait_for_http("/api/status", 8888, HEADERS)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            measured = str(error).partition("\n")[0]
    claim(measured, "back")


def test_zombies_are_reaped(shared: Shared, key: Path, claim: Claim) -> None:
    """What a session leaves running in the background has no parent any more when it ends."""
    ssh(shared[0], key, "(sleep 0.1 &) ; true")
    count = "cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z ' || true"
    try:
        shared[0].wait_until("end of the zombies", lambda: shared[0].read("sh", "-c", count) == "0\n", 5)
    except AssertionError:
        claim(f"{shared[0].read('sh', '-c', count).strip()} zombies", "none")
    claim("none", "none")

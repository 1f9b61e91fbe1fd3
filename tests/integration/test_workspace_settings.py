"""The variables of a workspace that its smoke tests do not need: what they do is our scripts', whatever the image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.containers import Finished, run, running
from tests.workspaces import TOKEN, evaluate, host_keys, make_key, public, ssh, workspace

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


@pytest.fixture(scope="session")
def image(cpu: dict[str, Any]) -> str:
    return str(cpu["reference"])


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("ssh") / "key")


def test_reads_the_token_and_the_key_from_files(image: str, key: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    (tmp_path / "keys").write_text(f"# mine\n\n{public(key)}", encoding="utf-8")
    environment = {"VESSL_TOKEN": " ", "VESSL_TOKEN_FILE": "/in/token", "VESSL_SSH_PUBLIC_KEY_FILE": "/in/keys"}
    with workspace(image, environment=environment, volumes=[f"{tmp_path}:/in:ro"]) as (container, address):
        assert evaluate(address, "import os; [n for n in os.environ if n.endswith('_FILE')]") == "[]"
        assert ssh(container, key, "true").returncode == 0


def test_explains_its_variables(image: str) -> None:
    for argv in (["start-workspace", "--help"], ["--help"]):
        done = run(image, *argv)
        assert (done.code, done.stderr) == (0, "")
        assert "VESSL_SSH_HOST_KEY_DIR" in done.stdout


def test_refuses_a_broken_public_key(image: str) -> None:
    environment = {"VESSL_TOKEN": TOKEN, "VESSL_SSH_PUBLIC_KEY": "# ann\nssh-ed25519 AAAAC3Nza ann"}
    assert run(image, environment=environment) == Finished(
        2,
        "",
        "workspace: VESSL_SSH_PUBLIC_KEY: line 2 is not a public key: it begins with ssh-ed25519, "
        "but what follows is not such a key (cut off?)\n",
    )


def test_host_keys_of_a_folder_outlive_the_container(image: str, key: Path, tmp_path: Path) -> None:
    environment = {"VESSL_SSH_PUBLIC_KEY": public(key), "VESSL_SSH_HOST_KEY_DIR": "/keys", "VESSL_TOKEN": TOKEN}
    seen = []
    for _ in range(2):
        with running(image, environment=environment, ports=[22], volumes=[f"{tmp_path}:/keys"]) as container:
            seen.append(host_keys(container))
    assert seen[0] == seen[1]


def test_keys_of_the_home_directory_let_in(image: str, key: Path, tmp_path: Path) -> None:
    """As on a volume that was used with another image; everyone may write to it, which sshd would else refuse."""
    tmp_path.chmod(0o777)
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh" / "authorized_keys").write_text(public(key), encoding="utf-8")
    with workspace(image, volumes=[f"{tmp_path}:/root"]) as (container, _):
        assert ssh(container, key, "echo in").stdout == "in\n"


def test_says_which_variables_ssh_sessions_cannot_have(image: str, key: Path) -> None:
    environment = {"TWO_LINES": "a\nSetEnv", "VESSL_SSH_PUBLIC_KEY": public(key)}
    with workspace(image, environment=environment) as (container, _):
        assert "workspace: 'TWO_LINES' is not set in ssh sessions: " in container.log


def test_a_line_of_a_shell_runs(image: str) -> None:
    assert run(image, "bash", "-lc", "type -P python && exit 3") == Finished(3, "/opt/venv/bin/python\n", "")


def test_git_over_ssh_works_for_a_user_without_a_name(image: str) -> None:
    """Ssh refuses to run for one that /etc/passwd does not know."""
    with workspace(image, user="1000:100") as (_, address):
        code = "import subprocess; subprocess.run(['ssh', '-G', 'host'], stdout=subprocess.DEVNULL).returncode"
        assert evaluate(address, code) == "0"

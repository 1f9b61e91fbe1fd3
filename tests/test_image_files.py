"""The files that go into every image, as far as they can be run without one."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.recipe.dockerfile import load_dockerfile

if TYPE_CHECKING:
    from types import ModuleType

FILES = Path(__file__).parents[1] / "scripts" / "image"
PROGRAMS = ["entrypoint", "start-workspace", "prepare-sshd", "start-jupyter-lab"]


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(FILES / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


@pytest.fixture
def start_workspace(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("start-workspace", monkeypatch)


@pytest.fixture
def prepare_sshd(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    return load("prepare-sshd", monkeypatch)


@pytest.fixture
def stubs(tmp_path: Path) -> Path:
    """A folder with a start-workspace that shows its arguments."""
    stub = tmp_path / "bin" / "start-workspace"
    stub.parent.mkdir()
    stub.write_text('#!/bin/sh\necho "workspace:$#:$*"\n', encoding="utf-8")
    stub.chmod(0o755)
    return stub.parent


def entrypoint(stubs: Path, *argv: str) -> tuple[int, str, str]:
    environment = {"PATH": f"{stubs}:{os.environ['PATH']}", "HOME": str(stubs)}
    done = subprocess.run(
        ["bash", FILES / "entrypoint", *argv], capture_output=True, text=True, check=False, env=environment, cwd=stubs
    )
    return done.returncode, done.stdout, done.stderr


def refusal(name: str, **environment: str) -> str:
    """The one line on standard error of a program that refuses."""
    home = {"HOME": str(FILES), "PATH": os.environ["PATH"], "VESSL_TOKEN": "secret"}
    done = subprocess.run(
        [sys.executable, "-I", FILES / name], capture_output=True, text=True, check=False, env=home | environment
    )
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_can_be_run_and_have_unix_line_ends(name: str) -> None:
    assert os.access(FILES / name, os.X_OK)
    assert b"\r" not in (FILES / name).read_bytes()


@pytest.mark.parametrize("family", ["cpu", "cuda", "deprecated-ngc"])
def test_every_image_has_every_program(family: str) -> None:
    stage = load_dockerfile(FILES.parents[1] / family / "Dockerfile").stage("files")
    assert stage
    assert {f"scripts/image/{name}" for name in PROGRAMS} <= set(stage.context_paths)


def test_entrypoint_is_a_clean_shell_script() -> None:
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert shellcheck, "shellcheck is part of the maintainers' environment (requirements.in)"
    done = subprocess.run([shellcheck, FILES / "entrypoint"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ([], "workspace:0:\n"),
        (["start-workspace"], "workspace:0:\n"),
        (["--help"], "workspace:1:--help\n"),
        (["echo", "-n", "a  b"], "a  b"),
    ],
)
def test_entrypoint_starts_the_command_or_the_workspace(stubs: Path, argv: list[str], shown: str) -> None:
    assert entrypoint(stubs, *argv) == (0, shown, "")


def test_entrypoint_replaces_itself(stubs: Path) -> None:
    process = subprocess.Popen(
        ["bash", FILES / "entrypoint", "sh", "-c", "echo $$; exit 7"],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"], "HOME": str(stubs)},
    )
    assert process.communicate()[0] == f"{process.pid}\n"
    assert process.returncode == 7


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        (["nosuch"], 127, "entrypoint: no such command: nosuch\n"),
        ([""], 127, "entrypoint: no such command: \n"),
        (
            ["nosuch --flag"],
            127,
            (
                "entrypoint: no such command: nosuch --flag\n"
                "entrypoint: the arguments are one command, not a shell line; for that use: bash -c '...'\n"
            ),
        ),
    ],
)
def test_entrypoint_names_what_it_cannot_run(stubs: Path, argv: list[str], code: int, message: str) -> None:
    assert entrypoint(stubs, *argv) == (code, "", message)


@pytest.mark.parametrize(
    ("given", "prefix"),
    [
        ("", "/"),
        ("/", "/"),
        ("lab", "/lab/"),
        ("/user/ann@example.org/lab_1/", "/user/ann@example.org/lab_1/"),
        ("//a//b", None),
        ("https://host.example:8443/a/b", "/a/b/"),
        ("http://host.example", "/"),
        (" /a ", "/a/"),
    ],
)
def test_base_url(start_workspace: ModuleType, monkeypatch: pytest.MonkeyPatch, given: str, prefix: str | None) -> None:
    monkeypatch.setenv("VESSL_BASE_URL", given)
    if prefix is None:
        with pytest.raises(SystemExit):
            start_workspace.read_base_url()
    else:
        assert start_workspace.read_base_url() == prefix


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"VESSL_TOKEN_FILE": "/nosuch", "VESSL_TOKEN": ""},
            "VESSL_TOKEN_FILE=/nosuch cannot be read: No such file or directory",
        ),
        (
            {"VESSL_TOKEN_FILE": "/dev/null", "VESSL_TOKEN": ""},
            "VESSL_TOKEN_FILE=/dev/null is empty: write the token of JupyterLab into it",
        ),
        (
            {"VESSL_BASE_URL": "/a(b)/"},
            "VESSL_BASE_URL=/a(b)/: 'a(b)' may only hold letters, digits and -._~@: and not be . or ..",
        ),
        (
            {"VESSL_BASE_URL": "/a/../b"},
            "VESSL_BASE_URL=/a/../b: '..' may only hold letters, digits and -._~@: and not be . or ..",
        ),
        (
            {"VESSL_BASE_URL": "/a?b=c"},
            "VESSL_BASE_URL=/a?b=c: expected a path such as /user/ann/lab, or an http(s) address with one",
        ),
        ({"JUPYTER_PORT": "http"}, "JUPYTER_PORT=http: expected a port from 1 to 65535"),
        ({"JUPYTER_PORT": "65536"}, "JUPYTER_PORT=65536: expected a port from 1 to 65535"),
        (
            {"VESSL_ALLOW_ORIGIN_PAT": "("},
            "VESSL_ALLOW_ORIGIN_PAT=(: not a regular expression: missing ), unterminated subpattern at position 0",
        ),
        (
            {"VESSL_WORKSPACE_DIR": "/dev/null"},
            "/dev/null cannot be used as the folder of JupyterLab: File exists (set VESSL_WORKSPACE_DIR)",
        ),
    ],
)
def test_start_workspace_refuses_wrong_settings(environment: dict[str, str], message: str) -> None:
    assert refusal("start-workspace", **environment) == f"workspace: {message}\n"


def test_help_names_every_variable(start_workspace: ModuleType) -> None:
    source = "".join((FILES / name).read_text(encoding="utf-8") for name in PROGRAMS[1:])
    used = {word for word in source.replace('"', " ").split() if word.startswith(("VESSL_", "JUPYTER_PORT"))}
    names = {word for word in used if word.replace("_", "").isalpha() and word.isupper()}
    assert {name for name in names if name not in str(start_workspace.__doc__)} == set()
    assert "VESSL_TOKEN" in names


def test_both_programs_agree_on_what_is_secret(start_workspace: ModuleType, prepare_sshd: ModuleType) -> None:
    assert all(prepare_sshd.SECRETS.fullmatch(name) for name in start_workspace.SECRETS)


def test_environment_of_ssh_sessions(prepare_sshd: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    given = {
        "A": 'x "y" \\z # $(id)',
        "EMPTY": "",
        "TAB": "a\tb",
        "LINE": "a\nPermitRootLogin yes",
        "a b": "no name",
        "VESSL_TOKEN": "secret",
        "SHLVL": "1",
    }
    assert prepare_sshd.render_environment(given) == 'SetEnv "A=x \\"y\\" \\\\z # $(id)" "EMPTY=" "TAB=a\tb"'
    why = "is not set in ssh sessions: line breaks and other control characters cannot be passed on"
    assert capsys.readouterr().err == f"workspace: 'LINE' {why}\nworkspace: 'a b' {why}\n"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "is a private key: give the public one (the file that ends in .pub), and replace this pair",
        ),
        ("hunter2", "is not a public key: expected a line such as 'ssh-ed25519 AAAA... name'"),
        (
            "ssh-rsa AAAAB3NzaC1yc2E ann",
            "is not a public key: it begins with ssh-rsa, but what follows is not such a key (cut off?)",
        ),
    ],
)
def test_faults_of_public_keys(prepare_sshd: ModuleType, line: str, fault: str) -> None:
    assert prepare_sshd.fault_of(line) == fault


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_public_keys_are_taken(prepare_sshd: ModuleType, tmp_path: Path, kind: str) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "a comment", "-f", tmp_path / "k"], check=True)
    line = (tmp_path / "k.pub").read_text(encoding="utf-8").strip()
    assert prepare_sshd.fault_of(line) == ""
    assert prepare_sshd.fault_of(f'from="10.0.0.0/8,::1",no-pty {line}') == ""

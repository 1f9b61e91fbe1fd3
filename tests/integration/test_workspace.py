"""What an image does when it is started: the given command, or JupyterLab and sshd."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
import requests
import websocket

from tests.integration.containers import Container, Finished, run, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

TOKEN = "t0ken-of-the-test"  # noqa: S105  # of containers that live for seconds
HEADERS = {"Authorization": f"token {TOKEN}"}
REFUSAL = (
    "workspace: JupyterLab needs a token: set VESSL_TOKEN or VESSL_TOKEN_FILE "
    "(VESSL_ALLOW_NO_TOKEN=1 starts it without one, open to everyone who can reach the port)\n"
)
ODD = "a \"b\" 'c' \\d $HOME `id` # é\t;"
ENVIRONMENT = {"VESSL_TOKEN": TOKEN, "ODD": ODD, "TWO_LINES": "a\nSetEnv", "CUDA_VISIBLE_DEVICES": "0,1"}


@pytest.fixture(scope="session")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    assert shutil.which("ssh"), "these tests need an ssh client: install openssh-client"
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text(encoding="utf-8")


@contextmanager
def workspace(image: str, base_url: str = "/", **options: Any) -> Iterator[tuple[Container, str]]:
    """A workspace that answers, with its address."""
    environment = {"VESSL_TOKEN": TOKEN, **options.pop("environment", {})}
    with running(image, environment=environment, ports=(8888, 22, 2222), **options) as container:
        address = container.wait_for_http(f"{base_url}api/status", 8888, HEADERS)
        yield container, address + base_url


@pytest.fixture(scope="module")
def shared(image: str, key: Path) -> Iterator[tuple[Container, str]]:
    """One workspace with ssh for all tests that only look."""
    with workspace(image, environment={**ENVIRONMENT, "VESSL_SSH_PUBLIC_KEY": public(key)}) as (container, address):
        container.wait_for_port(22)
        yield container, address


def ssh(
    container: Container, key: Path, *command: str, user: str = "root", port: int = 22, **options: str
) -> subprocess.CompletedProcess[str]:
    known = {"StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "BatchMode": "yes", "LogLevel": "ERROR"}
    settings = [f"-o{name}={value}" for name, value in (known | {"IdentitiesOnly": "yes"} | options).items()]
    where = ["-F", "/dev/null", "-i", str(key), "-p", str(container.wait_for_port(port)), f"{user}@127.0.0.1"]
    return subprocess.run(
        ["ssh", *settings, *where, *command],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def host_keys(container: Container) -> set[str]:
    scan = ["ssh-keyscan", "-p", str(container.wait_for_port(22)), "127.0.0.1"]
    lines = subprocess.run(scan, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    keys = {" ".join(line.split()[1:]) for line in lines if not line.startswith("#")}
    assert keys
    return keys


def start_kernel(address: str) -> str:
    kernel: str = requests.post(f"{address}api/kernels", headers=HEADERS, json={}, timeout=20).json()["id"]
    return kernel


@contextmanager
def kernel_channel(address: str, kernel: str) -> Iterator[websocket.WebSocket]:
    url = address.replace("http://", "ws://") + f"api/kernels/{kernel}/channels"
    channel = websocket.create_connection(url, header=HEADERS, timeout=20)
    try:
        yield channel
    finally:
        channel.close()


def ask(channel: websocket.WebSocket, code: str) -> str:
    """Have a cell run, return the id of the request."""
    identity = uuid.uuid4().hex
    header = {
        "msg_id": identity,
        "msg_type": "execute_request",
        "session": "test",
        "username": "test",
        "version": "5.3",
    }
    content = {"code": code, "silent": False, "store_history": False, "user_expressions": {}, "allow_stdin": False}
    message = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content}
    channel.send(json.dumps(message))
    return identity


def messages(channel: websocket.WebSocket, identity: str) -> Iterator[dict[str, Any]]:
    while True:
        message: dict[str, Any] = json.loads(channel.recv())
        if message["parent_header"].get("msg_id") == identity:
            yield message


def evaluate(address: str, code: str) -> str:
    """Run a cell in a new kernel, return its result as the notebook would show it."""
    with kernel_channel(address, start_kernel(address)) as channel:
        for message in messages(channel, ask(channel, code)):
            assert message["msg_type"] != "error", message["content"]
            if message["msg_type"] == "execute_result":
                text: str = message["content"]["data"]["text/plain"]
                return text
    raise AssertionError("the channel ended without a result")


@contextmanager
def terminal(address: str) -> Iterator[websocket.WebSocket]:
    name = requests.post(f"{address}api/terminals", headers=HEADERS, timeout=20).json()["name"]
    url = address.replace("http://", "ws://") + f"terminals/websocket/{name}"
    socket = websocket.create_connection(url, header=HEADERS, timeout=20)
    try:
        yield socket
    finally:
        socket.close()


# A command of one's own


def test_runs_the_command(image: str) -> None:
    done = run(image, "python", "--version")
    assert (done.code, done.stdout[:7], done.stderr) == (0, "Python ", "")


def test_keeps_the_exit_code(image: str) -> None:
    assert run(image, "python", "-c", "raise SystemExit(7)") == Finished(7, "", "")


def test_keeps_arguments_as_they_are(image: str) -> None:
    odd = "a  'b' \"c\" $HOME *"
    assert run(image, "python", "-c", "import sys; print(sys.argv[1:])", odd, "").stdout == f"{[odd, '']}\n"


def test_runs_a_shell_line(image: str) -> None:
    assert run(image, "bash", "-lc", "type -P python && exit 3") == Finished(3, "/opt/venv/bin/python\n", "")


def test_names_a_command_that_does_not_exist(image: str) -> None:
    assert run(image, "python train.py") == Finished(
        127,
        "",
        "entrypoint: no such command: python train.py\n"
        "entrypoint: the arguments are one command, not a shell line; for that use: bash -c '...'\n",
    )


def test_tini_is_process_1_and_the_command_its_child(image: str) -> None:
    code = "import os; print(open('/proc/1/comm').read().strip(), os.getppid(), len(os.listdir('/proc/1/task')))"
    assert run(image, "python", "-c", code).stdout == "tini 1 1\n"


@pytest.mark.parametrize("shell", [False, True], ids=["command", "shell-line"])
def test_signals_reach_the_command_and_nothing_else(image: str, *, shell: bool) -> None:
    """Data loaders that got the signal too would die while the command still saves its state."""
    code = (
        "import signal, subprocess, time; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
        "loader = subprocess.Popen(['sleep', '60'], preexec_fn=lambda: "
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])); "
        "print('ready', flush=True); signal.sigwait([signal.SIGTERM]); time.sleep(0.3); print(loader.poll()); exit(5)"
    )
    argv = ["bash", "-c", f'python -c "{code}"'] if shell else ["python", "-c", code]
    with running(image, *argv) as container:
        container.wait_until("the command is ready", lambda: "ready" in container.log)
        container.engine.kill("SIGTERM")
        assert container.finish(5) == Finished(5, "ready\nNone\n", "")


# JupyterLab


def test_answers_with_the_token(shared: tuple[Container, str]) -> None:
    address = shared[1]
    assert requests.get(f"{address}lab", headers=HEADERS, timeout=10).status_code == 200
    assert requests.get(f"{address}api/status?token={TOKEN}", timeout=10).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "token wrong"}, {"Authorization": "token "}])
def test_does_not_answer_without_the_token(shared: tuple[Container, str], headers: dict[str, str]) -> None:
    assert requests.get(f"{shared[1]}api/status", headers=headers, timeout=10).status_code == 403


@contextmanager
def browser(address: str) -> Iterator[requests.Session]:
    """A browser that is logged in, so sends a cookie wherever the page is from (who has the token may use it anyway)."""
    with requests.Session() as session:
        assert session.get(f"{address}lab?token={TOKEN}", timeout=10).status_code == 200
        yield session


def lets_in(session: requests.Session, address: str, origin: str) -> bool:
    """Whether the browser would show the answer to a page of that origin (jupyter_server says 404 to others)."""
    answer = session.get(f"{address}api/status", headers={"Origin": origin}, timeout=10)
    allowed = answer.headers.get("Access-Control-Allow-Origin") in (origin, "*")
    assert answer.status_code == (200 if allowed else 404)
    return allowed


def test_other_sites_may_not_use_it(shared: tuple[Container, str]) -> None:
    with browser(shared[1]) as session:
        assert not lets_in(session, shared[1], "https://evil.example")
        cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
    with terminal(shared[1]):
        url = shared[1].replace("http://", "ws://") + "terminals/websocket/1"
        with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
            websocket.create_connection(url, cookie=cookie, origin="https://evil.example", timeout=10)
        websocket.create_connection(url, cookie=cookie, origin=shared[1].rstrip("/"), timeout=10).close()


def test_runs_a_cell(shared: tuple[Container, str]) -> None:
    code = "import os, sys; (6 * 7, sys.executable, os.environ['ODD'], [n for n in os.environ if 'TOKEN' in n or 'KEY' in n])"
    assert evaluate(shared[1], code) == repr((42, "/opt/venv/bin/python", ODD, []))


def test_opens_a_terminal_with_bash_and_the_path(shared: tuple[Container, str]) -> None:
    with terminal(shared[1]) as socket:
        line = 'echo "=$((40+2)):${BASH_VERSION:+bash}:$(type -P python):${VESSL_TOKEN-}${JUPYTER_TOKEN-}="'
        socket.send(json.dumps(["stdin", line + "\r"]))
        seen = ""
        while "=42:bash:/opt/venv/bin/python:=" not in seen:
            kind, *content = json.loads(socket.recv())
            seen += content[0] if kind == "stdout" else ""


def test_no_command_line_and_no_log_shows_the_token(shared: tuple[Container, str]) -> None:
    container = shared[0]
    assert TOKEN not in container.read("sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null; true")
    assert TOKEN not in container.log


def test_leaves_no_zombies(shared: tuple[Container, str], key: Path) -> None:
    assert ssh(shared[0], key, "(sleep 0.1 &) ; true").returncode == 0
    count = "cat /proc/[0-9]*/stat 2>/dev/null | grep -c ') Z ' || true"
    shared[0].wait_until("end of the zombies", lambda: shared[0].read("sh", "-c", count) == "0\n", 5)


def test_answers_under_the_base_url(image: str) -> None:
    friends = r"https://.*\.friend\.example"
    environment = {"VESSL_BASE_URL": "https://lab.example/user/ann", "VESSL_ALLOW_ORIGIN_PAT": friends}
    with workspace(image, "/user/ann/", environment=environment) as (_, address), browser(address) as session:
        assert lets_in(session, address, "https://a.friend.example")
        assert not lets_in(session, address, "https://a.friend.example.evil.example")


def test_reads_the_token_and_the_key_from_files(image: str, key: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n", encoding="utf-8")
    (tmp_path / "keys").write_text(f"# mine\n\n{public(key)}", encoding="utf-8")
    environment = {"VESSL_TOKEN": " ", "VESSL_TOKEN_FILE": "/in/token", "VESSL_SSH_PUBLIC_KEY_FILE": "/in/keys"}
    with workspace(image, environment=environment, volumes=[f"{tmp_path}:/in:ro"]) as (container, address):
        assert evaluate(address, "import os; [n for n in os.environ if n.endswith('_FILE')]") == "[]"
        assert ssh(container, key, "true").returncode == 0


@pytest.mark.parametrize("environment", [{}, {"VESSL_TOKEN": ""}, {"VESSL_TOKEN": " \n"}])
def test_refuses_to_start_without_a_token(image: str, environment: dict[str, str]) -> None:
    assert run(image, environment=environment) == Finished(2, "", REFUSAL)


def test_starts_without_a_token_if_told_to(image: str) -> None:
    environment = {"VESSL_TOKEN": "", "VESSL_ALLOW_NO_TOKEN": "1"}
    with running(image, environment=environment, ports=[8888]) as container:
        container.wait_for_http("/api/status", 8888, {})
        assert "workspace: WARNING: no token: everyone who can reach the port can run commands here\n" in container.log


def test_explains_its_variables(image: str) -> None:
    for argv in (["start-workspace", "--help"], ["--help"]):
        done = run(image, *argv)
        assert (done.code, done.stderr) == (0, "")
        assert "VESSL_SSH_HOST_KEY_DIR" in done.stdout


def test_ends_when_jupyterlab_dies(image: str) -> None:
    with workspace(image) as (container, _):
        container.read("bash", "-c", "kill -9 $(grep -l jupyter-la[b] /proc/[0-9]*/cmdline | cut -d/ -f3 | head -1)")
        done = container.finish()
    assert done.code == 137
    assert done.stderr.endswith("workspace: JupyterLab ended with code -9\n")


def test_stops_soon_with_a_busy_kernel_and_a_terminal(image: str) -> None:
    # a long call into C that keeps the lock of the interpreter, in a kernel that does not die of SIGTERM
    busy = "import re, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('on', flush=True)\n"
    busy += "re.match('(a+)+$', 'a' * 60 + 'b')"
    with (
        workspace(image) as (container, address),
        terminal(address),
        kernel_channel(address, start_kernel(address)) as channel,
    ):
        for message in messages(channel, ask(channel, busy)):
            if message["msg_type"] == "stream":
                break
        began = time.monotonic()
        container.engine.kill("SIGTERM")
        done = container.finish()
        took = time.monotonic() - began
    assert (done.code, took < 5) == (0, True), f"{took:.1f} s\n{done.stderr}"
    assert "workspace: SIGTERM: stopping\n" in done.stderr


# ssh


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

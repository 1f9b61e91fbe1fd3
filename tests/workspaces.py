"""Workspaces for tests: started, and used over HTTP, websockets and ssh as people use them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
import requests
import websocket

from tests.containers import Container, running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

TOKEN = "t0ken-of-the-test"  # noqa: S105  # of containers that live for seconds
HEADERS = {"Authorization": f"token {TOKEN}"}
REFUSAL = (
    "workspace: JupyterLab needs a token: set VESSL_TOKEN or VESSL_TOKEN_FILE "
    "(VESSL_ALLOW_NO_TOKEN=1 starts it without one, open to everyone who can reach the port)\n"
)
PATIENCE = 60
"""Seconds until a kernel or a terminal counts as hung; how long things may take is for other checks."""
PORTS = (8888, 22, 2222)
# Prints the process of JupyterLab, started by its own command or by ours; the brackets keep this line from being found.
FIND_JUPYTERLAB = "grep -lE 'jupyter-?la[b]' /proc/[0-9]*/cmdline | cut -d/ -f3 | head -1"
ODD = "a \"b\" 'c' \\d $HOME `id` # é\t;"
ENVIRONMENT = {"VESSL_TOKEN": TOKEN, "ODD": ODD, "TWO_LINES": "a\nSetEnv", "CUDA_VISIBLE_DEVICES": "0,1"}


def make_key(path: Path) -> Path:
    """A new key pair."""
    if shutil.which("ssh-keygen") is None or shutil.which("ssh") is None:
        pytest.exit("the checks of ssh need ssh and ssh-keygen on this machine: install openssh-client", returncode=4)
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


def public(key: Path) -> str:
    return key.with_suffix(".pub").read_text(encoding="utf-8")


@contextmanager
def workspace(image: str, base_url: str = "/", **options: Any) -> Iterator[tuple[Container, str]]:
    """A workspace that answers, with its address."""
    environment = {"VESSL_TOKEN": TOKEN, **options.pop("environment", {})}
    with running(image, environment=environment, ports=PORTS, **options) as container:
        address = container.wait_for_http(f"{base_url}api/status", 8888, HEADERS, seconds=30)
        yield container, address + base_url


def ssh(
    container: Container,
    key: Path,
    *command: str,
    user: str = "root",
    port: int = 22,
    environment: Mapping[str, str] | None = None,
    **options: str,
) -> subprocess.CompletedProcess[str]:
    known = {"StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "BatchMode": "yes", "LogLevel": "ERROR"}
    settings = [f"-o{name}={value}" for name, value in (known | {"IdentitiesOnly": "yes"} | options).items()]
    where = [
        "-F",
        "/dev/null",
        "-i",
        str(key),
        "-p",
        str(container.wait_for_port(port, seconds=20)),
        f"{user}@127.0.0.1",
    ]
    return subprocess.run(
        ["ssh", *settings, *where, *command],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )


def host_keys(container: Container) -> set[str]:
    scan = ["ssh-keyscan", "-p", str(container.wait_for_port(22)), "127.0.0.1"]
    lines = subprocess.run(scan, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    keys = {" ".join(line.split()[1:]) for line in lines if not line.startswith("#")}
    assert keys
    return keys


def start_kernel(address: str) -> str:
    # Patient: the first kernel of a new image is read from a disk that may still be writing that image.
    kernel: str = requests.post(f"{address}api/kernels", headers=HEADERS, json={}, timeout=PATIENCE).json()["id"]
    return kernel


@contextmanager
def kernel_channel(address: str, kernel: str) -> Iterator[websocket.WebSocket]:
    url = address.replace("http://", "ws://") + f"api/kernels/{kernel}/channels"
    channel = websocket.create_connection(url, header=HEADERS, timeout=PATIENCE)
    try:
        channel.settimeout(3)
        wait_until_ready(channel)
        channel.settimeout(PATIENCE)
        yield channel
    finally:
        channel.close()


def wait_until_ready(channel: websocket.WebSocket) -> None:
    """Ask until the kernel answers: what is asked of one that is still starting can be lost on the way."""
    for _ in range(12):
        with suppress(websocket.WebSocketTimeoutException):
            for message in messages(channel, ask(channel, "0")):
                if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    return
    raise AssertionError("the kernel does not answer")


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


def comms(address: str, code: str) -> list[str]:
    """Run a cell in a new kernel, return the targets of the comm channels that it opened (a widget opens some)."""
    opened = []
    with kernel_channel(address, start_kernel(address)) as channel:
        for message in messages(channel, ask(channel, code)):
            if message["msg_type"] == "error":
                raise AssertionError(f"{message['content']['ename']}: {message['content']['evalue']}")
            if message["msg_type"] == "comm_open":
                opened.append(str(message["content"]["target_name"]))
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
    return opened


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
    name = requests.post(f"{address}api/terminals", headers=HEADERS, timeout=PATIENCE).json()["name"]
    url = address.replace("http://", "ws://") + f"terminals/websocket/{name}"
    socket = websocket.create_connection(url, header=HEADERS, timeout=PATIENCE)
    try:
        yield socket
    finally:
        socket.close()


@contextmanager
def browser(address: str) -> Iterator[requests.Session]:
    """A browser that is logged in, so sends a cookie wherever the page is from (who has the token may use it anyway)."""
    with requests.Session() as session:
        assert session.get(f"{address}lab?token={TOKEN}", timeout=30).status_code == 200
        yield session


def lets_in(session: requests.Session, address: str, origin: str) -> bool:
    """Whether the browser would show the answer to a page of that origin (jupyter_server says 404 to others)."""
    answer = session.get(f"{address}api/status", headers={"Origin": origin}, timeout=30)
    return answer.headers.get("Access-Control-Allow-Origin") in (origin, "*")

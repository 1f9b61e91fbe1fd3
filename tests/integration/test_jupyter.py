"""What an image does without a command: JupyterLab, for those who have the token."""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import requests
import websocket

from tests.integration.containers import Container, Finished, run, running
from tests.integration.workspaces import (
    HEADERS,
    ODD,
    REFUSAL,
    TOKEN,
    ask,
    evaluate,
    kernel_channel,
    messages,
    public,
    ssh,
    start_kernel,
    terminal,
    workspace,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine


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

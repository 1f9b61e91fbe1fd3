"""JupyterLab, as people use it: over HTTP and websockets, with the token and not without."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import requests
import websocket

from scripts.smoke.report import START, START_SECONDS
from tests.workspaces import (
    HEADERS,
    ODD,
    TOKEN,
    browser,
    comms,
    evaluate,
    lets_in,
    terminal,
)

if TYPE_CHECKING:
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

    Shared = tuple[Container, str]

STRANGER = "https://evil.example"


def status(address: str, **options: Any) -> int:
    return requests.get(f"{address}api/status", timeout=30, **options).status_code


def test_start(stage: dict[str, Any], shared: Shared, claim: Claim) -> None:
    """From the start of the container to the first answer, while no other check ran; the best of three if it was slow."""
    assert shared
    claim.fact(START, stage["seconds"])
    measured = f"{stage['seconds']} s"
    if stage["seconds"] > START_SECONDS:
        measured += f" (load of this machine: {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores)"
    claim(measured, f"at most {START_SECONDS} s", ok=stage["seconds"] <= START_SECONDS)


def test_lets_in_with_the_token(shared: Shared, claim: Claim) -> None:
    page = requests.get(f"{shared[1]}lab", headers=HEADERS, timeout=30).status_code
    claim(f"lab {page}, status {status(shared[1], params={'token': TOKEN})}", "lab 200, status 200")


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"Authorization": "token wrong"}, id="wrong"),
        pytest.param({"Authorization": "token "}, id="empty"),
    ],
)
def test_keeps_out_without_the_token(shared: Shared, headers: dict[str, str], claim: Claim) -> None:
    claim(status(shared[1], headers=headers), 403)


def test_runs_a_cell(shared: Shared, claim: Claim) -> None:
    """In the image's Python, with the variables of the container, but not with its secrets."""
    secrets = "[n for n in os.environ if n.removesuffix('_FILE').endswith(('TOKEN', 'PUBLIC_KEY'))]"
    code = f"import os, sys; (6 * 7, sys.prefix, os.environ['ODD'], {secrets})"
    prefix = shared[0].read("python", "-c", "import sys; print(sys.prefix)").strip()
    claim(evaluate(shared[1], code), repr((42, prefix, ODD, [])))


def test_opens_a_terminal(shared: Shared, claim: Claim) -> None:
    """With bash, the image's PATH, and no secret."""
    python = shared[0].read("bash", "-c", "type -P python").strip()
    wanted = f"42:bash:{python}:"
    with terminal(shared[1]) as socket:
        line = 'echo "=$((40+2)):${BASH_VERSION:+bash}:$(type -P python):${VESSL_TOKEN-}${JUPYTER_TOKEN-}="'
        socket.send(json.dumps(["stdin", line + "\r"]))
        seen = ""
        while "=42:" not in seen or not seen.rpartition("=42:")[2].count("="):
            kind, *content = json.loads(socket.recv())
            seen += content[0] if kind == "stdout" else ""
    claim(f"42:{seen.rpartition('=42:')[2].partition('=')[0]}", wanted)


def test_git(shared: Shared, claim: Claim) -> None:
    """What jupyterlab-git asks the server for: a repository is made, and its state is told."""
    address = shared[1]
    requests.put(f"{address}api/contents/repo", headers=HEADERS, json={"type": "directory"}, timeout=30)
    requests.post(f"{address}git/repo/init", headers=HEADERS, json={}, timeout=30)
    answer = requests.post(f"{address}git/repo/status", headers=HEADERS, json={}, timeout=30)
    told = answer.json() if answer.headers.get("Content-Type", "").startswith("application/json") else {}
    measured = f"{told.get('branch', told.get('message'))}, {len(told.get('files', ()))} files"
    claim(f"{answer.status_code}: {measured}", "200: (initial), 0 files")


def test_widgets(shared: Shared, claim: Claim) -> None:
    """A slider opens the channels that its view in the browser listens to."""
    opened = comms(shared[1], "import ipywidgets; slider = ipywidgets.IntSlider(); slider")
    claim(" ".join(sorted(set(opened))) or "no channel", "jupyter.widget", ok="jupyter.widget" in opened)


def test_extensions(shared: Shared, claim: Claim) -> None:
    """What the page of JupyterLab loads."""
    page = requests.get(f"{shared[1]}lab", headers=HEADERS, timeout=30).text
    start = page.index("{", page.index('id="jupyter-config-data"'))
    config, _ = json.JSONDecoder().raw_decode(page[start:])
    disabled = set(config.get("disabledExtensions", ()))
    loaded = {item["name"] for item in config["federated_extensions"]} - disabled
    wanted = {"@jupyterlab/git", "@jupyter-widgets/jupyterlab-manager"}
    claim(" ".join(sorted(loaded & wanted)) or "neither", " ".join(sorted(wanted)))


def test_other_sites_may_not_use_it(shared: Shared, claim: Claim) -> None:
    """Not even with the cookie of somebody who is logged in: neither the API nor a terminal's socket."""
    with browser(shared[1]) as session:
        api = "open" if lets_in(session, shared[1], STRANGER) else "closed"
        cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in session.cookies)
    with terminal(shared[1]):
        url = shared[1].replace("http://", "ws://") + "terminals/websocket/1"
        own = opens(url, cookie, shared[1].rstrip("/"))
        claim(f"api {api}, socket {opens(url, cookie, STRANGER)}, own {own}", "api closed, socket closed, own open")


def opens(url: str, cookie: str, origin: str) -> str:
    try:
        websocket.create_connection(url, cookie=cookie, origin=origin, timeout=30).close()
    except websocket.WebSocketBadStatusException:
        return "closed"
    return "open"


def test_shows_the_token_nowhere(shared: Shared, claim: Claim) -> None:
    """No command line and no log has it: everyone on the machine can read those."""
    lines = shared[0].read("sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null; true")
    seen = [where for where, text in (("command line", lines), ("log", shared[0].log)) if TOKEN in text]
    claim(" and ".join(seen) or "nowhere", "nowhere")

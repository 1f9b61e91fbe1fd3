"""Logging in without a person: with a secret, with an identity token, and what is said where neither does."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from scripts.build.settings import Settings
from scripts.errors import RegistryError, UsageError
from scripts.release.login import login
from tests.workflow_runs import put_program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IDENTITY = "the-job-s-identity"
WORD = "good-for-an-hour"
ROBOT = {"IMAGES_REGISTRY_USER": "vessl-ai+robot"}


@dataclass
class Quay:
    """What hands out identity tokens, and what takes them."""

    host: str
    status: int = 200
    body: bytes = b""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def answer(self, path: str, authorization: str) -> tuple[int, bytes]:
        self.asked.append((path, authorization))
        if path.startswith("/identity"):
            return 200, json.dumps({"value": IDENTITY}).encode()
        good = f"Basic {base64.b64encode(f'vessl-ai+robot:{IDENTITY}'.encode()).decode()}"
        if path != "/oauth2/federation/robot/token" or authorization != good:
            return 401, b"{}"
        return self.status, self.body or json.dumps({"token": WORD}).encode()


@pytest.fixture
def quay() -> Iterator[Quay]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = found.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found = Quay(f"127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker that notes how it is logged in; where it notes it."""
    note = tmp_path / "said"
    put_program(
        tmp_path,
        "docker",
        f'echo "$*" >{note}; cat >>{note}; [ ! -e {tmp_path}/refuse ] || {{ echo "no: $(cat {note})" >&2; exit 1; }}',
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return note


def settings(tmp_path: Path, host: str) -> Settings:
    return Settings(root=tmp_path, out=tmp_path, cache=tmp_path, registry=f"{host}/vessl-ai")


def identity(quay: Quay) -> dict[str, str]:
    address = f"http://{quay.host}/identity?api-version=2"
    return {**ROBOT, "ACTIONS_ID_TOKEN_REQUEST_URL": address, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer"}


def test_a_secret_goes_to_docker_on_its_stdin(tmp_path: Path, said: Path, quay: Quay) -> None:
    found = login(settings(tmp_path, "quay.io"), {**identity(quay), "IMAGES_REGISTRY_PASSWORD": "secret"})
    assert found == "quay.io: logged in as vessl-ai+robot with IMAGES_REGISTRY_PASSWORD"
    assert said.read_text() == "login --username vessl-ai+robot --password-stdin quay.io\nsecret"
    assert quay.asked == []


def test_an_identity_is_exchanged_for_a_password(tmp_path: Path, said: Path, quay: Quay) -> None:
    found = login(settings(tmp_path, quay.host), identity(quay))
    assert found == f"{quay.host}: logged in as vessl-ai+robot with an identity token"
    assert said.read_text() == f"login --username vessl-ai+robot --password-stdin {quay.host}\n{WORD}"
    assert quay.asked[0] == ("/identity?api-version=2", "Bearer bearer")


def test_an_identity_that_the_ci_gives_as_a_variable_is_taken(tmp_path: Path, said: Path, quay: Quay) -> None:
    login(settings(tmp_path, quay.host), {**ROBOT, "IMAGES_ID_TOKEN": IDENTITY})
    assert said.read_text().endswith(f"\n{WORD}")
    assert [path for path, _ in quay.asked] == ["/oauth2/federation/robot/token"]


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "IMAGES_REGISTRY_USER is not set: the account, or robot, to log in as"),
        (ROBOT, "neither IMAGES_REGISTRY_PASSWORD nor an identity token: set the secret, or let the job have a token"),
        ({**ROBOT, "ACTIONS_ID_TOKEN_REQUEST_URL": "http://127.0.0.1:9"}, "neither IMAGES_REGISTRY_PASSWORD nor"),
    ],
)
def test_what_is_not_set_is_said(tmp_path: Path, environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        login(settings(tmp_path, "quay.io"), environment)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (403, b"{}", "HTTP 403, and no JSON object: is the robot federated with this CI?"),
        (302, b"{}", "HTTP 302, and no JSON object"),
        (200, b"<html>", "HTTP 200, and no JSON object"),
        (200, b"[]", "HTTP 200, and no JSON object"),
        (200, b'{"error": "x"}', "gave no password for vessl-ai+robot's identity token"),
    ],
)
def test_a_token_that_is_refused_is_said_without_it(
    tmp_path: Path, said: Path, quay: Quay, status: int, body: bytes, sentence: str
) -> None:
    quay.status, quay.body = status, body
    with pytest.raises(RegistryError) as caught:
        login(settings(tmp_path, quay.host), identity(quay))
    assert sentence in str(caught.value)
    assert IDENTITY not in str(caught.value)
    assert not said.exists()


def test_a_registry_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"127\.0\.0\.1:9: a password for vessl-ai\+robot: no connection"):
        login(settings(tmp_path, "127.0.0.1:9"), {**ROBOT, "IMAGES_ID_TOKEN": IDENTITY})


def test_a_login_that_docker_refuses_is_said_without_the_password(tmp_path: Path, said: Path) -> None:
    (tmp_path / "refuse").touch()
    with pytest.raises(RegistryError) as caught:
        login(settings(tmp_path, "quay.io"), {**ROBOT, "IMAGES_REGISTRY_PASSWORD": "secret"})
    assert str(caught.value) == "quay.io: login as vessl-ai+robot with IMAGES_REGISTRY_PASSWORD failed: ..."
    assert said.exists()


def test_without_docker_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(UsageError, match="there is no docker command on PATH to log in with"):
        login(settings(tmp_path, "quay.io"), {**ROBOT, "IMAGES_REGISTRY_PASSWORD": "secret"})

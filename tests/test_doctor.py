"""What ``doctor`` reports, with programs and servers that are there, missing, broken or silent."""

from __future__ import annotations

import platform
import socket
import sys
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts import doctor
from scripts.build.engine import EngineState, Lack, Shortfall
from scripts.doctor import (
    ENGINE_FIXES,
    HOSTS,
    TOOLS,
    Finding,
    Tool,
    check_engine,
    check_host,
    check_pins,
    check_tool,
    examine,
)
from scripts.table import render_table

from .conftest import DIGEST, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Repository

GOOD = EngineState(
    client_version="28.2.2",
    server_version="26.1.5+dfsg1",
    buildx_version="0.13.1+ds1",
    containerd_store=True,
    root_dir="/no/such/directory",
)
TOOL = Tool(name="hadolint", needed="any", fix="get it", required=False)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH, and a Python with nothing beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    return folder


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def put(path: Path, name: str, body: str) -> None:
    (path / name).write_text(f"#!/bin/sh\n{body}\n")
    (path / name).chmod(0o755)


def lacking(lack: Lack, **pieces: str) -> EngineState:
    return EngineState(shortfalls=(Shortfall(lack=lack, problem="it lacks"),), **pieces)  # type: ignore[arg-type]  # strings only


@pytest.mark.parametrize(
    ("body", "found", "ok"),
    [
        ("echo Haskell Dockerfile Linter 2.15.1", "2.15.1", True),
        ("echo ShellCheck; echo version: v0.11.0", "0.11.0", True),
        ("echo no number", "unknown", True),
        ("exit 1", "does not run", False),
        ("exec /bin/sleep 30", "does not run", False),
    ],
)
def test_tools_tell_their_version(path: Path, body: str, found: str, *, ok: bool) -> None:
    put(path, "hadolint", body)
    fix = "" if ok else "get it"
    expected = Finding(what="hadolint", found=found, needed="any", ok=ok, fix=fix, required=False)
    assert check_tool(TOOL, 0.5) == expected


@pytest.mark.usefixtures("path")
def test_a_missing_tool() -> None:
    expected = Finding(what="hadolint", found="missing", needed="any", ok=False, fix="get it", required=False)
    assert check_tool(TOOL, 0.5) == expected


def test_a_tool_beside_python_counts(path: Path) -> None:
    put(path.parent, "hadolint", "echo 2.15.1")
    assert check_tool(TOOL, 0.5).found == "2.15.1"


def test_a_good_engine() -> None:
    assert [(row.what, row.found, row.needed, row.ok, row.fix) for row in check_engine(GOOD)] == [
        ("docker client", "28.2.2", "any", True, ""),
        ("Docker Engine", "26.1.5", "26.0", True, ""),
        ("buildx", "0.13.1", "0.13", True, ""),
        ("containerd store", "on", "on", True, ""),
    ]


@pytest.mark.parametrize(
    ("state", "bad"),
    [
        (
            lacking(Lack.CLIENT),
            [
                ("docker client", "missing"),
                ("Docker Engine", "missing"),
                ("buildx", "missing"),
                ("containerd store", "unknown"),
            ],
        ),
        (
            lacking(Lack.STOPPED, client_version="28.2.2", buildx_version="0.13.1"),
            [("Docker Engine", "stopped"), ("containerd store", "unknown")],
        ),
        (
            lacking(Lack.PERMISSION, client_version="28.2.2", buildx_version="0.13.1"),
            [("Docker Engine", "permission"), ("containerd store", "unknown")],
        ),
        (lacking(Lack.ENGINE_OLD, server_version="20.10.24"), [("Docker Engine", "20.10.24")]),
        (lacking(Lack.BUILDX, server_version="26.1.5"), [("buildx", "missing")]),
        (lacking(Lack.STORE, server_version="26.1.5"), [("containerd store", "off")]),
    ],
)
def test_each_lack_has_its_row_and_fix(state: EngineState, bad: list[tuple[str, str]]) -> None:
    rows = [row for row in check_engine(state) if not row.ok]
    assert [(row.what, row.found) for row in rows] == bad
    assert {row.fix for row in rows} == {ENGINE_FIXES[state.shortfalls[0].lack]}
    assert all(row.required for row in rows)


def test_space_is_looked_at_where_a_local_engine_keeps_its_images(tmp_path: Path) -> None:
    state = EngineState(server_version="26.1.5", root_dir=str(tmp_path))
    assert check_engine(state)[-1].what == "space for engine"


def test_too_little_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "free_space", lambda _path: 3_100_000_000)
    assert doctor.check_space("space for out/", tmp_path, 10e9, "move out/") == Finding(
        what="space for out/", found="3.1 GB", needed="10 GB", ok=False, fix="move out/", required=True
    )


def test_hosts(silent: str) -> None:
    began = time.monotonic()
    assert check_host("quay.io", silent, "go on", 0.2) == Finding(
        what="quay.io", found="unreachable", needed="", ok=False, fix="go on", required=False
    )
    assert time.monotonic() - began < 2


def test_a_server_that_refuses_strangers_is_reachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}/v2/"

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert check_host("quay.io", address, "", 5).found == "reachable"
        thread.join()


@pytest.mark.parametrize(("body", "found"), [("echo invoke==3.0.3", "reachable"), ("exit 1", "unreachable")])
def test_the_index_is_asked_by_uv(path: Path, body: str, found: str) -> None:
    put(path, "uv", body)
    assert doctor.check_index(1).found == found


def test_examine_is_in_time_and_puts_the_required_first(
    path: Path, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(path, "uv", "exec /bin/sleep 30")
    put(path, "docker", "exec /bin/sleep 30")
    asked = time.sleep
    monkeypatch.setattr(doctor, "check_emulation", lambda: asked(5))
    began = time.monotonic()
    rows = examine(path, hosts={"docker.io": (silent, "stand-in: invoke bases")}, patience=0.5)
    assert time.monotonic() - began < 2.5
    assert [row.required for row in rows] == sorted((row.required for row in rows), reverse=True)
    assert [(row.what, row.found) for row in rows] == [
        ("Python", platform.python_version()),
        ("uv", "does not run"),
        ("git", "missing"),
        ("docker client", "unknown"),
        ("Docker Engine", "unreachable"),
        ("buildx", "unknown"),
        ("containerd store", "unknown"),
        ("space for out/", rows[7].found),
        ("hadolint", "missing"),
        ("shellcheck", "missing"),
        ("mmdebstrap", "missing"),
        ("cosign", "missing"),
        ("syft", "missing"),
        ("arm64", "no answer"),
        ("docker.io", "unreachable"),
        ("package index", "unreachable"),
        ("base pins", "0 of 0"),
    ]
    assert not doctor.is_fit(rows)


def test_optional_pieces_do_not_make_a_machine_unfit() -> None:
    optional = Finding(what="syft", found="missing", needed="any", ok=False, fix="get it", required=False)
    assert doctor.is_fit((*check_engine(GOOD), optional))


def test_rows() -> None:
    row = {"what": "buildx", "found": "0.13.1", "needed": "0.13", "ok": True, "fix": "", "required": True}
    assert doctor.rows_of(check_engine(GOOD))[2] == row


def test_the_table_fits_80_columns() -> None:
    longest = Finding(what=max(HOSTS, key=len), found="untrusted TLS", needed="20 GB", ok=False, fix="", required=True)
    fixes = (*ENGINE_FIXES.values(), *(tool.fix for tool in TOOLS), *(fix for _, fix in HOSTS.values()))
    rows = doctor.rows_of(tuple(replace(longest, fix=fix) for fix in fixes))
    table = render_table(rows, dict.fromkeys(("what", "found", "needed", "ok", "fix")))
    assert max(map(len, table.splitlines())) <= 80


def test_bases_that_are_not_pinned_are_counted(repository: Repository) -> None:
    pinned = VERSIONS.replace("python:3.11", f"python:3.11@{DIGEST}")
    frozen = '[[image]]\nversion = "0"\nbase = "python:3.9"\npython = "3.9"\nstate = "frozen"\nreason = "Old"\nsince = 2025-10-31\n'
    loose = '[[image]]\nversion = "2"\nbase = "python:3.12"\npython = "3.12"\n'
    found = Finding(what="base pins", found="1 of 1", needed="all", ok=True, fix="", required=False)
    repository.family(versions=pinned + frozen)
    assert check_pins(repository.root) == found
    repository.family(versions=pinned + frozen + loose)
    assert check_pins(repository.root) == replace(found, found="1 of 2", ok=False, fix="invoke bases --refresh")
    repository.family(versions="default = ")
    assert check_pins(repository.root) == replace(found, found="unknown", needed="", ok=False, fix="invoke list")

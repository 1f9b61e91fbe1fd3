"""What several test modules share: families in a repository of their own, a docker that only pretends, tasks run for real."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build import apt, sources
from scripts.release.cosign import TOKENS
from tests.fake_cosign import WORD, FakeCosign, put_cosign
from tests.measured import measured, pytest_terminal_summary  # noqa: F401 - a fixture and a hook, found here
from tests.products import NO_EVIDENCE_SETTINGS
from tests.system import System
from tests.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DIGEST = "sha256:" + "ab" * 32
NO_SUCH_HOST = "registry-1.docker.io: no such host"
UNRESOLVED = (
    'failed to do request: Head "https://registry-1.docker.io/v2/library/python/manifests/3.11-slim-bookworm": '
    "dial tcp: lookup registry-1.docker.io: no such host"
)
DOCKERFILE = """\
ARG BASE_IMAGE=python:3.11
FROM ${BASE_IMAGE} AS files
COPY files /files
FROM ${BASE_IMAGE} AS app
ARG PYTHON_VERSION=3.11
ARG ROW=1
ARG FLAVOUR=plain
COPY --from=files /files /files
"""
VERSIONS = """\
description = "A family"
default = "1"
lock = false
[stages.app]
repository = "app"
tag = "{version}"
[[image]]
version = "1"
base = "python:3.11"
python = "3.11"
"""
GOOD_ENGINE = {
    "ServerVersion": "28.5.1",
    "Architecture": "x86_64",
    "DockerRootDir": "/no/such/directory",
    "DriverStatus": [["driver-type", "io.containerd.snapshotter.v1"]],
    "ClientInfo": {"Version": "28.5.1", "Context": "default", "Plugins": [{"Name": "buildx", "Version": "v0.29.1"}]},
}


@dataclass(frozen=True)
class Docker:
    """The pretended docker: what it is to answer, and what it was asked."""

    folder: Path

    def answer(self, **changed: Any) -> None:
        path = self.folder / "answers.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))

    @property
    def images(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "answers.json").read_text())["images"]
        return found

    @property
    def baked(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "bake.json").read_text())
        return found

    def calls(self, *start: str) -> list[list[str]]:
        path = self.folder / "calls.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [words for words in map(json.loads, lines) if words[: len(start)] == list(start)]


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    """A docker on PATH that has an engine, and a registry that it can't reach."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(f"#!{sys.executable} -IS\n{(ROOT / 'tests' / 'data' / 'docker').read_text()}")
    program.chmod(0o755)
    start = {"info": GOOD_ENGINE, "registry": {}, "complaint": UNRESOLVED, "slow": 0, "images": {}, "labels": {}}
    (folder / "answers.json").write_text(json.dumps({**start, "bake": "ok", "told": "", "load": "ok"}))
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")
    sources._digest_in_registry.cache_clear()
    yield Docker(folder)
    sources._digest_in_registry.cache_clear()


@dataclass(frozen=True)
class Repository:
    """A repository of recipes in a temporary directory."""

    root: Path

    def family(self, name: str = "fam", versions: str = VERSIONS, dockerfile: str | None = DOCKERFILE) -> Path:
        directory = self.root / name
        directory.mkdir(exist_ok=True)
        (directory / "versions.toml").write_text(textwrap.dedent(versions))
        if dockerfile is not None:
            (directory / "Dockerfile").write_text(textwrap.dedent(dockerfile))
        return directory


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    root = tmp_path / "repository"
    (root / "files").mkdir(parents=True)
    (root / "files" / "hello").write_text("hello\n")
    return Repository(root)


@pytest.fixture
def environment(tmp_path: Path, docker: Docker, cache: Path) -> dict[str, str]:
    """What the tasks see: the pretended docker, nothing of this machine's settings."""
    return {
        "PATH": f"{docker.folder}{os.pathsep}{os.defpath}",
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "INVOKE_IMAGES_CACHE": str(cache),
        "INVOKE_IMAGES_PARALLEL": "100",
        **NO_EVIDENCE_SETTINGS,
    }


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for all tests of a worker: uv is copied into it once."""
    return tmp_path_factory.mktemp("cache")


@dataclass(frozen=True)
class Tasks:
    """The real tasks, run as a process in a repository of the test's."""

    repository: Repository
    environment: dict[str, str]

    @property
    def out(self) -> Path:
        return self.repository.root / "out"

    def command(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("invoke")), "--search-root", str(self.repository.root), *words]

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), env={**self.environment, **environment}, capture_output=True, text=True, check=False
        )


@pytest.fixture
def tasks(repository: Repository, environment: dict[str, str]) -> Tasks:
    """The tasks with one family; they do not ask for disk space that the images of a test do not take."""
    root = repository.root
    space = "\nimport scripts.build.build\nscripts.build.build.SPACE = {False: 0, True: 0}\n"
    (root / "tasks.py").write_text((ROOT / "tasks.py").read_text() + space)
    shutil.copy(ROOT / "invoke.yaml", root)
    (root / "scripts" / "image").mkdir(parents=True)
    (root / "scripts" / "image" / "requirements.txt").touch()
    repository.family()
    return Tasks(repository, environment)


@dataclass(frozen=True)
class PackageIndex:
    """A package index on loopback: ``/simple/`` as uv asks it, and the same pages as a wheel index of torch."""

    url: str
    wheels: dict[str, bytes] = field(default_factory=dict)

    def add(self, name: str, version: str, *requires: str, tag: str = "py3-none-any") -> str:
        """Add a wheel; gives its SHA-256."""
        file, data = make_wheel(name, version, *requires, tag=tag)
        self.wheels[file] = data
        return hashlib.sha256(data).hexdigest()

    def page(self, path: str) -> bytes | None:
        folder, _, name = path.strip("/").rpartition("/")
        if folder == "files":
            return self.wheels.get(name)
        found = {file: data for file, data in self.wheels.items() if file.startswith(f"{name.replace('-', '_')}-")}
        links = "".join(
            f'<a href="/files/{file.replace("+", "%2B")}#sha256={hashlib.sha256(data).hexdigest()}">{file}</a>\n'
            for file, data in found.items()
            if ("+" in file) == (folder == "cpu")
        )
        return f"<!DOCTYPE html><html><body>{links}</body></html>".encode() if links else None


@pytest.fixture
def package_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """A package index that uv and requests use instead of any other."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = found.page(self.path.replace("%2B", "+"))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "application/octet-stream" if "/files/" in self.path else "text/html")
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body or b"")

        do_HEAD = do_GET  # noqa: N815 - the name is http.server's

        def log_message(self, *_: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128  # several uv at once open more connections than the 5 that wait by default

    for name in [name for name in os.environ if name.startswith(("UV_", "PIP_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv-cache"))
    with Server(("127.0.0.1", 0), Handler) as server:
        found = PackageIndex(f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{found.url}/simple")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@pytest.fixture
def cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCosign:
    """A pretended cosign on PATH; its keys are open, and there is no identity token."""
    found = put_cosign(tmp_path / "cosign-bin")
    monkeypatch.setenv("PATH", f"{found.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COSIGN_PASSWORD", WORD)
    for name in TOKENS:
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    made = System(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(apt, "SBIN", "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    yield made
    made.stop()

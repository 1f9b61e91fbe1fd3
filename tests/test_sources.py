"""Where a build's outside inputs come from: bases, wheels of torch, uv, secrets; with servers and commands of our own."""

from __future__ import annotations

import http.server
import os
import socket
import stat
import sys
import threading
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.build import bases, sources
from scripts.build.bake import Secret
from scripts.build.bases import STAND_INS
from scripts.build.sources import (
    Base,
    TorchWheels,
    find_torch_wheels,
    provide_secrets,
    provide_stand_in,
    provide_uv,
    resolve_base,
    wheel_folders,
)
from scripts.errors import BuildError
from scripts.recipe.lock import Pin
from scripts.recipe.matrix import expand_all, load_families

from .conftest import DIGEST, NO_SUCH_HOST, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

    from .conftest import Docker, Repository

STAND_IN = next(iter(STAND_INS))
PINS = (Pin(name="torch", version="2.13.0+cpu"), Pin(name="sympy", version="1"))
REFUSING = "http://127.0.0.1:9"


class Index(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # the name is http.server's
        self.send_response(200 if self.path == "/whl/torch/" else 403)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def index() -> Iterator[str]:
    """Give the address of a wheel index that knows torch."""
    with http.server.HTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    sources._unreachable.cache_clear()
    yield
    sources._unreachable.cache_clear()


def image(repository: Repository, torch_index: str | None) -> ImageSpec:
    line = f'torch_index = "{torch_index}"\n' if torch_index else ""
    repository.family(versions=line + VERSIONS)
    return expand_all(load_families(repository.root))[0]


def made(cache: Path) -> Path:
    """A stand-in as if it had been made."""
    layout = cache / bases._name(STAND_INS[STAND_IN])
    layout.mkdir()
    (layout / "index.json").write_text(f'{{"manifests": [{{"digest": "{DIGEST}"}}]}}')
    return layout


def test_a_base_is_taken_by_its_digest_from_its_registry(docker: Docker, tmp_path: Path) -> None:
    docker.answer(registry={"a:1": DIGEST}, images={"a:1": "sha256:other"})
    assert resolve_base("a:1", tmp_path) == Base(reference="a:1", digest=DIGEST, context=f"docker-image://a:1@{DIGEST}")


def test_the_engines_copy_is_taken_where_the_registry_cannot_be_reached(docker: Docker, tmp_path: Path) -> None:
    docker.answer(images={"a:1": DIGEST})
    assert resolve_base("a:1", tmp_path) == Base(
        reference="a:1", digest=DIGEST, context=f"docker-image://a:1@{DIGEST}", why=NO_SUCH_HOST
    )


def test_a_stand_in_is_the_last_resort(docker: Docker, tmp_path: Path) -> None:
    assert docker.images == {}
    not_made = Base(reference=STAND_IN, digest="", context="", stand_in=True, why=NO_SUCH_HOST)
    assert resolve_base(STAND_IN, tmp_path) == not_made
    layout = made(tmp_path)
    assert resolve_base(STAND_IN, tmp_path) == Base(
        reference=STAND_IN, digest=DIGEST, context=f"oci-layout://{layout}@{DIGEST}", stand_in=True, why=NO_SUCH_HOST
    )


def test_a_pinned_base_is_asked_for_with_its_digest_and_goes_by_its_name(docker: Docker, tmp_path: Path) -> None:
    docker.answer(registry={f"a:1@{DIGEST}": DIGEST})
    assert resolve_base(f"a:1@{DIGEST}", tmp_path).reference == "a:1"


def test_a_pinned_base_is_that_digest_from_wherever_it_can_be_had(docker: Docker, tmp_path: Path) -> None:
    pinned = f"{STAND_IN}@{DIGEST}"
    found = Base(reference=STAND_IN, digest=DIGEST, context=f"docker-image://{pinned}", pinned=True)
    docker.answer(registry={pinned: DIGEST, STAND_IN: "sha256:other"})
    assert resolve_base(pinned, tmp_path) == found
    sources._digest_in_registry.cache_clear()
    docker.answer(registry={}, images={pinned: DIGEST})
    assert resolve_base(pinned, tmp_path) == replace(found, why=NO_SUCH_HOST)
    sources._digest_in_registry.cache_clear()
    # The engine has another image of that name.
    docker.answer(images={STAND_IN: "sha256:other"})
    layout = made(tmp_path)
    assert resolve_base(pinned, tmp_path) == Base(
        reference=STAND_IN,
        digest=DIGEST,
        context=f"oci-layout://{layout}@{DIGEST}",
        stand_in=True,
        why=NO_SUCH_HOST,
        pinned=True,
    )


def test_a_registry_is_asked_once_for_a_reference(docker: Docker, tmp_path: Path) -> None:
    for _ in range(2):
        resolve_base("a:1", tmp_path)
    assert len(docker.calls("buildx")) == 1


@pytest.mark.parametrize(
    ("complaint", "why"),
    [
        ("one\ntwo", "two"),
        ("", "no answer"),
        ("dial tcp: lookup nvcr.io on 10.0.0.2:53: no such host", "nvcr.io: no such host"),
        ("python:9: not found", "python:9: not found"),
    ],
)
def test_the_last_line_of_what_the_registry_said_is_the_reason(
    docker: Docker, tmp_path: Path, complaint: str, why: str
) -> None:
    docker.answer(complaint=complaint)
    assert resolve_base("a:1", tmp_path).why == why


def test_a_registry_that_does_not_answer_is_not_waited_for(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.answer(slow=30)
    monkeypatch.setattr(sources, "ANSWER_TIMEOUT", 0.2)
    assert resolve_base("a:1", tmp_path).why == "no answer within 0 s"


def test_a_machine_without_docker_has_no_answer_either(
    docker: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (docker.folder / "docker").unlink()
    monkeypatch.setenv("PATH", str(docker.folder))
    assert resolve_base("a:1", tmp_path).why == "no docker client to ask with"


def test_only_a_stand_in_that_is_not_made_is_made(tmp_path: Path) -> None:
    real = Base(reference="a:1", digest=DIGEST, context="c")
    there = Base(reference="a:1", digest=DIGEST, context="c", stand_in=True)
    for base in (real, there):
        assert provide_stand_in(base, tmp_path, pytest.fail) is base


def test_a_stand_in_that_another_process_made_meanwhile_is_taken(tmp_path: Path) -> None:
    layout = made(tmp_path)
    base = Base(reference=STAND_IN, digest="", context="", stand_in=True, why="far")
    assert provide_stand_in(base, tmp_path, pytest.fail) == Base(
        reference=STAND_IN, digest=DIGEST, context=f"oci-layout://{layout}@{DIGEST}", stand_in=True, why="far"
    )


def test_a_base_that_can_neither_be_resolved_nor_made_is_refused_with_both_reasons(tmp_path: Path) -> None:
    base = Base(reference="a:1", digest="", context="", stand_in=True, why="no such host")
    with pytest.raises(BuildError) as caught:
        provide_stand_in(base, tmp_path, pytest.fail)
    known = "".join(f"\n  {name}" for name in STAND_INS)
    assert str(caught.value) == (
        "a:1 could not be resolved: no such host\n"
        f"a:1: no stand-in base can be made for this reference; there are stand-ins for{known}"
    )


def test_an_index_that_answers_is_used(repository: Repository, index: str, tmp_path: Path) -> None:
    assert find_torch_wheels(image(repository, f"{index}/whl"), PINS, [tmp_path]) == TorchWheels()


def test_an_index_is_not_asked_where_nothing_comes_from_it(repository: Repository) -> None:
    assert find_torch_wheels(image(repository, None), PINS, []) == TorchWheels()
    assert find_torch_wheels(image(repository, REFUSING), PINS[1:], []) == TorchWheels()


def test_the_first_folder_that_has_the_wheels_takes_the_place_of_an_index_out_of_reach(
    repository: Repository, tmp_path: Path
) -> None:
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for folder, name in zip(folders, ("cp312", "cp311", "cp311"), strict=True):
        folder.mkdir()
        (folder / f"torch-2.13.0+cpu-{name}-{name}-manylinux_2_28_x86_64.whl").touch()
    found = find_torch_wheels(image(repository, REFUSING), PINS, folders)
    assert found == TorchWheels(folder=tmp_path / "b", why="connection failed")


def test_wheels_that_can_be_had_from_nowhere_are_refused_with_what_to_do(
    repository: Repository, tmp_path: Path
) -> None:
    with pytest.raises(BuildError) as caught:
        find_torch_wheels(image(repository, REFUSING), PINS, [tmp_path])
    assert str(caught.value) == (
        "app:1: the wheel index http://127.0.0.1:9 can't be reached (connection failed), and no local folder has "
        "torch 2.13.0+cpu for Python 3.11: allow the host, or name a folder with the wheel in invoke.yaml (images.wheels)"
    )
    assert caught.value.exit_code == 3


def test_the_reason_that_an_index_is_not_used_is_told_from_others(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sources._unreachable(f"{index}/other") == "HTTP 403"
    assert sources._unreachable("nonsense") == "MissingSchema"
    tls = index.replace("http:", "https:")
    assert sources._unreachable(tls) == "TLS failed: its certificate is not trusted here (REQUESTS_CA_BUNDLE)"

    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert sources._unreachable("http://wheels.invalid") == "host not found"


def test_wheel_folders_are_the_settings_or_pips_and_only_those_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, none = tmp_path / "one", tmp_path / "two", tmp_path / "none"
    one.mkdir()
    two.mkdir()
    assert wheel_folders((str(one), str(none), str(two))) == (one, two)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert wheel_folders(()) == ()
    (tmp_path / "pip").write_text(f"#!/bin/sh\n[ \"$*\" = 'config get global.find-links' ] && echo {one}\n")
    (tmp_path / "pip").chmod(0o755)
    assert wheel_folders(()) == (one,)


def test_uv_is_given_alone_in_a_directory_and_anew_when_it_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    (tmp_path / "uv").write_text("one")
    (tmp_path / "uv").chmod(0o755)
    first = provide_uv(tmp_path / "tools")
    assert [(path.name, os.access(path, os.X_OK)) for path in first.iterdir()] == [("uv", True)]
    assert provide_uv(tmp_path / "tools") == first
    (tmp_path / "uv").write_text("other")
    assert (provide_uv(tmp_path / "tools") / "uv").read_text() == "other"


def test_secrets_are_files_that_only_we_can_read(tmp_path: Path) -> None:
    bundle, url = tmp_path / "bundle.crt", 'https://user:pa"ss@127.0.0.1/simple'
    bundle.touch()
    first, second = provide_secrets(tmp_path, ca_bundle=str(bundle), index_url=url)
    assert first == Secret(id="ca-bundle", path=bundle)
    assert second == Secret(id="uv-config", path=tmp_path / "uv.toml")
    assert stat.S_IMODE(second.path.stat().st_mode) == 0o600
    assert tomllib.loads(second.path.read_text()) == {"index": [{"url": url, "default": True}]}
    assert provide_secrets(tmp_path, ca_bundle="", index_url="") == ()


def test_a_bundle_that_is_not_there_is_refused_with_where_it_was_set(tmp_path: Path) -> None:
    with pytest.raises(BuildError) as caught:
        provide_secrets(tmp_path, ca_bundle="/none.crt", index_url="")
    assert str(caught.value) == "/none.crt: not a file (SSL_CERT_FILE, or images.ca_bundle in invoke.yaml)"

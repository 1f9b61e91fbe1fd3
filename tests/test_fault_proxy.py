"""The proxy does what its faults say, and nothing else: what it lets through is what the registry said."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
import requests

from tests.fault_proxy import (
    FaultProxy,
    Stale,
    cut_answer,
    cut_upload,
    fail_after,
    kill_after,
    kill_amid,
    kill_before,
    short_page,
    shorten_answer,
    shorten_upload,
)
from tests.faulty_registry import FaultyRegistry, edit, hang_up, lose, say, stall
from tests.memory_registry import sha256

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.faulty_registry import Act

NAME = "vessl-ai/torch"
CONTENT = json.dumps({"schemaVersion": 2, "note": "x" * 100}).encode()
TYPE = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        made.put(CONTENT, TYPE, "1", "1-r1")
        yield made


@pytest.fixture
def proxy(registry: FaultyRegistry) -> Iterator[FaultProxy]:
    with FaultProxy(registry.host) as made:
        yield made


def ask(proxy: FaultProxy, method: str, path: str, body: bytes = b"", **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"http://{proxy.host}/v2/{NAME}/{path}", data=body, **{"timeout": 5, **options})


def test_what_is_let_through_is_what_the_registry_said(registry: FaultyRegistry, proxy: FaultProxy) -> None:
    found = ask(proxy, "GET", "manifests/1")
    assert (found.status_code, found.content) == (200, CONTENT)
    assert found.headers["Docker-Content-Digest"] == sha256(CONTENT)
    headed = ask(proxy, "HEAD", "manifests/1")
    assert (headed.content, headed.headers["Content-Length"]) == (b"", str(len(CONTENT)))
    assert ask(proxy, "GET", "manifests/2").status_code == 404
    other = CONTENT.replace(b"x", b"y")
    assert ask(proxy, "PUT", "manifests/2", other, headers={"Content-Type": TYPE}).status_code == 201
    assert registry.manifests[NAME][registry.tags[NAME]["2"]] == (TYPE, other)
    assert registry.requests[-1].headers["Host"] == proxy.host
    assert registry.log == proxy.log


@pytest.mark.parametrize(
    ("act", "done"),
    [(hang_up, False), (lose, True), (cut_upload, False), (cut_answer, True)],
    ids=["before", "before the answer", "in what is sent", "in the answer"],
)
def test_connections_that_are_cut(registry: FaultyRegistry, proxy: FaultProxy, act: Act, done: bool) -> None:  # noqa: FBT001 - a parameter
    # A listing, and not a PUT, for the cut in the answer: that to a PUT is empty.
    method, path = ("GET", "tags/list?n=9") if act is cut_answer else ("PUT", "manifests/1")
    proxy.fail(method, "", act)
    other = CONTENT.replace(b"x", b"y")
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        ask(proxy, method, path, b"" if method == "GET" else other)
    if method == "PUT":
        assert (registry.tags[NAME]["1"] == sha256(other)) is done
    assert ask(proxy, "GET", "manifests/1").status_code == 200


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 500, 502, 503])
def test_statuses(registry: FaultyRegistry, proxy: FaultProxy, status: int) -> None:
    proxy.fail("PUT", "", say(status, Retry_After="1"))
    answer = ask(proxy, "PUT", "manifests/1", b"{}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "1")
    assert registry.requests == []
    proxy.fail("PUT", "", fail_after(status))
    assert ask(proxy, "PUT", "manifests/1", b"{}").status_code == status
    assert registry.tags[NAME]["1"] == sha256(b"{}")


def test_a_stall(proxy: FaultProxy) -> None:
    proxy.fail("GET", "", stall)
    with pytest.raises(requests.ReadTimeout):
        ask(proxy, "GET", "manifests/1", timeout=0.1)


def test_less_than_there_is(registry: FaultyRegistry, proxy: FaultProxy) -> None:
    proxy.fail("GET", "", shorten_answer)
    assert ask(proxy, "GET", "manifests/1").content == CONTENT[: len(CONTENT) // 2]
    proxy.fail("PUT", "", shorten_upload)
    ask(proxy, "PUT", "manifests/1", b'{}{"')
    assert registry.tags[NAME]["1"] == sha256(b"{}")


def test_digests_that_are_wrong_or_not_there(proxy: FaultProxy) -> None:
    for value in ("sha256:" + "0" * 64, None):
        proxy.fail("GET|HEAD", "", edit(Docker_Content_Digest=value), times=2)
        for method in ("GET", "HEAD"):
            assert ask(proxy, method, "manifests/1").headers.get("Docker-Content-Digest") == value


def test_short_pages(registry: FaultyRegistry, proxy: FaultProxy) -> None:
    proxy.fail("GET", "tags/list", short_page, times=9)
    first = ask(proxy, "GET", "tags/list?n=1000")
    assert first.json()["tags"] == ["1"]
    second = ask(proxy, "GET", "tags/list?n=1000&last=1")
    assert second.json()["tags"] == ["1-r1"]
    assert len(registry.requests) == 2


def test_stale_reads_for_a_while(registry: FaultyRegistry, proxy: FaultProxy) -> None:
    registry.put(CONTENT, TYPE, "1-r1", name="vessl-ai/copy")
    registry.put(CONTENT, TYPE, "1-r2")
    proxy.fail("GET|HEAD", "", Stale(NAME, "vessl-ai/copy", 0.2), times=99)
    assert ask(proxy, "GET", "tags/list?n=9").json()["tags"] == ["1-r1"]
    assert ask(proxy, "HEAD", "manifests/1-r2").status_code == 404
    time.sleep(0.25)
    assert ask(proxy, "GET", "tags/list?n=9").json()["tags"] == ["1", "1-r1", "1-r2"]


@pytest.mark.parametrize(("kill", "done"), [(kill_before, False), (kill_after, True), (kill_amid, False)])
def test_the_one_that_asks_is_killed(
    registry: FaultyRegistry, proxy: FaultProxy, kill: Callable[..., Act], *, done: bool
) -> None:
    with subprocess.Popen(["sleep", "60"], text=True) as process:
        proxy.fail("PUT", "", kill(lambda: process))
        with pytest.raises(requests.ConnectionError):
            ask(proxy, "PUT", "manifests/1", b"{}")
        assert process.wait(5) == -9
    assert (registry.tags[NAME]["1"] == sha256(b"{}")) is done


def test_the_request_that_was_asked_for(registry: FaultyRegistry, proxy: FaultProxy) -> None:
    fault = proxy.fail(".*", "", say(500), skip=2)
    found = [ask(proxy, method, "manifests/1").status_code for method in ("GET", "HEAD", "GET", "HEAD")]
    assert found == [200, 200, 500, 200]
    assert (fault.times, len(registry.requests)) == (0, 3)

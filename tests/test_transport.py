"""One request and all that can come in its way: logins, refusals, retries, redirects, broken connections."""

from __future__ import annotations

import itertools
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest
import requests

from scripts.errors import RegistryError
from scripts.release.challenge import Challenge, parse_challenges
from scripts.release.credentials import Credential
from scripts.release.patience import Patience
from scripts.release.reference import Repository, parse_repository
from scripts.release.refusal import (
    Answer,
    DeniedError,
    NotFoundError,
    TemporaryError,
    UnsupportedError,
    parse_complaint,
    place,
    printable,
    refusal,
)
from scripts.release.tokens import join_scopes, scope
from scripts.release.transport import Transport
from scripts.release.wire import BODY_LIMIT, Request, origin_of

from .faulty_registry import NOW, Act, Client, FaultyRegistry, connect, edit, hang_up, lose, say, stall
from .memory_registry import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

HIDDEN = "very-secret-word"
ROBOT = Credential(username="robot", password=HIDDEN)
BEARER = 'Bearer realm="{url}/token",service="registry"'


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as found:
        found.put(b"{}", "application/vnd.oci.image.manifest.v1+json", "1")
        yield found


@pytest.fixture
def client() -> Iterator[Client]:
    with connect() as found:
        yield found


def fetch(
    client: Client, repository: Repository, path: str = "/manifests/1", method: str = "GET", body: bytes = b""
) -> Answer:
    request = Request(
        repository=repository, wanted="the thing", method=method, url=f"{repository.url}{path}", body=body
    )
    return client.transport.request(request, scope(repository, "pull"))


def refused(client: Client, repository: Repository, kind: type[RegistryError], path: str = "/manifests/1") -> str:
    with pytest.raises(RegistryError) as caught:
        fetch(client, repository, path)
    assert type(caught.value) is kind
    assert caught.value.exit_code == 4
    assert HIDDEN not in str(caught.value)
    return str(caught.value)


# Challenges and scopes


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ()),
        ("Basic", (Challenge("basic"),)),
        ('basic realm="a \\"b\\", c"', (Challenge("basic", {"realm": 'a "b", c'}),)),
        (
            'Bearer realm="https://a.b/t?x=1" , Service = s , scope="repository:a/b:pull,push"',
            (Challenge("bearer", {"realm": "https://a.b/t?x=1", "service": "s", "scope": "repository:a/b:pull,push"}),),
        ),
        ('Negotiate, Basic realm="x"', (Challenge("negotiate"), Challenge("basic", {"realm": "x"}))),
        ("NTLM TlRMTVNTUAAB==, Basic realm=x", (Challenge("ntlm"), Challenge("basic", {"realm": "x"}))),
        ('Bearer realm="open', (Challenge("bearer"),)),
        ('realm="x"', ()),
        ("=", ()),
    ],
)
def test_a_challenge_is_read(header: str, expected: tuple[Challenge, ...]) -> None:
    found = parse_challenges(header)
    assert found[: len(expected)] == expected if header.startswith('Bearer realm="open') else found == expected


def test_scopes_of_one_repository_become_one() -> None:
    a, b = Repository("quay.io", "a"), Repository("quay.io", "b")
    assert scope(a, "pull", "push") == "repository:a:pull,push"
    assert join_scopes([scope(a, "pull", "push"), scope(b, "pull"), "repository:a:delete,pull"]) == (
        "repository:a:pull,push,delete",
        "repository:b:pull",
    )


# Words


@pytest.mark.parametrize(
    ("body", "codes", "text"),
    [
        (b"", (), ""),
        (b"<html>", (), ""),
        (b"[]", (), ""),
        (b'{"errors": ["x"]}', (), ""),
        (b'{"errors": [{"code": "DENIED"}]}', ("DENIED",), "DENIED"),
        (b'{"errors": [{"code": "A", "message": "b"}, {"code": "C", "message": null}]}', ("A", "C"), "A: b; C"),
    ],
)
def test_the_registrys_errors_are_read(body: bytes, codes: tuple[str, ...], text: str) -> None:
    found = parse_complaint(body)
    assert (found.codes, found.text) == (codes, text)


def test_a_strangers_words_do_nothing_to_a_terminal_and_have_an_end() -> None:
    assert printable("a\x1b[31m\r\n  b\u202e") == "a [31m b"
    assert printable("x" * 301) == "x" * 300 + "..."


def test_an_address_in_a_message_has_no_query_and_no_password() -> None:
    assert place("https://robot:pw@a.b:1/c/d?signature=x#y") == "https://a.b:1/c/d"


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Quay.io/v2/", "https://quay.io"),
        ("https://quay.io:443/v2/", "https://quay.io"),
        ("http://quay.io:443/v2/", "http://quay.io:443"),
        ("http://u:p@localhost:80", "http://localhost"),
        ("https://[::1]:5000/x", "https://[::1]:5000"),
    ],
)
def test_two_origins_can_be_compared(url: str, origin: str) -> None:
    assert origin_of(url) == origin


STATUSES = [
    (400, RegistryError, "400 Bad Request (CODE: why)"),
    (401, DeniedError, "401 Unauthorized (CODE: why): log in with `docker login {host}`"),
    (
        403,
        DeniedError,
        (
            "403 Forbidden (CODE: why): this account may not: ask for the right, or log in as another with "
            "`docker login {host}`"
        ),
    ),
    (404, NotFoundError, "404 Not Found (CODE: why): check the name, and that it was pushed"),
    (
        405,
        UnsupportedError,
        "405 Method Not Allowed (CODE: why): this registry does not do that, or is set up not to",
    ),
    (409, RegistryError, "409 Conflict (CODE: why)"),
    (
        413,
        RegistryError,
        (
            "413 Request Entity Too Large (CODE: why): a proxy in front of it limits the size of a request: raise that, "
            "or send in chunks"
        ),
    ),
    (501, UnsupportedError, "501 Not Implemented (CODE: why): this registry does not do that, or is set up not to"),
    (599, TemporaryError, "599 (CODE: why): the registry fails; try again later"),
]


@pytest.mark.parametrize(("status", "kind", "message"), STATUSES)
def test_a_refusal_says_what_came_back_and_what_to_do(status: int, kind: type[RegistryError], message: str) -> None:
    repository = parse_repository("quay.io/vessl-ai/torch")
    answer = Answer(status=status, headers={}, body=errors("CODE", "why"), url=f"{repository.url}/manifests/1")
    error = refusal(answer, repository, "manifest 1")
    assert type(error) is kind
    assert str(error) == f"quay.io/vessl-ai/torch: manifest 1: got {message.format(host='quay.io')}"


def test_a_refusal_of_another_host_says_which_and_unsupported_is_that_with_any_status() -> None:
    repository = parse_repository("quay.io/a")
    answer = Answer(status=403, headers={}, body=b"<xml/>", url="https://storage.example/x?signature=y")
    assert str(refusal(answer, repository, "blob")) == (
        "quay.io/a: blob: got 403 Forbidden from storage.example: this account may not: ask for the right, or log in "
        "as another with `docker login quay.io`"
    )
    answer = Answer(status=400, headers={}, body=errors("UNSUPPORTED", "no"), url=repository.url)
    assert isinstance(refusal(answer, repository, "blob"), UnsupportedError)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 501])
def test_what_will_not_change_is_not_tried_again(registry: FaultyRegistry, client: Client, status: int) -> None:
    registry.fail("GET", "/manifests/", say(status, errors("CODE", "why")), times=9)
    with pytest.raises(RegistryError):
        fetch(client, registry.repository())
    assert registry.log == ["GET /v2/vessl-ai/torch/manifests/1"]
    assert client.slept == []


# Retries


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_is_temporary_is_tried_again(registry: FaultyRegistry, client: Client, status: int) -> None:
    registry.fail("GET", "/manifests/", say(status), times=4)
    assert fetch(client, registry.repository()).body == b"{}"
    assert client.slept == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("act", [hang_up, lose, edit(cut=1)])
def test_a_connection_that_breaks_is_made_again(registry: FaultyRegistry, client: Client, act: Act) -> None:
    registry.fail("GET", "/manifests/", act, times=2)
    assert fetch(client, registry.repository()).body == b"{}"
    assert client.slept == [0.5, 1.0]


@pytest.mark.parametrize(
    ("asked", "slept"),
    [("7", 7.5), (formatdate(NOW + 30, usegmt=True), 30.5), (formatdate(NOW - 30, usegmt=True), 0.5), ("soon", 0.5)],
)
def test_a_wait_that_is_asked_for_is_waited(registry: FaultyRegistry, client: Client, asked: str, slept: float) -> None:
    registry.fail("GET", "/manifests/", say(429, Retry_After=asked))
    assert fetch(client, registry.repository()).status == 200
    assert client.slept == [slept]


def test_a_wait_of_hours_is_not(registry: FaultyRegistry, client: Client) -> None:
    registry.fail("GET", "/manifests/", say(429, errors("TOOMANYREQUESTS", "slow down"), Retry_After="3600"))
    with pytest.raises(TemporaryError) as caught:
        fetch(client, registry.repository())
    assert caught.value.retry_after == 3600
    assert str(caught.value) == (
        f"{registry.repository()}: the thing: got 429 Too Many Requests (TOOMANYREQUESTS: slow down): too many "
        "requests; try again in 3600 s"
    )
    assert client.slept == []


def test_patience_has_an_end(registry: FaultyRegistry, client: Client) -> None:
    registry.fail("GET", "/manifests/", say(503, b"<html>"), times=9)
    assert refused(client, registry.repository(), TemporaryError) == (
        f"{registry.repository()}: the thing: got 503 Service Unavailable: the registry fails; try again later"
    )
    assert len(registry.requests) == 5


def test_the_wait_grows_to_a_limit_and_has_jitter() -> None:
    slept: list[float] = []
    patience = Patience(attempts=9, sleep=slept.append, random=iter([0.0, 1.0] * 4).__next__)
    assert all(patience.wait(attempt) for attempt in range(1, 9))
    assert slept == [0.25, 1.0, 1.0, 4.0, 4.0, 16.0, 10.0, 20.0]
    assert not patience.wait(9)


def test_a_registry_that_does_not_answer_is_given_up(registry: FaultyRegistry) -> None:
    registry.fail("GET", "/manifests/", stall, times=9)
    with connect(read=0.1, attempts=2) as client:
        assert refused(client, registry.repository(), TemporaryError) == (
            f"{registry.repository()}: the thing: {registry.host}: no answer within 0.1 s"
        )
        assert client.slept == [0.5]


def test_an_answer_that_stops_in_the_middle_is_given_up(registry: FaultyRegistry) -> None:
    registry.fail("GET", "/manifests/", edit(Content_Length="100"), times=9)
    with connect(read=0.1, attempts=1) as client:
        assert refused(client, registry.repository(), TemporaryError) == (
            f"{registry.repository()}: the thing: {registry.host}: nothing more within 0.1 s"
        )


@pytest.mark.parametrize(
    ("act", "why"),
    [(hang_up, "the connection broke"), (edit(cut=1), "the connection broke in the middle of the answer")],
)
def test_a_connection_that_breaks_every_time_is_given_up(registry: FaultyRegistry, act: Act, why: str) -> None:
    registry.fail("GET", "/manifests/", act, times=9)
    with connect(attempts=2) as client:
        message = refused(client, registry.repository(), TemporaryError)
        assert message == f"{registry.repository()}: the thing: {registry.host}: {why}"


def test_a_registry_that_is_not_running_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{taken.getsockname()[1]}"
        with connect(attempts=2) as client:
            assert refused(client, parse_repository(f"{host}/a"), TemporaryError) == (
                f"{host}/a: the thing: {host}: connection refused: is the registry running?"
            )
            assert client.slept == [0.5]


def test_a_host_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    with connect(attempts=1) as client:
        assert refused(client, parse_repository("registry.invalid/a"), TemporaryError) == (
            "registry.invalid/a: the thing: registry.invalid: host not found"
        )


def test_tls_with_what_does_not_speak_it_is_named(registry: FaultyRegistry, client: Client) -> None:
    repository = registry.repository()
    request = Request(
        repository=repository, wanted="the thing", method="GET", url=f"https://{registry.host}/v2/a/manifests/1"
    )
    with pytest.raises(RegistryError) as caught:
        client.transport.request(request)
    assert type(caught.value) is RegistryError
    assert str(caught.value) == f"{repository}: the thing: {registry.host}: TLS failed: it speaks plain HTTP"
    assert client.slept == []


def test_a_certificate_that_is_not_trusted_is_named(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def distrust(*_: object, **__: object) -> None:
        raise requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED")

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", distrust)
    assert refused(client, parse_repository("quay.io/a"), RegistryError) == (
        "quay.io/a: the thing: quay.io: TLS failed: its certificate is not trusted here (REQUESTS_CA_BUNDLE)"
    )
    assert client.slept == []


def test_an_answer_without_end_is_not_taken_into_memory(registry: FaultyRegistry, client: Client) -> None:
    registry.fail("GET", "/manifests/", edit(body=bytes(BODY_LIMIT + 1)))
    assert refused(client, registry.repository(), RegistryError) == (
        f"{registry.repository()}: the thing: the answer is over {BODY_LIMIT} bytes"
    )


def test_what_a_registry_warns_of_is_passed_on_once(registry: FaultyRegistry, client: Client) -> None:
    warning = '299 - "this \\"tag\\" goes away", 110 - "stale", 299 - "full"'
    registry.fail("GET", "/manifests/", edit(Warning=warning), times=2)
    for _ in range(2):
        fetch(client, registry.repository())
    assert client.warned == [f'{registry.host} says: this \\"tag\\" goes away', f"{registry.host} says: full"]


def test_a_registry_on_loopback_is_never_asked_through_a_proxy(
    registry: FaultyRegistry, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert fetch(client, registry.repository()).status == 200


def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, f"http://me:{HIDDEN}@127.0.0.1:1")
    with connect(attempts=1) as client:
        assert refused(client, parse_repository("registry.invalid/a"), TemporaryError) == (
            "registry.invalid/a: the thing: registry.invalid: the proxy gave no connection (HTTPS_PROXY)"
        )


# Redirects


def test_a_redirect_is_followed_and_authorization_stays_at_home(registry: FaultyRegistry) -> None:
    registry.challenge, registry.users = 'Basic realm="x"', {"robot": HIDDEN}
    with FaultyRegistry() as storage, connect(ROBOT) as client:
        storage.put(b"[]", "application/json", "1")
        fetch(client, registry.repository())
        target = f"{storage.repository().url}/manifests/1?signature=abc"
        for status in (301, 302, 303, 307, 308):
            registry.fail("GET", "/manifests/", say(status, Location=target))
            assert fetch(client, registry.repository()).body == b"[]"
        assert all("Authorization" in seen.headers for seen in registry.requests[1:])
        assert [seen.headers.get("Authorization") for seen in storage.requests] == [None] * 5
        assert {str(seen) for seen in storage.requests} == {"GET /v2/vessl-ai/torch/manifests/1?signature=abc"}


def test_a_redirect_to_the_same_host_may_be_relative_and_takes_authorization_along(registry: FaultyRegistry) -> None:
    registry.challenge, registry.users = 'Basic realm="x"', {"robot": HIDDEN}
    with connect(ROBOT) as client:
        fetch(client, registry.repository())
        registry.fail("GET", "/manifests/1", say(307, Location="../manifests/1?again"))
        assert fetch(client, registry.repository()).status == 200
    assert [str(seen) for seen in registry.requests[-2:]] == [
        "GET /v2/vessl-ai/torch/manifests/1",
        "GET /v2/vessl-ai/torch/manifests/1?again",
    ]
    assert registry.requests[-1].headers["Authorization"].startswith("Basic ")


def test_another_hosts_401_gets_no_login(registry: FaultyRegistry) -> None:
    with FaultyRegistry() as storage, connect(ROBOT) as client:
        storage.challenge = 'Basic realm="x"'
        registry.fail("GET", "/manifests/", say(307, Location=f"{storage.repository().url}/manifests/1"))
        assert refused(client, registry.repository(), DeniedError) == (
            f"{registry.repository()}: the thing: got 401 Unauthorized (UNAUTHORIZED: authentication required) from "
            f"{storage.host}: log in with `docker login {registry.host}`"
        )
        assert client.asked == []


def test_a_failure_behind_a_redirect_is_tried_again_from_the_start(registry: FaultyRegistry, client: Client) -> None:
    with FaultyRegistry() as storage:
        storage.put(b"[]", "application/json", "1")
        storage.fail("GET", "/manifests/", say(503))
        target = f"{storage.repository().url}/manifests/1"
        registry.fail("GET", "/manifests/", say(307, Location=target), times=2)
        assert fetch(client, registry.repository()).body == b"[]"
        assert len(registry.requests) == 2


def test_redirects_in_a_circle_have_an_end(registry: FaultyRegistry, client: Client) -> None:
    registry.fail("GET", "/manifests/", say(302, Location="1?signature=x"), times=99)
    assert refused(client, registry.repository(), RegistryError) == (
        f"{registry.repository()}: the thing: more than 5 redirects, now http://{registry.host}/v2/vessl-ai/torch/manifests/1"
    )
    assert len(registry.requests) == 6


@pytest.mark.parametrize("location", ["http://[x/y?signature=x", "http://a:b/c?signature=x"])
def test_a_redirect_to_no_address_is_refused(registry: FaultyRegistry, client: Client, location: str) -> None:
    registry.fail("GET", "/manifests/", say(307, Location=location))
    assert refused(client, registry.repository(), RegistryError) == (
        f"{registry.repository()}: the thing: the registry leads to '{location[:-12]}', which is no address"
    )


def test_a_redirect_to_something_that_is_no_web_is_refused(registry: FaultyRegistry, client: Client) -> None:
    registry.fail("GET", "/manifests/", say(307, Location="ftp://a.example/b?signature=x"))
    assert refused(client, registry.repository(), RegistryError) == (
        f"{registry.repository()}: the thing: a.example: cannot be asked: InvalidSchema"
    )


def test_a_put_is_sent_to_where_a_307_leads_but_not_a_302(registry: FaultyRegistry, client: Client) -> None:
    registry.fail("PUT", "/manifests/1", say(307, Location="2"))
    with pytest.raises(RegistryError) as caught:
        fetch(client, registry.repository(), method="PUT", body=b"{}")
    assert str(caught.value).endswith("the thing: got 201 Created")
    assert [(str(seen), bytes(seen.body)) for seen in registry.requests] == [
        ("PUT /v2/vessl-ai/torch/manifests/1", b"{}"),
        ("PUT /v2/vessl-ai/torch/manifests/2", b"{}"),
    ]
    registry.fail("PUT", "/manifests/1", say(302, Location="2"))
    with pytest.raises(RegistryError) as caught:
        fetch(client, registry.repository(), method="PUT", body=b"{}")
    assert str(caught.value).endswith("the thing: got 302 Found")


def test_nothing_goes_over_plain_http_for_a_registry_that_has_https(registry: FaultyRegistry, client: Client) -> None:
    repository = parse_repository("quay.io/a")
    url = f"http://{registry.host}/v2/a/manifests/1?signature=x"
    with pytest.raises(RegistryError) as caught:
        client.transport.request(Request(repository=repository, wanted="the thing", method="GET", url=url))
    assert str(caught.value) == (
        f"quay.io/a: the thing: http://{registry.host}/v2/a/manifests/1 is not HTTPS, and the registry is: nothing was "
        "sent there (a proxy in front of the registry must set X-Forwarded-Proto)"
    )
    assert registry.requests == []


# Who we are


def test_a_registry_that_wants_no_login_is_told_none(registry: FaultyRegistry) -> None:
    with connect(ROBOT) as client:
        fetch(client, registry.repository())
        assert client.asked == []
    assert "Authorization" not in registry.requests[0].headers


def test_netrc_and_cookies_are_not_for_registries(
    registry: FaultyRegistry, client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / ".netrc").write_text(f"default login me password {HIDDEN}\n")
    monkeypatch.setenv("HOME", str(home))
    registry.fail("GET", "/manifests/", edit(Set_Cookie="a=b"))
    for _ in range(2):
        fetch(client, registry.repository())
    assert all("Authorization" not in seen.headers and "Cookie" not in seen.headers for seen in registry.requests)


def test_basic_is_answered_once_and_then_sent_at_once(registry: FaultyRegistry) -> None:
    registry.challenge, registry.users = 'Basic realm="x"', {"robot": HIDDEN}
    with connect(ROBOT) as client:
        for name in ("vessl-ai/torch", "vessl-ai/torch"):
            fetch(client, registry.repository(name))
        assert client.asked == [registry.host]
    assert len(registry.requests) == 3


@pytest.mark.parametrize("credential", [None, Credential(username="robot", password="wrong-word")])  # noqa: S106
def test_basic_without_the_right_password_is_refused_at_once(
    registry: FaultyRegistry, credential: Credential | None
) -> None:
    registry.challenge, registry.users = 'Basic realm="x"', {"robot": HIDDEN}
    with connect(credential) as client:
        for count in (2, 3) if credential else (1, 2):
            assert refused(client, registry.repository(), DeniedError) == (
                f"{registry.repository()}: the thing: got 401 Unauthorized (UNAUTHORIZED: authentication required): "
                f"log in with `docker login {registry.host}`"
            )
            assert len(registry.requests) == count
        assert client.slept == []


@pytest.fixture
def guarded(registry: FaultyRegistry) -> FaultyRegistry:
    registry.challenge = BEARER.format(url=f"http://{registry.host}")
    registry.users = {"robot": HIDDEN}
    return registry


def test_a_token_is_fetched_for_the_repository_and_kept(guarded: FaultyRegistry) -> None:
    guarded.put(b"{}", "application/json", "1", name="b")
    with connect(ROBOT) as client:
        for name in ("vessl-ai/torch", "vessl-ai/torch", "b", "b"):
            fetch(client, guarded.repository(name))
    assert guarded.log == [
        "GET /v2/vessl-ai/torch/manifests/1",
        "GET /token?service=registry&scope=repository%3Avessl-ai%2Ftorch%3Apull",
        "GET /v2/vessl-ai/torch/manifests/1",
        "GET /v2/vessl-ai/torch/manifests/1",
        "GET /token?service=registry&scope=repository%3Ab%3Apull",
        "GET /v2/b/manifests/1",
        "GET /v2/b/manifests/1",
    ]


def test_what_the_challenge_wants_is_asked_for_too(guarded: FaultyRegistry) -> None:
    guarded.challenge += ',scope="repository:vessl-ai/torch:push repository:other:pull"'
    with connect(ROBOT) as client:
        fetch(client, guarded.repository())
    assert guarded.tokens == {
        "secret-token-1": {"repository:vessl-ai/torch:pull,push", "repository:other:pull"},
    }


def test_a_public_repository_needs_a_token_but_no_credential(guarded: FaultyRegistry, client: Client) -> None:
    guarded.users = {}
    assert fetch(client, guarded.repository()).status == 200
    assert "Authorization" not in guarded.requests[1].headers


def test_an_identity_token_is_changed_for_one_by_post(guarded: FaultyRegistry) -> None:
    with connect(Credential(identity_token="identity")) as client:  # noqa: S106
        assert fetch(client, guarded.repository()).status == 200
    assert guarded.log[1] == "POST /token"
    assert guarded.requests[1].body.decode() == (
        "grant_type=refresh_token&client_id=images&refresh_token=identity&"
        "scope=repository%3Avessl-ai%2Ftorch%3Apull&service=registry"
    )


def test_a_token_that_the_registry_no_longer_takes_is_renewed_once(guarded: FaultyRegistry) -> None:
    with connect(ROBOT) as client:
        fetch(client, guarded.repository())
        guarded.tokens.clear()
        fetch(client, guarded.repository())
        assert len([line for line in guarded.log if "/token" in line]) == 2
        guarded.fail("GET", "/manifests/", say(401, Www_Authenticate=guarded.challenge), times=9)
        before = len(guarded.requests)
        assert refused(client, guarded.repository(), DeniedError) == (
            f"{guarded.repository()}: the thing: got 401 Unauthorized: log in with `docker login {guarded.host}`"
        )
        assert len(guarded.requests) - before == 3
        assert client.slept == []


@pytest.mark.parametrize(("lifetime", "fetched"), [(100, 2), (200, 1), (None, 2)])
def test_a_token_is_not_used_to_its_very_end(guarded: FaultyRegistry, lifetime: int | None, fetched: int) -> None:
    guarded.lifetime = lifetime
    now = itertools.chain([NOW], itertools.repeat(NOW + 91))
    with Transport(credentials=lambda _: ROBOT, patience=Patience(clock=now.__next__)) as transport:
        for _ in range(2):
            fetch(Client(transport, [], [], []), guarded.repository())
    assert len(guarded.tokens) == fetched
    assert len(guarded.requests) == 3 + fetched


def test_many_threads_fetch_one_token(guarded: FaultyRegistry) -> None:
    together = threading.Barrier(4)
    with connect(ROBOT) as client, ThreadPoolExecutor(4) as pool:

        def run(_: int) -> int:
            together.wait()
            return fetch(client, guarded.repository()).status

        assert list(pool.map(run, range(4))) == [200] * 4
        guarded.tokens.clear()
        assert list(pool.map(run, range(4))) == [200] * 4
        assert client.asked == [guarded.host]
    assert len([line for line in guarded.log if "/token" in line]) == 2


def test_a_token_server_that_refuses_us_says_where_to_log_in(guarded: FaultyRegistry) -> None:
    guarded.users = {"robot": "another-word"}
    with connect(ROBOT) as client:
        assert refused(client, guarded.repository(), DeniedError) == (
            f"{guarded.repository()}: login: http://{guarded.host}/token refused the credential of {guarded.host}: "
            f"log in with `docker login {guarded.host}`"
        )
    with connect() as client:
        assert refused(client, guarded.repository(), DeniedError) == (
            f"{guarded.repository()}: login: http://{guarded.host}/token refused a request without credential: "
            f"log in with `docker login {guarded.host}`"
        )


def test_a_token_server_is_tried_again_like_any_other(guarded: FaultyRegistry) -> None:
    guarded.fail("GET", "/token", say(503, Retry_After="3"))
    guarded.fail("GET", "/token", hang_up)
    with connect(ROBOT) as client:
        assert fetch(client, guarded.repository()).status == 200
        assert client.slept == [3.5, 1.0]


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"token": ""}', b'{"token": 3, "access_token": ["x"]}', b"<html>"]
)
def test_an_answer_without_token_is_no_login(guarded: FaultyRegistry, body: bytes) -> None:
    guarded.fail("GET", "/token", say(200, body))
    with connect(ROBOT) as client:
        assert refused(client, guarded.repository(), RegistryError) == (
            f"{guarded.repository()}: login: http://{guarded.host}/token gave no token"
        )


def test_oauths_name_of_a_token_is_known(guarded: FaultyRegistry) -> None:
    guarded.tokens["x"] = {"repository:vessl-ai/torch:pull"}
    guarded.fail("GET", "/token", say(200, b'{"access_token": "x"}'))
    with connect(ROBOT) as client:
        assert fetch(client, guarded.repository()).status == 200


@pytest.mark.parametrize("challenge", ["Bearer", 'Bearer realm="ftp://x"'])
def test_a_challenge_without_a_token_server_is_no_challenge(registry: FaultyRegistry, challenge: str) -> None:
    registry.challenge = challenge
    with connect(ROBOT) as client:
        assert refused(client, registry.repository(), RegistryError) == (
            f"{registry.repository()}: login: the registry names no token server to log in at"
        )


@pytest.mark.parametrize("challenge", ["Negotiate", ""])
def test_a_login_of_another_kind_is_none(registry: FaultyRegistry, challenge: str) -> None:
    registry.fail("GET", "/manifests/", say(401, Www_Authenticate=challenge), times=9)
    with connect(ROBOT) as client:
        assert refused(client, registry.repository(), DeniedError) == (
            f"{registry.repository()}: the thing: got 401 Unauthorized: log in with `docker login {registry.host}`"
        )
    assert len(registry.requests) == 1


def test_a_secret_that_is_sent_back_is_not_passed_on(guarded: FaultyRegistry) -> None:
    said = errors("DENIED", f"you said {HIDDEN} and secret-token-1")
    guarded.fail("GET", "/manifests/", say(403, said), skip=1)
    with connect(ROBOT) as client:
        assert refused(client, guarded.repository(), DeniedError) == (
            f"{guarded.repository()}: the thing: got 403 Forbidden (DENIED: you said *** and ***): this account may "
            f"not: ask for the right, or log in as another with `docker login {guarded.host}`"
        )
        guarded.fail("GET", "/token", say(400, errors("BAD", f"what is {HIDDEN}?")))
        guarded.tokens.clear()
        assert refused(client, guarded.repository(), RegistryError) == (
            f"{guarded.repository()}: login: got 400 Bad Request (BAD: what is ***?)"
        )


def test_what_is_on_another_host_gets_no_authorization(guarded: FaultyRegistry) -> None:
    with FaultyRegistry() as storage, connect(ROBOT) as client:
        fetch(client, guarded.repository())
        storage.challenge = guarded.challenge
        request = Request(
            repository=guarded.repository(), wanted="x", method="PUT", url=f"http://{storage.host}/v2/u?s", body=b"x"
        )
        with pytest.raises(DeniedError):
            client.transport.request(request, scope(guarded.repository(), "pull"))
        assert "Authorization" not in storage.requests[0].headers

"""One HTTP exchange with a registry: connections, timeouts, redirects, and retries of what is temporary.

Knows nothing of tokens: it carries the ``Authorization`` that it is given, and never to another host.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter

from scripts.errors import RegistryError
from scripts.release.reference import is_loopback
from scripts.release.refusal import Answer, TemporaryError, place, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scripts.release.patience import Patience
    from scripts.release.reference import Repository

REDIRECTS = 5
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
BODY_LIMIT = 32 * 1024 * 1024
"""Bytes of an answer that is read into memory: manifests, listings, errors. Blobs are not."""
BLOCK = 256 * 1024
"""Bytes that are sent or received at a time."""
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds without a sign of life until a connection counts as broken."""

    connect: float = 10.0
    read: float = 60.0
    upload: float = 300.0
    """For a step of an upload: a registry may move gigabytes to its storage before it answers."""


class Stream(Protocol):
    """A body that is read from somewhere as it is sent."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[bytes]: ...
    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, nothing at the end."""

    def rewind(self) -> None:
        """Go back to the start, to be sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a registry."""

    repository: Repository
    wanted: str
    """A noun for messages: ``manifest of 3.11-r14``."""
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Stream = b""
    sink: Callable[[Answer, Iterator[bytes]], None] | None = None
    """Takes the body of a good answer block by block, in place of ``Answer.body``."""
    retry: bool = True
    """Try again by itself; if not, one failure is the end, and the caller knows what to do."""


class _Adapter(HTTPAdapter):
    """Sends in larger blocks than urllib3's 16 KiB."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, blocksize=BLOCK, **options)


class Wire:
    """Connections to registries, to be used by several threads at once, and closed."""

    def __init__(
        self, *, patience: Patience, timeouts: Timeouts, connections: int, warn: Callable[[str], None]
    ) -> None:
        self._patience = patience
        self._timeouts = timeouts
        self._warn = warn
        self._warned: set[str] = set()
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(pool_maxsize=connections))

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def exchange(self, request: Request, authorization: str | None) -> Answer:
        """Send a request, and again while the failure is temporary and patience lasts.

        :param authorization: value of the header; only for the host of the request, not for those it redirects to.
        :raises TemporaryError: if no answer came. An answer of any status is returned.
        :raises RegistryError: if it cannot be sent: TLS, a redirect without end or to plain HTTP.
        """
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._follow(request, authorization)
            except TemporaryError:
                if not (request.retry and self._patience.wait(attempt)):
                    raise
                continue
            temporary = answer.status == 429 or (answer.status >= 500 and answer.status != 501)
            asked = self._patience.parse_retry_after(answer.headers.get("Retry-After"))
            if not (temporary and request.retry and self._patience.wait(attempt, asked)):
                return answer

    def _follow(self, request: Request, authorization: str | None) -> Answer:
        url = request.url
        for _ in range(REDIRECTS + 1):
            if urlsplit(url).scheme != "https" and request.repository.origin.startswith("https:"):
                raise RegistryError(
                    f"{request.repository}: {request.wanted}: {place(url)} is not HTTPS, and the registry is: nothing "
                    f"was sent there (a proxy in front of the registry must set X-Forwarded-Proto)"
                )
            at_home = origin_of(url) == origin_of(request.url)
            answer = self._send(request, url, authorization if at_home else None)
            location = answer.headers.get("Location")
            as_it_is = request.method in {"GET", "HEAD"} or answer.status in {307, 308}
            if answer.status not in REDIRECT_STATUSES or not location or not as_it_is:
                return answer
            url = resolve(request.repository, request.wanted, url, location)
        raise RegistryError(
            f"{request.repository}: {request.wanted}: more than {REDIRECTS} redirects, now {place(url)}"
        )

    def _send(self, request: Request, url: str, authorization: str | None) -> Answer:
        headers = {"User-Agent": "images", "Accept-Encoding": "identity", **request.headers}
        if authorization:
            headers["Authorization"] = authorization
        if not isinstance(request.body, bytes):
            request.body.rewind()
        try:
            # Past the session's own prepare and send, which add what is in ~/.netrc, keep cookies and follow redirects.
            prepared = requests.Request(request.method, url, headers=headers, data=request.body or None).prepare()
            settings: dict[str, Any] = dict(self._session.merge_environment_settings(url, {}, True, None, None))  # noqa: FBT003
            if is_loopback(urlsplit(url).netloc):
                settings["proxies"] = {}
            adapter = self._session.get_adapter(url)
            with adapter.send(prepared, timeout=self._timeout(request), **settings) as response:
                return self._read(request, response)
        except requests.RequestException as error:
            raise self._failure(error, request, url) from error

    def _timeout(self, request: Request) -> tuple[float, float]:
        # urllib3 sends under the connect timeout; a registry that takes a long breath is not one that is away.
        if isinstance(request.body, bytes):
            return (self._timeouts.connect, self._timeouts.read)
        return (self._timeouts.upload, self._timeouts.upload)

    def _read(self, request: Request, response: requests.Response) -> Answer:
        answer = Answer(status=response.status_code, headers=response.headers, body=b"", url=response.url)
        self._pass_on_warnings(request.repository, answer)
        if request.method == "HEAD":
            return answer
        if request.sink and response.status_code in {200, 206}:
            request.sink(answer, response.iter_content(BLOCK))
            return answer
        body = bytearray()
        for block in response.iter_content(BLOCK):
            body += block
            if len(body) > BODY_LIMIT:
                raise RegistryError(f"{request.repository}: {request.wanted}: the answer is over {BODY_LIMIT} bytes")
        return Answer(status=answer.status, headers=answer.headers, body=bytes(body), url=answer.url)

    def _pass_on_warnings(self, repository: Repository, answer: Answer) -> None:
        """distribution-spec, "Warnings": only code 299, and a client should show them."""
        for text in _WARNING.findall(answer.headers.get("Warning", "")):
            line = f"{repository.registry} says: {printable(text)}"
            if line not in self._warned:
                self._warned.add(line)
                self._warn(line)

    def _failure(self, error: requests.RequestException, request: Request, url: str) -> RegistryError:
        """What a failure of the connection means, in words of our own: requests' have addresses with queries in them."""
        start = f"{request.repository}: {request.wanted}: {urlsplit(url).netloc.rpartition('@')[2]}: "
        connect, read = self._timeout(request)
        known: tuple[tuple[type[Exception], str], ...] = (
            (requests.exceptions.ProxyError, "the proxy gave no connection (HTTPS_PROXY)"),
            (requests.ConnectTimeout, f"no connection within {connect:g} s"),
            (requests.ReadTimeout, f"no answer within {read:g} s"),
            (requests.exceptions.ChunkedEncodingError, "the connection broke in the middle of the answer"),
        )
        if isinstance(error, requests.exceptions.SSLError):
            plain = "WRONG_VERSION_NUMBER" in repr(error)
            why = "it speaks plain HTTP" if plain else "its certificate is not trusted here (REQUESTS_CA_BUNDLE)"
            return RegistryError(f"{start}TLS failed: {why}")
        for kind, sentence in known:
            if isinstance(error, kind):
                return TemporaryError(start + sentence)
        if isinstance(error, requests.ConnectionError):
            return TemporaryError(start + _connection_failure(repr(error), read))
        return RegistryError(f"{start}cannot be asked: {type(error).__name__}")


def _connection_failure(text: str, read: float) -> str:
    """Requests has one class for all of these; urllib3's names inside tell them apart."""
    if "NameResolution" in text:
        return "host not found"
    if "Connection refused" in text:
        return "connection refused: is the registry running?"
    if "timed out" in text.lower():
        return f"nothing more within {read:g} s"
    return "the connection broke"


def resolve(repository: Repository, wanted: str, base: str, location: str) -> str:
    """The address that a registry names, as seen from where it names it.

    :raises RegistryError: if it is none.
    """
    try:
        url = urljoin(base, location)
        _ = urlsplit(url).port
    except ValueError as error:
        shown = printable(location.partition("?")[0])
        raise RegistryError(f"{repository}: {wanted}: the registry leads to {shown!r}, which is no address") from error
    return url


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, in the one form in which two can be compared."""
    parts = urlsplit(url.lower())
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host.removesuffix({'http': ':80', 'https': ':443'}.get(parts.scheme, ':'))}"

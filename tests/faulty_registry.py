"""A registry in this process that keeps the distribution-spec, until it is told to go wrong at one of its requests.

What goes wrong, and when, is the server's affair, so that a proxy before a real registry can do the same (``fault_proxy``).
"""

from __future__ import annotations

import contextlib
import http.server
import re
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from scripts.release.patience import Patience
from scripts.release.reference import Repository, parse_repository
from scripts.release.transport import Transport
from scripts.release.wire import Timeouts

from .memory_registry import MemoryRegistry, Reply, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.release.credentials import Credential

NOW = 1_800_000_000.0


class Exchange:
    """One request, to be handled as it should be, or not."""

    def __init__(self, registry: FaultyServer, handler: _Handler) -> None:
        self.registry = registry
        self._handler = handler
        parts = urlsplit(handler.path)
        headers = {name.title(): value for name, value in handler.headers.items()}
        self.seen = Seen(handler.command, parts.path, parts.query, headers)
        self._left = int(headers.get("Content-Length", "0"))

    def read(self, size: int | None = None) -> bytes:
        size = self._left if size is None else min(size, self._left)
        block = self._handler.rfile.read(size)
        if len(block) < size:
            raise ConnectionError("hung up in the middle of a body")
        self._left -= len(block)
        self.seen.body.extend(block)
        return block

    def handle(self) -> Reply:
        self.read()
        return self.registry.handle(self.seen)


Act = Callable[[Exchange], Reply | None]
"""What happens at a request; None cuts the connection."""


def say(status: int, body: bytes = b"", **headers: str) -> Act:
    """Answer this, and do nothing. Header names have underscores for dashes."""
    made = {name.replace("_", "-"): value for name, value in headers.items()}

    def act(exchange: Exchange) -> Reply:
        exchange.read()
        return Reply(status, dict(made), body)

    return act


def edit(cut: int | None = None, body: bytes | None = None, **headers: str | None) -> Callable[[Exchange], Reply]:
    """Do it, but answer with other headers (None: without), another body, or only the first bytes of it."""

    def act(exchange: Exchange) -> Reply:
        reply = exchange.handle()
        for name, value in headers.items():
            reply.headers[name.replace("_", "-")] = value or ""
        reply.body, reply.cut = reply.body if body is None else body, cut
        return reply

    return act


def lose(exchange: Exchange) -> None:
    """Do it, and cut the connection before the answer."""
    exchange.handle()


def hang_up(exchange: Exchange) -> None:
    """Cut the connection, and do nothing."""
    exchange.read()


def stall(exchange: Exchange) -> None:
    """Never answer."""
    exchange.registry.closing.wait()


def swallow(size: int, *, keep: bool = True) -> Callable[[Exchange], None]:
    """Cut the connection after so many bytes of an upload's body, which the registry keeps, or not."""

    def act(exchange: Exchange) -> None:
        block = exchange.read(size)
        if keep:
            assert isinstance(exchange.registry, FaultyRegistry)
            exchange.registry.uploads[exchange.seen.path.rpartition("/")[2]] += block

    return act


@dataclass
class Fault:
    method: str
    pattern: str
    act: Act
    times: int
    skip: int


class FaultyServer:
    """An HTTP server on loopback; a context that it serves in."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.registry = self
        self.host = f"127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self.requests: list[Seen] = []
        self.faults: list[Fault] = []
        self.lock = threading.Lock()
        self.closing = threading.Event()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        assert self._server.crashes == []

    def handle(self, seen: Seen) -> Reply:
        """What a request is answered with when nothing goes wrong."""
        raise NotImplementedError

    def repository(self, name: str = "vessl-ai/torch") -> Repository:
        return parse_repository(f"{self.host}/{name}")

    def fail(self, method: str, pattern: str, act: Act, *, times: int = 1, skip: int = 0) -> Fault:
        """Go wrong at the next requests of a method (``GET|HEAD``) whose path has the pattern in it, after ``skip`` of them."""
        self.faults.append(Fault(method, pattern, act, times, skip))
        return self.faults[-1]

    @property
    def log(self) -> list[str]:
        """The requests, without the host and the number of an upload."""
        return [re.sub(r"uploads/\d+", "uploads/N", str(seen)) for seen in self.requests]

    def take_fault(self, seen: Seen) -> Act | None:
        for fault in self.faults:
            if re.fullmatch(fault.method, seen.method) and re.search(fault.pattern, str(seen)) and fault.times:
                if fault.skip:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault.act
        return None


class FaultyRegistry(FaultyServer, MemoryRegistry):
    """The registry; a test may look into it, and change what it holds."""

    def __init__(self) -> None:
        FaultyServer.__init__(self)
        MemoryRegistry.__init__(self, self.host)

    def handle(self, seen: Seen) -> Reply:
        with self.lock:
            return self.answer(seen)


class _Server(http.server.ThreadingHTTPServer):
    # With the 5 of the library, one of eight connections at once may be dropped, and is tried again a second later.
    request_queue_size = 128
    registry: FaultyServer

    def __init__(self, address: tuple[str, int], handler: type[_Handler]) -> None:
        super().__init__(address, handler)
        self.crashes: list[str] = []

    def handle_error(self, *_: object) -> None:
        error = sys.exception()
        if not isinstance(error, ConnectionError):  # a client may hang up
            self.crashes.append(f"{type(error).__name__}: {error}")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def run(self) -> None:
        assert isinstance(self.server, _Server)
        registry = self.server.registry
        exchange = Exchange(registry, self)
        with registry.lock:
            registry.requests.append(exchange.seen)
            act = registry.take_fault(exchange.seen)
        reply = act(exchange) if act else exchange.handle()
        if reply is None:
            self._cut()
            return
        self.send_response(reply.status)
        for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: reply.cut])
        if reply.cut is not None:
            self.wfile.flush()
            self._cut()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = run  # noqa: N815 - the names are http.server's

    def _cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Client:
    """A transport whose waits take no time, and are noted."""

    transport: Transport
    slept: list[float]
    warned: list[str]
    asked: list[str]


@contextlib.contextmanager
def connect(credential: Credential | None = None, *, read: float = 5, attempts: int = 5) -> Iterator[Client]:
    slept: list[float] = []
    warned: list[str] = []
    asked: list[str] = []

    def find(registry: str) -> Credential | None:
        asked.append(registry)
        return credential

    patience = Patience(attempts=attempts, sleep=slept.append, clock=lambda: NOW, random=lambda: 1.0)
    timeouts = Timeouts(connect=read, read=read, upload=read)
    with Transport(credentials=find, patience=patience, timeouts=timeouts, warn=warned.append) as transport:
        yield Client(transport, slept, warned, asked)

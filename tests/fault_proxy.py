"""A proxy before a real registry that does at a chosen request what networks, registries and operating systems do.

Its faults are those of ``faulty_registry``, and here those that need a registry of its own behind it.
"""

from __future__ import annotations

import contextlib
import http.client
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from .faulty_registry import Exchange, FaultyServer
from .memory_registry import Reply

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from .faulty_registry import Act
    from .memory_registry import Seen

# RFC 9110, section 7.6.1: these are for one connection, and are made anew for the next.
HOP = frozenset({"Connection", "Keep-Alive", "Transfer-Encoding", "Date", "Server"})


class FaultProxy(FaultyServer):
    """The proxy; a registry that names its own address is asked under ours, so that all requests come here."""

    def __init__(self, upstream: str) -> None:
        """``upstream`` is host and port of the registry."""
        super().__init__()
        self.upstream = upstream

    def handle(self, seen: Seen) -> Reply:
        return self.forward(seen)

    def forward(self, seen: Seen, announced: int | None = None) -> Reply:
        """Send a request on and wait for its answer.

        :param announced: the length that its body is said to have, if that is not the one that it has: then the
            connection is cut after the body, and there is no answer.
        """
        connection = http.client.HTTPConnection(self.upstream, timeout=30)
        try:
            headers = {name: value for name, value in seen.headers.items() if name not in HOP}
            connection.putrequest(seen.method, _target(seen), skip_host=True, skip_accept_encoding=True)
            if seen.body or seen.method in {"PUT", "POST", "PATCH"}:
                headers["Content-Length"] = str(len(seen.body) if announced is None else announced)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(bytes(seen.body))
            if announced is not None:
                return Reply(0)
            answer = connection.getresponse()
            body = answer.read()
            found = {name.title(): value for name, value in answer.getheaders() if name.title() not in HOP}
            return Reply(answer.status, found, body)
        finally:
            connection.close()


def _target(seen: Seen) -> str:
    return f"{seen.path}{'?' if seen.query else ''}{seen.query}"


def proxy_of(exchange: Exchange) -> FaultProxy:
    assert isinstance(exchange.registry, FaultProxy)
    return exchange.registry


def kill_before(process: Callable[[], subprocess.Popen[str]]) -> Act:
    """Kill the one that asks; the registry never hears of it."""

    def act(exchange: Exchange) -> None:
        exchange.read()
        _kill(process())

    return act


def kill_after(process: Callable[[], subprocess.Popen[str]]) -> Act:
    """Kill the one that asks when the registry has done it, and before it is told."""

    def act(exchange: Exchange) -> None:
        exchange.handle()
        _kill(process())

    return act


def kill_amid(process: Callable[[], subprocess.Popen[str]]) -> Act:
    """Kill the one that asks in the middle of what it sends."""

    def act(exchange: Exchange) -> None:
        cut_upload(exchange)
        _kill(process())

    return act


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()


def cut_upload(exchange: Exchange) -> None:
    """Cut both connections in the middle of what is sent."""
    whole = int(exchange.seen.headers.get("Content-Length", "0"))
    exchange.read(whole // 2)
    with contextlib.suppress(OSError):
        proxy_of(exchange).forward(exchange.seen, announced=whole)


def cut_answer(exchange: Exchange) -> Reply:
    """Do it, and cut the connection in the middle of the answer."""
    reply = exchange.handle()
    reply.cut = len(reply.body) // 2
    return reply


def shorten_upload(exchange: Exchange) -> Reply:
    """Let only half of what is sent arrive, as if that were all."""
    exchange.read()
    del exchange.seen.body[len(exchange.seen.body) // 2 :]
    return proxy_of(exchange).handle(exchange.seen)


def shorten_answer(exchange: Exchange) -> Reply:
    """Do it, and let only half of the answer arrive, as if that were all."""
    reply = exchange.handle()
    reply.body = reply.body[: len(reply.body) // 2]
    reply.headers.pop("Content-Length", None)
    return reply


def fail_after(status: int) -> Act:
    """Do it, and say that it failed."""

    def act(exchange: Exchange) -> Reply:
        exchange.handle()
        return Reply(status)

    return act


def short_page(exchange: Exchange) -> Reply:
    """List a single tag to a page."""
    exchange.read()
    query = "&".join(["n=1", *(part for part in exchange.seen.query.split("&") if part.startswith("last="))])
    return proxy_of(exchange).handle(replace(exchange.seen, query=query))


class Stale:
    """Answer for a while from a repository that is a copy of how this one was."""

    def __init__(self, name: str, copy: str, seconds: float) -> None:
        self._name, self._copy, self._seconds = name, copy, seconds
        self._end: float | None = None

    def __call__(self, exchange: Exchange) -> Reply:
        exchange.read()
        now = time.monotonic()
        self._end = self._end or now + self._seconds
        if now > self._end:
            return proxy_of(exchange).handle(exchange.seen)
        path = exchange.seen.path.replace(f"/v2/{self._name}/", f"/v2/{self._copy}/")
        return proxy_of(exchange).handle(replace(exchange.seen, path=path))


def late(seconds: float) -> Act:
    """Do it when the one that asked has long given up."""

    def act(exchange: Exchange) -> None:
        exchange.read()
        exchange.registry.closing.wait(seconds)
        exchange.handle()

    return act

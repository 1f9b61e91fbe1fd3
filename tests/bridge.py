"""A BuildKit that listens on loopback as ``buildkitd`` does: the one inside a Docker engine, with a door of its own.

An engine answers BuildKit's calls on its own socket after a greeting; buildx's remote driver knows no greeting.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

GREETING = b"POST /grpc HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
BLOCK = 1 << 16


class Door:
    """A listening socket, and all that came through it."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self._door = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.port = self._door.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Be gone, as a machine that has lost its power is: in the middle of a word."""
        for end in (self._door, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                server = _greet(self.engine)
                self._ends += (client, server)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=_carry, args=pair, daemon=True).start()


@contextlib.contextmanager
def serve_buildkit(engine: str) -> Iterator[Door]:
    """A door to the BuildKit of an engine, given by its socket's path."""
    door = Door(engine)
    try:
        yield door
    finally:
        door.close()


def _greet(engine: str) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.connect(engine)
    server.sendall(GREETING)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += server.recv(1)
    assert answer.startswith(b"HTTP/1.1 101"), answer
    return server


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(BLOCK):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)

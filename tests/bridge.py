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


@contextlib.contextmanager
def serve_buildkit(engine: str) -> Iterator[str]:
    """The address of the BuildKit of an engine, given by its socket's path."""
    ends: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = door.accept()
                    server = _greet(engine)
                    ends.extend((client, server))
                    for pair in ((client, server), (server, client)):
                        threading.Thread(target=_carry, args=pair, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{door.getsockname()[1]}"
        finally:
            for end in ends:
                end.close()


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

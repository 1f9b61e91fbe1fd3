"""One publisher at a time on a machine; across machines, see ``claims``."""

from __future__ import annotations

import fcntl
import hashlib
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scripts.release.place import new_publisher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def locked(out: Path, say: Callable[[str], None]) -> Iterator[str]:
    """Hold the lock of this checkout's ``out/``, waiting for it as long as it takes; it ends with the process.

    Gives the publisher's name, the same at every run, so that a rerun knows the claims of one that was killed. It has
    the machine's name in it: a copy of ``out/`` on another machine is another publisher.
    """
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".publish.lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another publish of this checkout")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        word = file.read().strip()
        if not word:
            word = new_publisher()
            file.write(word)
            file.flush()
        yield hashlib.sha256(f"{socket.gethostname()} {word}".encode()).hexdigest()[:8]

"""One publisher at a time on a machine; across machines, see ``claims``."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@contextmanager
def locked(out: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of this checkout's ``out/``, waiting for it as long as it takes; it ends with the process."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / ".publish.lock").open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another publish of this checkout")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

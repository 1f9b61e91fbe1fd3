"""Ask several things at a time and take the answers in order, however many there are to ask."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")
CONNECTIONS = 8
"""Requests under way at the same time; a transport keeps as many connections."""
AHEAD = 4 * CONNECTIONS
"""Answers that wait for those before them: enough that a slow one does not stop the rest, and no more in memory."""


def ask_ahead(question: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """The answer for each item, in the order of the items, as ``map`` gives it.

    The first that fails ends it with its error, as does Ctrl-C: what was not begun by then is not asked any more, and
    what was is not waited for. An executor would, and a registry that hangs takes minutes with all its retries.
    """
    line: SimpleQueue[tuple[Future[R], T] | None] = SimpleQueue()
    for _ in range(CONNECTIONS):
        Thread(target=_answer, args=(question, line), daemon=True).start()
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(Future())
            line.put((waiting[-1], item))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        for _ in range(CONNECTIONS):
            line.put(None)


def _answer(question: Callable[[T], R], line: SimpleQueue[tuple[Future[R], T] | None]) -> None:
    """Answer what stands in line until it says that this was all."""
    for future, item in iter(line.get, None):
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(question(item))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the answer gets it
                future.set_exception(error)


class Once:
    """Answers that are asked for once, whichever of several threads comes first; the others wait for it."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: dict[str, Any] = {}

    def ask(self, key: str, question: Callable[[], R]) -> R:
        """The answer that is known under a key, else that of ``question``; an error is what all get who ask for it."""
        own: Future[R] = Future()
        with self._lock:
            found = self._known.setdefault(key, own)
        if found is not own:
            return cast("R", found.result() if isinstance(found, Future) else found)
        try:
            answer = question()
        except BaseException as error:
            own.set_exception(error)
            raise
        own.set_result(answer)
        self._known[key] = answer  # a future has a lock of its own, and there may be a hundred thousand
        return answer

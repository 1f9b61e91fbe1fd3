"""How far an upload is, or a long row of questions, for the person who waits."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scripts.release.upload import Blob, Outcome

T = TypeVar("T")

EVERY = 2.0
"""Seconds between two lines."""
SELDOM = 10.0
"""The same where it may take half an hour."""
WIDTH = 20
"""Characters of the bar."""


class Progress:
    """Adds up what the uploads of one image tell, and says so now and then."""

    def __init__(
        self, name: str, blobs: Iterable[Blob], say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.sizes = {blob.digest: blob.size for blob in blobs}
        self.sent: dict[str, int] = {}
        self.outcomes: dict[str, list[int]] = {}
        self._say, self._clock = say, clock
        self._last = clock()

    def __call__(self, blob: Blob, sent: int, outcome: Outcome | None) -> None:
        """Be told of a blob; see ``upload.upload_blobs``."""
        self.sent[blob.digest] = blob.size if outcome else sent
        if outcome:
            self.outcomes.setdefault(outcome, []).append(blob.size)
        if self._clock() - self._last >= EVERY:
            self._last = self._clock()
            done, total = sum(self.sent.values()), sum(self.sizes.values())
            full = done * WIDTH // max(total, 1)
            bar = "#" * full + "-" * (WIDTH - full)
            self._say(f"{self.name}: [{bar}] {done / 1e6:.0f} of {total / 1e6:.0f} MB, {done * 100 // max(total, 1)} %")

    @property
    def summary(self) -> str:
        """What became of the blobs: ``3 present, 2 mounted, 1 sent (12 MB)``."""
        parts = [
            f"{len(self.outcomes[name])} {name}" for name in ("present", "mounted", "sent") if name in self.outcomes
        ]
        sent = sum(self.outcomes.get("sent", ()))
        return ", ".join(parts) + (f" ({sent / 1e6:.0f} MB)" if sent else "")


def counted(
    answers: Iterable[T], total: int, name: str, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
) -> Iterator[T]:
    """The answers as they come, saying now and then how many of how many there are.

    :param name: what they are of.
    """
    last = clock()
    for number, answer in enumerate(answers, 1):
        if clock() - last >= SELDOM and number < total:
            last = clock()
            say(f"{name}: {number} of {total}")
        yield answer

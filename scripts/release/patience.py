"""How long to wait for a registry that is busy or failing, and when to stop."""

from __future__ import annotations

import email.utils
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Retries with jitter, so that many clients do not come back at the same moment. All times in seconds."""

    attempts: int = 5
    """Tries in all, the first one too."""
    first: float = 0.5
    """Longest wait before the second try; it doubles each time, up to ``longest``."""
    longest: float = 20.0
    obedience: float = 300.0
    """Longest ``Retry-After`` that is waited out; where more is asked for, that is the end at once."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""
    random: Callable[[], float] = random.random
    """From 0 up to 1."""

    def parse_retry_after(self, value: str | None) -> float | None:
        """Seconds from now that a ``Retry-After`` names, as a number or as a date (RFC 9110, section 10.2.3)."""
        if value is None:
            return None
        if value.strip().isdecimal():
            return float(value)
        try:
            when = email.utils.parsedate_to_datetime(value)
        except ValueError:
            return None
        return max(0.0, when.timestamp() - self.clock())

    def wait(self, attempt: int, asked: float | None = None) -> bool:
        """Sleep before the next try; False, without sleep, if there is to be none.

        :param attempt: number of the try that has failed, from 1.
        :param asked: seconds that the registry asked for.
        """
        if attempt >= self.attempts or (asked is not None and asked > self.obedience):
            return False
        ceiling = min(self.longest, self.first * 2 ** (attempt - 1))
        # What is asked for is the least; never nothing at all, or the registry gets it all at once.
        self.sleep(ceiling * (0.5 + self.random() / 2) if asked is None else asked + self.first * self.random())
        return True

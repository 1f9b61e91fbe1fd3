"""What was found of an image, and whether that is enough to take it for what it should be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scripts.build.wanted import Need

if TYPE_CHECKING:
    from collections.abc import Iterable


class State(StrEnum):
    """How sure something is."""

    PROVEN = "PROVEN"
    OPEN = "NOT PROVEN"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one thing, in a line."""

    what: str
    state: State
    by: str
    """Who says so; empty where nobody does."""
    why: str
    need: Need = Need.OPTIONAL
    """Whether it has to be proven."""

    @property
    def bad(self) -> bool:
        """Whether the image must not be taken for what it should be."""
        return self.state is State.FAILED or (self.state is State.OPEN and self.need is Need.REQUIRED)


def sums_up(findings: Iterable[Finding]) -> str:
    """Why an image is not to be trusted; empty if it is: something is proven, and nothing that is needed is missing."""
    found = list(findings)
    if bad := [f"{item.what} {item.state}" for item in found if item.bad]:
        return ", ".join(bad)
    return "" if any(item.state is State.PROVEN for item in found) else "nothing is proven"

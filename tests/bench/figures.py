"""What is measured, and what each figure is to be. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class Side(StrEnum):
    """What is built and measured; the value is its name in the results."""

    OURS = "ours"
    PLAIN = "plain"
    COMPILED = "plain, compiled"
    """The plain image as pip makes it by default: with bytecode."""
    SORTED = "plain, sorted"
    """The plain image with its steps in the best order."""


COMPILED: Final = (Side.PLAIN, Side.COMPILED)
SORTED: Final = (Side.PLAIN, Side.SORTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure; ``goal`` is the ratio plain : ours that it is to reach."""

    name: str
    """As ``--figures`` takes it."""
    title: str
    unit: str
    goal: float
    plain: tuple[Side, ...]
    """What ours is compared with: the first one by the goal."""
    exact: bool = False
    """The same each time, so it is measured once."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """All that is measured for it, in the order in which it is."""
        return (*self.plain, Side.OURS)


FIGURES: Final = {
    figure.name: figure
    for figure in (
        Figure(name="cold-build", title="cold build, empty caches", unit="s", goal=2.5, plain=COMPILED),
        Figure(name="bump", title="rebuild, one small package bumped", unit="s", goal=10, plain=SORTED),
        Figure(name="edit", title="rebuild, start-workspace edited", unit="s", goal=20, plain=SORTED),
        Figure(name="size", title="compressed size", unit="MB", goal=1.5, plain=COMPILED, exact=True),
        Figure(name="repull", title="pulled again after that bump", unit="MB", goal=20, plain=SORTED, exact=True),
        Figure(name="pull", title="cold pull from a local registry", unit="s", goal=2, plain=COMPILED),
        Figure(name="start", title="start to Jupyter /api/status", unit="s", goal=1.6, plain=COMPILED),
        Figure(name="import", title="import torch and the others", unit="s", goal=2.5, plain=COMPILED),
    )
}
BOUNDS: Final[Mapping[str, Mapping[str, str]]] = {
    "python:3.11": {
        "cold-build": "both cores are busy throughout: half of it is installing with bytecode, which alone takes pip close "
        "to a minute of one core, a quarter is pressing 2.9 GB with zstd",
        "size": "1.7 of its 2.9 GB are shared libraries, which zstd and gzip press nearly alike, and ours has the bytecode "
        "that makes it start quickly, 130 MB; zstd's level 7 would save another tenth of it for three times the work",
        "pull": "the network costs nothing here; containerd unpacks one layer after another, on one of the cores: more than "
        "half of that is the kernel's, which writes 2.9 GB in close to 90,000 files, a fifth of them the bytecode",
        "import": "what is left is running the modules and loading 1.7 GB of libraries; pip's default compiling gets there too",
    },
    "torch:2.3.1-cuda12.1": {
        "cold-build": "pressing with zstd is 81 s of ours; other work ran beside both on the same cores, and a run with less "
        "of it had 276 s : 156 s",
        "size": "1,179 MB of both are the base's layers, and most of the rest NVIDIA's libraries, which are not ours to change",
    },
}
"""What a figure of an image is bounded by where its goal was missed; found out by hand, on 2 cores, in November 2026."""

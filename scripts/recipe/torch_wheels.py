"""Which wheels of torch exist, so that a row that asks for one that does not is refused before anything is built."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.recipe.family import Row

TABLE = Path(__file__).with_name("torch_wheels.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchSeries:
    """The wheels of one minor release of torch; sources are in the table's file."""

    series: str
    python: tuple[str, ...]
    cuda: tuple[str, ...]
    pypi: str
    torchvision: str
    torchaudio: str


@cache
def load_table() -> dict[str, TorchSeries]:
    """The table beside this module, by series."""
    rows = tomllib.loads(TABLE.read_text(encoding="utf-8"))["torch"]
    return {
        row["series"]: TorchSeries(**{**row, "python": tuple(row["python"]), "cuda": tuple(row["cuda"])})
        for row in rows
    }


def faults(row: Row, *, indexed: bool) -> list[str]:
    """What is wrong with the torch that a row asks for, each fault beginning with the distribution's name.

    :param indexed: whether torch comes from an index of its own, which has every CUDA of the series and CPU wheels;
        otherwise it is the wheel of the default package index, which has one CUDA.
    """
    torch = row.packages.get("torch")
    if torch is None:
        return []
    series = load_table().get(_series(torch))
    if series is None:
        known = ", ".join(load_table())
        return [f"torch: {torch} is not in {TABLE.name}, which knows {known}: add its row there"]
    found = []
    if row.python not in series.python:
        found.append(f"torch: {torch} has no wheel for Python {row.python}; it has {', '.join(series.python)}")
    if row.cuda is not None and indexed and row.cuda not in series.cuda:
        found.append(f"torch: {torch} has no wheel for CUDA {row.cuda}; it has {', '.join(series.cuda)}")
    if row.cuda is not None and not indexed and row.cuda != series.pypi:
        found.append(f"torch: the wheel of {torch} on the package index is for CUDA {series.pypi}, not {row.cuda}")
    for name in ("torchvision", "torchaudio"):
        version = row.packages.get(name)
        if version is not None and _series(version) != getattr(series, name):
            found.append(f"{name}: {version} does not go with torch {torch}, which needs {getattr(series, name)}.*")
    return found


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])

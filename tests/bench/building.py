"""Run buildx and read its own record of the build: how long the whole took, and each step of it."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.engine import OwnEngine

SHORTEST: Final = 0.5
"""Seconds; shorter phases are left out of the results."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A step of a build. Steps may run at the same time, so their seconds do not add up to those of the build."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A build that is done; ``seconds`` of wall clock, from the command's start to its end."""

    seconds: float
    phases: tuple[Phase, ...]


def run_buildx(
    words: Sequence[str], engine: OwnEngine, *, cwd: Path, record: Path, definition: str | None = None
) -> Built:
    """Run ``docker buildx WORDS`` on an engine.

    :param record: file for what buildx says.
    :param definition: text for its stdin.
    :raises BuildError: if the build fails, with the end of what its steps said.
    """
    command = ["docker", "buildx", *words, "--builder", "default", "--progress", "rawjson"]
    os.sync()  # what the side before has left to be written is not for this one to wait for
    began = time.monotonic()
    with record.open("w", encoding="utf-8") as file:
        done = subprocess.run(
            command, input=definition, text=True, stdout=file, stderr=file, cwd=cwd, env=engine.environment, check=False
        )
    seconds = time.monotonic() - began
    text = record.read_text(encoding="utf-8")
    if done.returncode:
        raise BuildError(f"docker buildx {words[0]} failed with {done.returncode}:\n{_complaint(text)}")
    return Built(seconds=seconds, phases=parse_phases(text))


def parse_phases(text: str) -> tuple[Phase, ...]:
    """The steps that took a while, longest first, out of BuildKit's stream of statuses (``--progress rawjson``).

    A vertex is told of several times as it goes on, and may start again after an interruption: its last state counts.
    """
    last: dict[str, dict[str, Any]] = {}
    for message in _split(text)[0]:
        for vertex in message.get("vertexes") or ():
            last[vertex["digest"]] = {**last.get(vertex["digest"], {}), **vertex}
    phases = [
        Phase(name=_short(vertex["name"]), seconds=round((_time(vertex["completed"]) - _time(vertex["started"])), 2))
        for vertex in last.values()
        if vertex.get("started") and vertex.get("completed") and not vertex.get("cached")
    ]
    return tuple(sorted((p for p in phases if p.seconds >= SHORTEST), key=lambda phase: -phase.seconds))


def _short(name: str) -> str:
    """A step's name without its mounts, on one line."""
    return " ".join(word for word in name.split() if not word.startswith("--mount="))


def _split(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """BuildKit's statuses, and the lines that are none: an object a line, or over many lines (buildx 0.13)."""
    found, lines, decoder, place = [], [], json.JSONDecoder(), 0
    text = f"{text}\n"
    while place < len(text):
        end = text.index("\n", place)
        if text[place] == "{":
            message, end = decoder.raw_decode(text, place)
            found.append(message)
        elif line := text[place:end].strip():
            lines.append(line)
        place = end + 1
    return found, lines


def _time(text: str) -> float:
    # Nanoseconds, where Python reads six digits only.
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def _complaint(text: str, most: int = 15) -> str:
    """The end of what the steps of a build said, and then what buildx itself did."""
    messages, lines = _split(text)
    said: list[str] = []
    for message in messages:
        for log in message.get("logs") or ():
            said += base64.b64decode(log["data"]).decode(errors="replace").splitlines()
        said += [vertex["error"] for vertex in message.get("vertexes") or () if vertex.get("error")]
    return "\n".join([*said, *lines][-most:])

"""Run a task in a world, and see what it takes: seconds and memory of the whole process and of all that it calls."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.scale.world import World

TASKS: Mapping[str, tuple[str, ...]] = {
    "list": ("list", "--format", "json"),
    "plan": ("plan", "--format", "json"),
    "bake": ("bake", "cuda", "--all"),
    "audit": ("audit", "--format", "json"),
    "catalogue": ("catalogue", "--format", "json"),
}
"""What is measured, by name. A task that reads or writes all images belongs here as soon as there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one task took."""

    task: str
    images: int
    seconds: float
    """On the clock."""
    work: float
    """Seconds of processor time: of the task and of the programs that it calls, not of the registry."""
    megabytes: float
    """Of the largest of these processes at its largest."""
    requests: int
    """To the registry."""
    output: str


# In a process between, whose children are the task's alone: a child's peak of memory begins with that of its parent,
# and the parent here is the registry.
LAUNCHER = """
import json, resource, subprocess, sys
code = subprocess.run(sys.argv[2:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as file:
    json.dump({"code": code, "work": used.ru_utime + used.ru_stime, "megabytes": used.ru_maxrss / 1024}, file)
"""


def measure(world: World, task: str) -> Cost:
    """Run a task.

    :raises BuildError: if it fails, with the end of what it said.
    """
    asked, began = world.registry.asked, time.monotonic()
    with tempfile.NamedTemporaryFile("r") as used:
        command = [sys.executable, "-IS", "-c", LAUNCHER, used.name, *world.command(*TASKS[task])]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=world.environment, cwd=world.root
        )
        seconds = time.monotonic() - began
        usage = json.load(used)
    if usage["code"]:
        raise BuildError(f"{task} of {len(world.images)} images failed: {done.stderr.strip()[-600:]}")
    return Cost(
        task=task,
        images=len(world.images),
        seconds=seconds,
        work=usage["work"],
        megabytes=usage["megabytes"],
        requests=world.registry.asked - asked,
        output=done.stdout,
    )

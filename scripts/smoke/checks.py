"""The checks as a run of pytest: how it is called, which checks an image has, and those that ``--only`` means."""

from __future__ import annotations

import difflib
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from scripts.errors import SmokeError, UsageError
from scripts.recipe.faults import did_you_mean
from scripts.smoke.plugin import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

CHECKS = "tests/smoke"
# A connection that nobody closed, because the engine went away, says nothing of the image: no warning becomes a failure.
PLUGINS = ("-p", "scripts.smoke.plugin", "-p", "no:cacheprovider", "-p", "no:unraisableexception")
PYTEST = (sys.executable, "-m", "pytest", *PLUGINS)
ENGINE_LOST = 90
"""What the checks end pytest with if the engine, the image or their own container went away under them."""
SETTINGS = ("-o", "addopts=--strict-markers", "--no-header", "-q")


def collect_names(root: Path, spec: ImageSpec) -> tuple[str, ...]:
    """The names of all checks of an image, as the report has them, in a second or two.

    :raises SmokeError: if they cannot be collected.
    """
    command = [*PYTEST, *SETTINGS, "--collect-only", f"--image={spec.id}", "--digest=none", CHECKS]
    environment = {**os.environ, "PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": ""}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SmokeError(f"{spec.id}: the checks cannot be read:\n{done.stdout.strip()}{done.stderr.strip()}")
    return tuple(sorted(name_of(line) for line in done.stdout.splitlines() if "::" in line))


def choose_names(only: str, names: Iterable[str]) -> tuple[str, ...]:
    """The checks that ``--only`` means: ``pip.installs[uv]``, all that are ``pip.installs``, or all of ``pip``.

    :raises UsageError: for a name that means none.
    """
    chosen: set[str] = set()
    known = tuple(names)
    groups = {name: {name} for name in known}
    for name in known:
        for group in (name.partition(".")[0], name.partition("[")[0]):
            groups.setdefault(group, set()).add(name)
    for word in (item.strip() for item in only.split(",")):
        if word not in groups:
            near = difflib.get_close_matches(word, groups, n=1, cutoff=0.6)
            hint = did_you_mean(word, near or {name.partition(".")[0] for name in known})
            raise UsageError(f'--only: no check "{word}"{hint}')
        chosen |= groups[word]
    return tuple(sorted(chosen))

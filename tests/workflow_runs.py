"""A workflow's jobs, run on this machine: every ``run:`` as GitHub runs it, with programs that only pretend to act.

Expressions are looked up in a table, so that none is left that a test does not know. Of actions, those that hand files
from one job to another do so; a checkout is there already.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

WORKFLOWS = ROOT / ".github" / "workflows"
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def load_workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load((WORKFLOWS / f"{name}.yml").read_text())
    return found


def steps_of(workflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@dataclass
class Run:
    """One run of a workflow: a checkout that its jobs share, and what they handed on."""

    workflow: Mapping[str, Any]
    checkout: Path
    temporary: Path
    environment: Mapping[str, str]
    expressions: dict[str, str]
    """What each expression is worth."""
    before: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    """What happens before a step that uses an action, by the action's name: what the run cannot do itself."""
    artifacts: dict[str, Path] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    """What each step said, by its name."""
    ran: int = 0

    def job(self, name: str) -> dict[str, str]:
        """Run a job; gives its steps' outputs."""
        job = self.workflow["jobs"][name]
        outputs = self.temporary / f"{name}-outputs"
        outputs.touch()
        for step in job["steps"]:
            environment = {**self.environment, "GITHUB_OUTPUT": str(outputs), "RUNNER_TEMP": str(self.temporary)}
            environment["GITHUB_STEP_SUMMARY"] = str(self.temporary / "summary")
            for level in (self.workflow, job, step):
                environment |= {key: self.worth(value) for key, value in level.get("env", {}).items()}
            if "run" in step:
                self._command(step, environment)
            else:
                self._action(step["uses"].partition("@")[0], step.get("with", {}))
        return dict(line.partition("=")[::2] for line in outputs.read_text().splitlines())

    def worth(self, text: Any) -> str:
        return _EXPRESSION.sub(lambda match: self.expressions[match[1]], str(text))

    def _command(self, step: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        assert "${{" not in step["run"], f"{step['name']}: an expression in a command can be one of an attacker's"
        script = self.temporary / "script"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.checkout,
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{step['name']}: {done.returncode}\n{done.stdout}{done.stderr}"
        self.said[step["name"]] = done.stdout + done.stderr
        self.ran += 1

    def _action(self, action: str, inputs: Mapping[str, Any]) -> None:
        if action in self.before:
            self.before[action]()
        if action == "actions/upload-artifact":
            name = self.worth(inputs["name"])
            self.artifacts[name] = self.temporary / "artifacts" / name
            for path in self.checkout.glob(inputs["path"]):
                # From the first wildcard on, folders are kept.
                place = self.artifacts[name] / path.relative_to(self.checkout)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, place)
        elif action == "actions/download-artifact":
            target = self.checkout / self.worth(inputs["path"])
            for name, folder in self.artifacts.items():
                if name.startswith(inputs["pattern"].removesuffix("*")) and folder.exists():
                    shutil.copytree(folder, target / name)
        else:
            assert action == "actions/checkout"


def copy_checkout(target: Path) -> None:
    """The files of this repository that git has or would take."""
    words = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place)


def put_program(folder: Path, name: str, body: str) -> None:
    """A program on PATH, or in a checkout."""
    path = folder / name
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def clean_environment(folder: Path) -> dict[str, str]:
    """Nothing of this machine's but the programs of the system."""
    names = {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig"), "GIT_CONFIG_SYSTEM": os.devnull}
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{os.defpath}", "HOME": str(folder), "LANG": "C.UTF-8", **names}

"""What checks claimed is what is written down: names, outcomes, reasons, facts; also with workers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.smoke.plugin import name_of

ROOT = Path(__file__).resolve().parent.parent
CHECKS = """
import pytest

@pytest.fixture
def broken():
    raise OSError("no such container")

@pytest.fixture
def breaks_later():
    yield
    raise OSError("cannot be removed")

def test_equal(claim):
    claim("1.2", "1.1", ok=True)
    claim("1.2", "1.2")
    claim.fact("answer", {"is": 42})

def test_two_words(claim):
    claim("1.2", "1.3")

@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_tool(claim, tool):
    claim(tool, "pip", ok=tool == "pip")

def test_silent():
    assert True

def test_skipped(claim):
    claim("half", "whole", ok=True)
    pytest.skip("no GPU in this engine")

def test_assertion(claim):
    assert 1 == 2, "one is not two\\nat all"

def test_setup(claim, broken):
    claim(1, 1)

def test_teardown(claim, breaks_later):
    claim(1, 1)
"""


def run(folder: Path, *options: str) -> dict[str, Any]:
    checks = folder / "test_toy.py"
    checks.write_text(CHECKS)
    command = [sys.executable, "-m", "pytest", "-p", "scripts.smoke.plugin", "--results", str(folder / "results.json")]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", *options, str(checks)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return dict(json.loads((folder / "results.json").read_text()))


@pytest.mark.parametrize("options", [[], ["-n", "2", "--dist", "loadfile"]], ids=["alone", "workers"])
def test_results(tmp_path: Path, options: list[str]) -> None:
    written = run(tmp_path, *options)
    found = {item["check"]: item for item in written["results"]}
    told = {name: [item["outcome"], item["measured"], item["expected"], item["reason"]] for name, item in found.items()}
    assert told == {
        "toy.assertion": ["FAIL", "", "", "one is not two"],
        "toy.equal": ["PASS", "1.2", "1.2", ""],
        "toy.setup": ["FAIL", "", "", "setup: OSError: no such container"],
        "toy.silent": ["FAIL", "", "", "the check measured nothing"],
        "toy.skipped": ["SKIP", "half", "whole", "no GPU in this engine"],
        "toy.teardown": ["FAIL", "1", "1", "teardown: OSError: cannot be removed"],
        "toy.tool[pip]": ["PASS", "pip", "pip", ""],
        "toy.tool[uv]": ["FAIL", "uv", "pip", "measured uv, expected pip"],
        "toy.two-words": ["FAIL", "1.2", "1.3", "measured 1.2, expected 1.3"],
    }
    assert list(found) == sorted(found) == written["planned"]
    assert written["facts"] == {"answer": {"is": 42}}
    assert all(item["seconds"] >= 0 for item in found.values())


def test_a_check_that_did_not_run_is_no_pass(tmp_path: Path) -> None:
    """Here because the run ends at the first failure."""
    written = run(tmp_path, "-x", "-k", "two_words or skipped or teardown")
    told = {item["check"]: [item["outcome"], item["reason"]] for item in written["results"]}
    assert told == {
        "toy.skipped": ["FAIL", "it did not run"],
        "toy.teardown": ["FAIL", "it did not run"],
        "toy.two-words": ["FAIL", "measured 1.2, expected 1.3"],
    }
    assert written["planned"] == sorted(told)


@pytest.mark.parametrize("options", [[], ["-n", "2"]], ids=["alone", "workers"])
def test_some_checks_only(tmp_path: Path, options: list[str]) -> None:
    written = run(tmp_path, "--checks", "toy.tool[uv],toy.equal", *options)
    assert [item["check"] for item in written["results"]] == written["planned"] == ["toy.equal", "toy.tool[uv]"]


def test_name_of() -> None:
    assert name_of("tests/smoke/test_pip.py::test_keeps_torch[pip]") == "pip.keeps-torch[pip]"

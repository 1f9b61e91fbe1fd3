"""The table of planted faults is whole: no check without a fault that it catches, no fault for a check that is not."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scripts.smoke.plugin import name_of
from tests.integration.planting import PLANTING, load_faults

ROOT = Path(__file__).resolve().parent.parent
# One image of each kind; no check is for another.
IMAGES = ("python:3.11", "cuda:12.1", "torch:2.3.1-cuda12.1")
# Faults that no image can have, so they are planted in a unit test.
IN_UNIT_TESTS = {"layers.intact": "tests/test_layers.py::test_a_layer_that_is_not_what_the_config_says"}


@cache
def checks(image: str) -> frozenset[str]:
    command = [sys.executable, "-m", "pytest", "-p", "scripts.smoke.plugin", "--collect-only", "-q", "tests/smoke"]
    command += [f"--image={image}", "--digest=none"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return frozenset(name_of(line) for line in done.stdout.splitlines() if "::" in line)


def test_no_check_without_a_fault_that_it_catches() -> None:
    caught = (
        {name for fault in load_faults() for name in (fault.check, *fault.also)} | {PLANTING} | IN_UNIT_TESTS.keys()
    )
    assert frozenset().union(*map(checks, IMAGES)) - caught == frozenset()


@pytest.mark.parametrize("check", IN_UNIT_TESTS)
def test_unit_test_is_there(check: str) -> None:
    path, _, name = IN_UNIT_TESTS[check].partition("::")
    assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8")


def test_every_fault_is_for_a_check_of_its_image() -> None:
    for fault in load_faults():
        assert {fault.check, *fault.also} <= checks(fault.on), fault.name


def test_names_of_faults_and_checks_are_unique() -> None:
    names = [fault.name for fault in load_faults()]
    assert sorted(set(names)) == sorted(names)


def test_faults_planted_together_are_for_checks_of_their_own() -> None:
    taken: dict[tuple[str, str, str], str] = {}
    for fault in load_faults():
        key = (fault.on, " ".join((fault.together, *fault.options)), fault.check)
        assert key not in taken, f"{fault.name} and {taken[key]} are for one check"
        taken[key] = fault.name

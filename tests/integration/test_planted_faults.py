"""Every planted fault is caught by the check that should catch it, and by no other; run by the nox session `faults`."""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.integration.planting import Fault, disagreements, load_faults, plant, smoke

pytestmark = pytest.mark.engine

BUILT = frozenset({"python:3.11", "cuda:12.1"})
"""What the session `integration` builds; faults in other images are planted by hand (tests/integration/planting.py)."""


def plantings() -> dict[str, list[Fault]]:
    """Faults that are planted together, by a name for the test."""
    found: dict[str, list[Fault]] = defaultdict(list)
    for fault in load_faults():
        if fault.on in BUILT:
            found[" ".join([fault.on, fault.together, *fault.options])].append(fault)
    return found


@pytest.mark.parametrize("name", plantings())
def test_each_fault_is_caught_by_its_check_and_by_no_other(name: str) -> None:
    faults = plantings()[name]
    with plant(faults[0].on, faults) as reference:
        record = smoke(faults[0].on, reference, *faults[0].options)
    found = disagreements(faults, record)
    assert not found, "\n".join(found)

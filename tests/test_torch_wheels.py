"""Which wheels of torch exist, and what is said to a row that asks for another."""

from __future__ import annotations

import re
from typing import Any

import pytest

from scripts.recipe.family import Row
from scripts.recipe.torch_wheels import faults, load_table


def row(**changed: Any) -> Row:
    packages = {name.replace("_", "-"): changed.pop(name) for name in tuple(changed) if name.startswith("torch")}
    return Row.model_validate({"version": "1", "base": "a:1", "python": "3.11", "packages": packages, **changed})


@pytest.mark.parametrize(
    ("asked", "indexed"),
    [
        ({}, False),
        ({"cuda": "99.9"}, False),
        ({"torch": "2.3.1", "cuda": "12.1", "torchvision": "0.18.1", "torchaudio": "2.3.1"}, False),
        ({"torch": "2.3.1", "cuda": "11.8"}, True),
        ({"torch": "2.13.0"}, True),
        ({"torch": "2.13.0", "cuda": "13.0", "torchvision": "0.28.0", "torchaudio": "2.11.0"}, False),
    ],
)
def test_a_torch_that_has_a_wheel_has_no_fault(asked: dict[str, str], *, indexed: bool) -> None:
    assert faults(row(**asked), indexed=indexed) == []


def test_a_torch_that_the_table_does_not_know_is_refused_with_where_to_add_it() -> None:
    known = ", ".join(load_table())
    assert faults(row(torch="1.13.1"), indexed=False) == [
        f"torch: 1.13.1 is not in torch_wheels.toml, which knows {known}: add its row there"
    ]


def test_a_python_without_a_wheel_is_refused_with_those_that_have_one() -> None:
    assert faults(row(torch="2.13.0", python="3.9"), indexed=True) == [
        "torch: 2.13.0 has no wheel for Python 3.9; it has 3.10, 3.11, 3.12, 3.13, 3.14"
    ]


def test_a_cuda_without_a_wheel_on_an_index_is_refused_with_those_that_have_one() -> None:
    assert faults(row(torch="2.8.0", cuda="12.1"), indexed=True) == [
        "torch: 2.8.0 has no wheel for CUDA 12.1; it has 12.6, 12.8, 12.9"
    ]


def test_the_package_index_has_one_cuda_only() -> None:
    assert faults(row(torch="2.8.0", cuda="12.6"), indexed=False) == [
        "torch: the wheel of 2.8.0 on the package index is for CUDA 12.8, not 12.6"
    ]


def test_every_fault_of_a_row_is_said() -> None:
    asked = row(torch="2.3.1", torchvision="0.19.0", torchaudio="2.4.0", cuda="12.4", python="3.13")
    assert faults(asked, indexed=False) == [
        "torch: 2.3.1 has no wheel for Python 3.13; it has 3.8, 3.9, 3.10, 3.11, 3.12",
        "torch: the wheel of 2.3.1 on the package index is for CUDA 12.1, not 12.4",
        "torchvision: 0.19.0 does not go with torch 2.3.1, which needs 0.18.*",
        "torchaudio: 2.4.0 does not go with torch 2.3.1, which needs 2.3.*",
    ]


def test_every_series_of_the_table_is_whole_and_in_order() -> None:
    table = load_table()
    assert list(table) == sorted(table, key=lambda series: [int(part) for part in series.split(".")])
    for series in table.values():
        assert series.pypi in series.cuda
        assert series.python
        for version in (series.series, series.torchvision, series.torchaudio, *series.python, *series.cuda):
            assert re.fullmatch(r"\d+\.\d+", version)

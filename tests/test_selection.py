"""Choosing images by family, version and stage, and what is said to names that do not exist."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.errors import UsageError
from scripts.recipe.matrix import expand_all, load_families
from scripts.recipe.selection import narrow_platforms, select, select_buildable, select_rows

from .conftest import ROOT

if TYPE_CHECKING:
    from scripts.recipe.matrix import ImageSpec


@pytest.fixture(scope="module")
def specs() -> tuple[ImageSpec, ...]:
    """The real images: their names are what people type."""
    return expand_all(load_families(ROOT))


def ids(chosen: tuple[ImageSpec, ...]) -> list[str]:
    return [spec.id for spec in chosen]


def test_nothing_named_is_all(specs: tuple[ImageSpec, ...]) -> None:
    assert select(specs) == specs


def test_a_family_a_version_and_a_stage_narrow_the_choice(specs: tuple[ImageSpec, ...]) -> None:
    assert {spec.family for spec in select(specs, "cuda")} == {"cuda"}
    assert ids(select(specs, "cuda", "12.1")) == ["cuda:12.1", "torch:2.3.1-cuda12.1"]
    assert ids(select(specs, "cuda", "12.1", "torch")) == ["torch:2.3.1-cuda12.1"]
    assert ids(select(specs, None, "3.12")) == ["python:3.12"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("cud",), 'no family "cud", did you mean "cuda"?'),
        (("zebra",), 'no family "zebra"; known: cpu, cuda, deprecated-ngc'),
        (("cuda", "12.2"), 'cuda has no version "12.2", did you mean "12.8"?'),
        (("cpu", "2"), 'cpu has no version "2"; known: 3.10, 3.11, 3.12, 3.13, 3.9'),
        (("cuda", None, "tourch"), 'cuda has no stage "tourch", did you mean "torch"?'),
        (("cuda", "11.8", "torch"), 'cuda 11.8 has no stage "torch"; known: cuda'),
        ((None, "3.14"), 'no version "3.14", did you mean "3.13"?'),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_the_nearest(
    specs: tuple[ImageSpec, ...], words: tuple[str | None, ...], sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        select(specs, *words)
    assert str(caught.value) == sentence
    assert caught.value.exit_code == 2


def test_there_is_nothing_to_mean_where_there_are_no_images() -> None:
    with pytest.raises(UsageError) as caught:
        select((), "cpu")
    assert str(caught.value) == 'no family "cpu"'


def test_the_default_row_is_built_with_all_its_stages(specs: tuple[ImageSpec, ...]) -> None:
    assert ids(select_buildable(specs, "cpu")) == ["python:3.11"]
    assert ids(select_buildable(specs, "cuda")) == ["cuda:12.1", "torch:2.3.1-cuda12.1"]
    assert ids(select_buildable(specs, "cuda", stage="cuda")) == ["cuda:12.1"]


def test_all_are_the_active_ones_and_the_others_only_when_asked_for(specs: tuple[ImageSpec, ...]) -> None:
    assert ids(select_buildable(specs, "cpu", every=True)) == ["python:3.11", "python:3.12", "python:3.13"]
    assert len(select_buildable(specs, "cpu", every=True, include_frozen=True)) == 5


def test_all_and_a_version_exclude_each_other(specs: tuple[ImageSpec, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        select_buildable(specs, "cpu", "3.11", every=True)
    assert str(caught.value) == "--all and --version exclude each other: leave one out"
    assert caught.value.exit_code == 2


def test_a_frozen_row_is_built_only_when_asked_for(specs: tuple[ImageSpec, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        select_buildable(specs, "cpu", "3.9")
    assert str(caught.value) == (
        "python:3.9 is frozen since 2025-10-31: Python 3.9 is past its end of life; use 3.11 or newer. "
        "To build it all the same: --include-frozen"
    )
    assert ids(select_buildable(specs, "cpu", "3.9", include_frozen=True)) == ["python:3.9"]


def test_a_deprecated_default_row_is_built_only_when_asked_for(specs: tuple[ImageSpec, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        select_buildable(specs, "deprecated-ngc")
    assert str(caught.value) == (
        "torch:2.4.0-cuda12.4 is deprecated since 2024-07-01: NGC images are no longer published; use cuda/ (torch) "
        "instead. To build it all the same: --include-frozen"
    )


def test_a_stage_that_the_default_row_has_not_asks_for_a_version(specs: tuple[ImageSpec, ...]) -> None:
    with pytest.raises(UsageError) as caught:
        select_buildable(specs, "deprecated-ngc", stage="tensorflow")
    assert str(caught.value) == (
        'the default row of deprecated-ngc has no stage "tensorflow": name a row that has it with --version: '
        "2.14.0-cuda12.3, 2.15.0-cuda12.4, 2.16.1-cuda12.5"
    )


def test_images_can_be_narrowed_to_platforms_that_they_have(specs: tuple[ImageSpec, ...]) -> None:
    both = tuple(replace(spec, platforms=("linux/amd64", "linux/arm64")) for spec in specs[:2])
    assert [spec.platforms for spec in narrow_platforms(both, ("linux/arm64",))] == [("linux/arm64",)] * 2
    with pytest.raises(UsageError) as caught:
        narrow_platforms(specs, ("linux/amd64", "linux/arm64"))
    assert str(caught.value) == 'python:3.9 has no platform "linux/arm64"; it has linux/amd64'


def test_rows_are_the_active_ones_unless_one_is_named() -> None:
    families = load_families(ROOT)

    def names(*words: str, every: bool = False) -> list[str]:
        return [f"{family.name} {row.version}" for family, row in select_rows(families, *words, every=every)]

    assert names("cpu") == ["cpu 3.11", "cpu 3.12", "cpu 3.13"]
    assert names("cpu", every=True)[:2] == ["cpu 3.9", "cpu 3.10"]
    assert names("cpu", "3.9") == ["cpu 3.9"]
    assert names("deprecated-ngc") == []
    assert {name.partition(" ")[0] for name in names()} == {"cpu", "cuda"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("cud",), 'no family "cud", did you mean "cuda"?'),
        (("cuda", "12.2"), 'cuda has no version "12.2", did you mean "12.8"?'),
        ((None, "3.14"), 'no version "3.14", did you mean "3.13"?'),
    ],
)
def test_a_row_that_does_not_exist_is_answered_with_the_nearest(words: tuple[str | None, ...], sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        select_rows(load_families(ROOT), *words)
    assert str(caught.value) == sentence

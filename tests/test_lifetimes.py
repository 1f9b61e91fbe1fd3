"""Ends of life: what the data say of a version, on a day, and what they do not say."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from scripts.recipe.faults import ManifestError
from scripts.recipe.lifetimes import DATA, Lifetimes, Part, State, load_lifetimes
from scripts.recipe.matrix import expand_all, load_families

ROOT = Path(__file__).resolve().parent.parent
DAY = datetime.date(2026, 11, 26)


@pytest.fixture(scope="module")
def data() -> Lifetimes:
    return load_lifetimes()


@pytest.mark.parametrize(
    ("base", "python", "cuda", "parts"),
    [
        ("python:3.11-slim-bookworm", "3.11", None, [("python", "3.11"), ("debian", "12")]),
        (
            "nvcr.io/nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04@sha256:" + "0" * 64,
            "3.11",
            "12.1",
            [("python", "3.11"), ("ubuntu", "22.04"), ("cuda", "12.1")],
        ),
        # Neither names its distribution, and nothing is guessed.
        ("nvcr.io/nvidia/pytorch:24.04-py3", "3.10", "12.4", [("python", "3.10"), ("cuda", "12.4")]),
        ("localhost:5000/python", "3.11", None, [("python", "3.11")]),
    ],
)
def test_what_an_image_stands_on_is_read_from_its_row(
    data: Lifetimes, base: str, python: str, cuda: str | None, parts: list[tuple[str, str]]
) -> None:
    assert list(data.parts_of(base, python, cuda)) == parts


@pytest.mark.parametrize(
    ("today", "state", "left"),
    [
        ("2026-07-11", State.SUPPORTED, 720),  # the last day still counts
        ("2026-07-12", State.EXTENDED, 719),
        ("2028-01-02", State.NEAR, 180),
        ("2028-06-30", State.NEAR, 0),
        ("2028-07-01", State.ENDED, -1),
    ],
)
def test_the_last_day_counts_and_others_may_go_on(data: Lifetimes, today: str, state: State, left: int) -> None:
    found = data.find(Part("debian", "12"))
    assert found
    day = datetime.date.fromisoformat(today)
    assert (found.state(day), found.days_left(day)) == (state, left)


def test_a_point_release_is_its_release_and_nothing_else(data: Lifetimes) -> None:
    found = data.find(Part("debian", "12.11"))
    assert found
    assert (found.title, found.part.version) == ("Debian 12 (bookworm)", "12")
    assert data.find(Part("python", "3.1")) is None  # not 3.11, nor 3.10
    assert data.find(Part("cuda", "12")) is None


def test_old_data_say_so_with_their_source(data: Lifetimes) -> None:
    looked_up = data.products["cuda"].as_of
    assert data.stale(looked_up + datetime.timedelta(days=180)) == ()
    lines = data.stale(looked_up + datetime.timedelta(days=181))
    assert len(lines) == 4
    assert f"CUDA were looked up on {looked_up}, 181 days ago" in lines[3]
    assert "NVIDIA" in lines[3]


def test_every_row_of_this_repository_has_its_dates(data: Lifetimes) -> None:
    for spec in expand_all(load_families(ROOT)):
        parts = data.parts_of(spec.base, spec.python, spec.cuda)
        assert len(data.of(spec.base, spec.python, spec.cuda)) == len(parts), spec.id
        assert len(parts) == 1 + bool(spec.cuda) + ("-py3" not in spec.base), spec.id


def test_an_extension_comes_after_the_end_and_has_somebody_who_does_it(data: Lifetimes) -> None:
    for product in data.products.values():
        for version in product.versions.values():
            if version.extended:
                assert version.extended > version.end
                assert version.by


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("end = 2027-10-31", 'end = "2027-10-31"', "lifetimes.toml: python.versions.3.11.end: expected a date"),
        ("[ubuntu]", "[ubunto]", 'lifetimes.toml: ubunto: unknown key, did you mean "ubuntu"?'),
        ("as_of = 2026-08-22", "", "lifetimes.toml: python.as_of: missing, and it has no default"),
        ("[python]", "[python", "lifetimes.toml: not TOML: "),
    ],
)
def test_a_fault_of_the_file_is_said_with_its_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = tmp_path / DATA.name
    path.write_text(DATA.read_text().replace(old, new))
    with pytest.raises(ManifestError) as caught:
        load_lifetimes(path)
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"^none\.toml: cannot be read: No such file or directory$"):
        load_lifetimes(tmp_path / "none.toml")

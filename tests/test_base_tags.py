"""Newer tags of bases, by the names that registries list."""

from __future__ import annotations

import pytest

from scripts.release.base_tags import Newer, Parsed, Step, newer_tags, parse_tag

CODENAMES = ("buster", "bullseye", "bookworm", "trixie")
CUDA = "nvcr.io/nvidia/cuda:"


@pytest.mark.parametrize(
    ("tag", "parsed"),
    [
        ("3.11-slim-bookworm", ((3, 11), 3, ("slim", "debian"))),
        ("12.1.1-cudnn8-devel-ubuntu22.04", ((12, 1, 1), 2204, ("cudnn", "devel", "ubuntu"))),
        ("24.04-py3", ((24, 4), 0, ("py3",))),
        ("3", ((3,), 0, ())),
    ],
)
def test_a_tag_is_read_as_words(tag: str, parsed: tuple[tuple[int, ...], int, tuple[str, ...]]) -> None:
    version, system, rest = parsed
    assert parse_tag(tag, CODENAMES) == Parsed(tag=tag, version=version, system=system, rest=rest)


@pytest.mark.parametrize("tag", ["latest", "", "slim-bookworm", "9" * 5000, "3.15.0rc1-slim-bookworm", "-1", "3..1"])
def test_what_does_not_begin_with_a_version_is_not_read(tag: str) -> None:
    assert parse_tag(tag, CODENAMES) is None


def newer(bases: list[str], listed: list[str], every: list[str] | None = None) -> list[tuple[str, str, Step]]:
    found: tuple[Newer, ...] = newer_tags(bases, bases if every is None else every, listed, CODENAMES)
    return [(item.base, item.tag, item.step) for item in found]


def test_a_patch_a_system_and_a_version_are_told_each_once() -> None:
    base = f"{CUDA}12.8.1-cudnn-devel-ubuntu22.04"
    listed = [
        *("12.8.0-cudnn-devel-ubuntu22.04", "12.8.1-cudnn-devel-ubuntu22.04", "12.8.2-cudnn-devel-ubuntu22.04"),
        *("12.8.3-cudnn-devel-ubuntu22.04", "12.8.4-devel-ubuntu22.04", "12.8.5-cudnn-runtime-ubuntu22.04"),
        *("12.8.1-cudnn-devel-ubuntu24.04", "12.8.9-cudnn-devel-ubuntu20.04", "12.8.9-cudnn-devel-ubi9"),
        *("13.0.2-cudnn-devel-ubuntu24.04", "13.0.3-cudnn-devel-ubuntu22.04", "13.0.3-cudnn-devel-ubuntu24.04"),
        *("12.9.1-cudnn-devel-ubuntu24.04", "latest", "13.1.0-devel-ubuntu24.04"),
    ]
    assert newer([base], listed) == [
        (base, "12.8.3-cudnn-devel-ubuntu22.04", Step.PATCH),
        (base, "12.8.1-cudnn-devel-ubuntu24.04", Step.SYSTEM),
        (base, "13.0.3-cudnn-devel-ubuntu24.04", Step.VERSION),
    ]


def test_a_tag_that_moves_by_itself_has_no_newer_patch() -> None:
    listed = ["3.11-slim-bookworm", "3.11.9-slim-bookworm", "3.11-slim-trixie", "3.11-trixie", "3-slim-trixie"]
    assert newer(["python:3.11-slim-bookworm"], listed) == [
        ("python:3.11-slim-bookworm", "3.11-slim-trixie", Step.SYSTEM)
    ]


def test_numbers_are_numbers() -> None:
    listed = ["3.9-slim-bookworm", "3.10-slim-bookworm"]
    assert newer(["python:3.9-slim-bookworm"], listed)[0][1] == "3.10-slim-bookworm"
    assert newer(["python:3.10-slim-bookworm"], listed) == []


def test_a_version_that_a_row_stands_on_is_not_new_to_another_row() -> None:
    bases = [f"{CUDA}12.1.1-cudnn8-devel-ubuntu22.04", f"{CUDA}13.0.3-cudnn-devel-ubuntu24.04"]
    listed = ["12.6.3-cudnn-devel-ubuntu24.04", "13.0.3-cudnn-devel-ubuntu24.04"]
    assert newer(bases, listed) == []
    # Nor if only that other row is asked about.
    assert newer(bases[:1], [*listed, "13.2.0-cudnn-devel-ubuntu24.04"], bases) == []
    assert newer(bases[1:], [*listed, "13.2.0-cudnn-devel-ubuntu24.04"], bases) == [
        (bases[1], "13.2.0-cudnn-devel-ubuntu24.04", Step.VERSION)
    ]


def test_nothing_is_made_of_tags_without_a_version() -> None:
    assert newer(["python:latest"], ["3.14", "latest"]) == []
    assert newer([], ["3.14"], []) == []

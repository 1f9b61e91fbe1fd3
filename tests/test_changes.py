"""Which version is the newer one, and what became of something."""

from __future__ import annotations

import pytest

from scripts.contents.changes import Change, Kind, Step, change_of, conda_order, debian_order, python_order


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("2.4.5", "2.4.6", (1, Step.PATCH)),
        ("2.4.6", "2.4.5", (-1, Step.PATCH)),
        ("2.4", "2.10", (1, Step.MINOR)),
        ("9.9.9", "10.0", (1, Step.MAJOR)),
        ("2.0", "1!1.0", (1, Step.MAJOR)),
        ("1.2.3.4", "1.2.3.5", (1, Step.OTHER)),
        ("2.0rc1", "2.0", (1, Step.OTHER)),
        ("2.0", "2.0.post1", (1, Step.OTHER)),
        ("2.3.1", "2.3.1+cu121", (1, Step.OTHER)),
        ("1.0", "1.0.0", (0, Step.OTHER)),
        ("1.2", "1.2.1", (1, Step.PATCH)),
        ("1.2.1", "1.2", (-1, Step.PATCH)),
        ("1.0", "sandbox-7", (0, Step.OTHER)),
        ("2024.2.2", "2026.10.19.post1", (1, Step.MAJOR)),
    ],
)
def test_the_order_of_python_versions(old: str, new: str, expected: tuple[int, Step]) -> None:
    assert python_order(old, new) == expected


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.0~rc1-1", "1.0-1"),
        ("3.0.11-1~deb12u2", "3.0.11-1"),
        ("3.0.11-1~deb12u2", "3.0.11-1~deb12u10"),
        ("9.9", "1:0.1"),
        ("1:2.39.5-0+deb12u3", "1:2.39.5-0+deb12u3+b1"),
        ("1.2.3-1", "1.2.10-1"),
        ("1.0-1", "1.0-1ubuntu1"),
        ("2.36-9+deb12u9", "2.36-9+deb12u13"),
        ("1.0", "1.0a"),
        ("1.0-a", "1.0-+"),
        ("1.0~~", "1.0~"),
    ],
)
def test_the_order_of_debian_versions(lower: str, higher: str) -> None:
    assert debian_order(lower, higher)[0] == 1
    assert debian_order(higher, lower)[0] == -1


def test_debian_versions_that_mean_the_same() -> None:
    assert debian_order("0:1.0", "1.0")[0] == 0
    assert debian_order("1.00", "1.0")[0] == 0
    assert debian_order("no version", "1.0") == (0, Step.OTHER)


def test_the_order_of_conda_versions_is_that_without_the_build() -> None:
    assert conda_order("1.2.3 h1_0", "1.2.4 h0_0") == (1, Step.PATCH)
    assert conda_order("1.2.3 h1_0", "1.2.3 h1_1") == (0, Step.OTHER)


@pytest.mark.parametrize(
    ("old", "new", "kind", "step"),
    [
        ("", "1", Kind.ADDED, Step.OTHER),
        ("1", "", Kind.REMOVED, Step.OTHER),
        ("1", "2", Kind.UPGRADED, Step.MAJOR),
        ("2", "1", Kind.DOWNGRADED, Step.MAJOR),
        ("1", "1.0", Kind.CHANGED, Step.OTHER),
    ],
)
def test_what_became_of_something(old: str, new: str, kind: Kind, step: Step) -> None:
    assert change_of("a", old, new, python_order) == Change(name="a", old=old, new=new, kind=kind, step=step)


def test_nothing_became_of_what_is_the_same() -> None:
    assert change_of("a", "1", "1", python_order) is None

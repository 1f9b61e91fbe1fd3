"""The sentence: word for word, as it goes to the people who pull."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.contents.difference import compare
from scripts.contents.difference_words import NOTHING, sentence
from scripts.contents.inventory import Architectures, CondaPackage, Gpu, System
from tests.inventories import apt, config, gpu, inventory, layer, python

MANY = [(f"lib{number:02}", "1") for number in range(11)]
UPDATED = [(f"lib{number:02}", "2") for number in range(11)]
OTHERS = [(f"other{number}", "1") for number in range(5)]
NEWER = [(f"other{number}", "2") for number in range(5)]


def words(old: dict[str, Any], new: dict[str, Any]) -> str:
    return sentence(compare(inventory(1, **old), inventory(2, **new)))


def test_the_sentence_of_the_issue() -> None:
    assert (
        words(
            {"python": python(("numpy", "2.4.5", True)), "apt": apt(("openssl", "3.0.1"), *MANY)},
            {"python": python(("numpy", "2.4.6", True)), "apt": apt(("openssl", "3.0.2"), *UPDATED)},
        )
        == "numpy 2.4.5 to 2.4.6; 12 Debian packages updated, openssl among them"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([("numpy", "1", True)], [("numpy", "2", True)], "numpy 1 to 2"),
        ([("numpy", "2", True)], [("numpy", "1", True)], "numpy back from 2 to 1"),
        ([], [("vessl", "1", True)], "vessl 1 added"),
        ([("vessl", "1", True)], [], "vessl 1 removed"),
        ([("urllib3", "2.1")], [("urllib3", "2.2")], "urllib3 2.1 to 2.2"),
        ([("a", "1"), ("b", "1")], [("a", "2"), ("b", "2")], "a 1 to 2, b 1 to 2"),
        (OTHERS, NEWER, "5 Python packages updated"),
        (OTHERS, NEWER[1:], "4 Python packages updated, 1 removed"),
        (OTHERS[:3], NEWER[:3], "3 Python packages updated: other0, other1 and other2"),
        ([("numpy", "1", True), *OTHERS], [("numpy", "2", True), *NEWER],
         "numpy 1 to 2; 5 other Python packages updated"),
        ([("numpy", "1", True), *OTHERS[:1]], [("numpy", "2", True), *NEWER[:1]],
         "numpy 1 to 2; 1 other Python package updated: other0"),
        ([(f"d{number}", "1.0", True) for number in range(6)], [(f"d{number}", f"{1 + number % 2}.1", True) for number in range(6)],
         "d1 1.0 to 2.1, d3 1.0 to 2.1, d5 1.0 to 2.1, d0 1.0 to 1.1 and 2 more"),
    ],
)  # fmt: skip
def test_python(old: list[Any], new: list[Any], expected: str) -> None:
    assert words({"python": python(*old)}, {"python": python(*new)}) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ([("libssl3", "1", "openssl")], [("libssl3", "2", "openssl")], "1 Debian package updated: openssl"),
        ([("bash-doc", "1")], [("bash-doc", "2")], "1 Debian package updated: bash-doc"),
        ([("a", "1"), ("b", "1")], [("a", "2"), ("b", "2")], "2 Debian packages updated: a and b"),
        ([("a", "1"), ("curl", "1")], [("a", "2"), ("curl", "2")], "2 Debian packages updated: curl and a"),
        (MANY, UPDATED, "11 Debian packages updated"),
        (MANY, UPDATED[2:], "9 Debian packages updated, 2 removed"),
        (MANY[1:], [*UPDATED[2:], *MANY[:1], ("new", "1")], "9 Debian packages updated, 2 added, 1 removed"),
        (UPDATED, MANY, "11 Debian packages downgraded"),
        ([], MANY[:1], "1 Debian package added: lib00"),
        ([*MANY, ("git", "1"), ("libc6", "1", "glibc"), ("libssl3", "1", "openssl"), ("openssl", "1"), ("libcurl4", "1", "curl")],
         [*UPDATED, ("git", "2"), ("libc6", "2", "glibc"), ("libssl3", "2", "openssl"), ("openssl", "2"), ("libcurl4", "2", "curl")],
         "16 Debian packages updated, openssl, curl and git among them"),
        ([*MANY, ("libc6", "1", "glibc"), ("openssh-client", "1", "openssh")],
         [*UPDATED, ("libc6", "2", "glibc"), ("openssh-client", "2", "openssh")],
         "13 Debian packages updated, openssh and libc6 among them"),
    ],
)  # fmt: skip
def test_debian_packages(old: list[Any], new: list[Any], expected: str) -> None:
    assert words({"apt": apt(*old)}, {"apt": apt(*new)}) == expected


def test_the_distribution_is_called_by_its_name() -> None:
    ubuntu = System(id="ubuntu", name="Ubuntu 22.04.4 LTS", version="22.04")
    assert words({"system": ubuntu, "apt": apt(*MANY)}, {"system": ubuntu, "apt": apt(*UPDATED)}) == (
        "11 Ubuntu packages updated"
    )
    assert words({"system": None, "apt": apt(*MANY)}, {"system": None, "apt": apt(*UPDATED)}) == (
        "11 dpkg packages updated"
    )
    assert words({}, {"system": ubuntu}) == "distribution Debian 12 to Ubuntu 22.04"


def test_programs_come_first_and_are_not_told_twice() -> None:
    old = {"python": python(("numpy", "1", True), version="3.11.2"), "gpu": gpu(("CUDA", "12.1.1")),
           "config": config(env={"PYTHON_VERSION": "3.11.2", "CUDA_VERSION": "12.1.1"})}  # fmt: skip
    new = {"python": python(("numpy", "2", True), version="3.11.4"), "gpu": gpu(("CUDA", "12.4.1")),
           "config": config(env={"PYTHON_VERSION": "3.11.4", "CUDA_VERSION": "12.4.1"})}  # fmt: skip
    assert words(old, new) == "Python 3.11.2 to 3.11.4; CUDA 12.1.1 to 12.4.1; numpy 1 to 2"


def test_gpus_and_drivers() -> None:
    def of(driver: str, *sass: str) -> dict[str, Any]:
        found = {"torch": Architectures(sass=sass, ptx=())}
        return {"gpu": Gpu(libraries=(), architectures=found, lowest_driver=driver)}

    assert words(of("525.60.13", "sm_50", "sm_90"), of("580", "sm_90", "sm_120")) == (
        "GPU code of torch: sm_120 added, sm_50 removed; lowest driver 525.60.13 to 580"
    )


def test_conda_packages() -> None:
    def of(version: str) -> dict[str, Any]:
        return {"conda": (CondaPackage(prefix="/opt/conda", name="zlib", version=version, build="h0"),)}

    assert words(of("1"), of("2")) == "1 conda package updated: zlib"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"env": {"A": "1"}}, {"env": {"A": "2"}}, "environment variable A changed"),
        ({"env": {}}, {"env": {"A": "2", "B": ""}}, "environment variables A and B added"),
        ({"env": {"A": "1"}}, {"env": {}}, "environment variable A removed"),
        ({"env": {"A": "1", "B": "1"}}, {"env": {"B": "2"}}, "environment variables A and B changed"),
        ({"env": {}}, {"env": dict.fromkeys("ABCD", "1")}, "4 environment variables added"),
        ({}, {"entrypoint": None}, "entrypoint changed"),
        ({}, {"command": ("x",), "user": "app"}, "command and user changed"),
        ({}, {"entrypoint": None, "working_dir": "/x", "ports": ()}, "entrypoint, working directory and ports changed"),
        ({"env": {}}, {"env": {"A": "1"}, "user": "app"}, "environment variable A added; user changed"),
        ({}, {"labels": {"my.label": "1"}}, "label my.label changed"),
        ({}, {"labels": {"my.label": "1", "x": "1"}}, "labels my.label and x changed"),
        ({}, {"labels": {"ai.vessl.images.recipe": "1", "org.opencontainers.image.revision": "2"}}, NOTHING),
    ],
)  # fmt: skip
def test_settings(old: dict[str, Any], new: dict[str, Any], expected: str) -> None:
    assert words({"config": config(**old)}, {"config": config(**new)}) == expected


def test_where_neither_package_nor_setting_changed_the_layers_tell() -> None:
    one, two, three, four = map(layer, range(1, 5))
    assert words({"layers": (one, two)}, {"layers": (one, three)}) == (
        "files in 1 layer changed, but no package and no setting"
    )
    assert words({"layers": (one,)}, {"layers": (two, three, four)}) == (
        "files in 3 layers changed, but no package and no setting"
    )
    assert words({"layers": (one, two)}, {"layers": (one,)}) == (
        "put together from other layers, but no package and no setting changed"
    )
    assert words({}, {}) == NOTHING == "nothing a user can see"


def test_settings_follow_the_packages() -> None:
    assert (
        words(
            {"python": python(("numpy", "1", True)), "config": config(user="")},
            {"python": python(("numpy", "2", True)), "config": config(user="app")},
        )
        == "numpy 1 to 2; user changed"
    )


def test_a_sentence_is_a_line_whatever_things_are_called() -> None:
    assert words({}, {"config": config(env={"PATH": "/bin", "A\n\x1b[2JB": "1"})}) == (
        "environment variable A [2JB added"
    )


def test_no_sentence_is_only_about_the_making() -> None:
    for new in ({}, {"layers": (layer(9),)}, {"python": python(("a", "1"))}):
        assert "rebuil" not in words({}, new)

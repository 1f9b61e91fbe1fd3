"""The distribution and what dpkg has installed."""

from __future__ import annotations

import pytest

from scripts.contents.inventory import Package, System
from scripts.contents.inventory_files import Tree
from scripts.contents.inventory_system import read_packages, read_system
from tests.images import DEBIAN, package


def tree(files: dict[str, str]) -> Tree:
    return Tree({path: text.encode() for path, text in files.items()}, {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (DEBIAN, System(id="debian", name="Debian GNU/Linux 12 (bookworm)", version="12")),
        ("NAME='Fedora Linux'\nID=fedora\nVERSION_ID=42\n", System(id="fedora", name="Fedora Linux", version="42")),
        ("# comment\n\n", System(id="linux", name="linux", version=None)),
        ('ID="open\nNAME=x\n', System(id='"open', name="x", version=None)),
        ("ID=debian\nPRETTY_NAME=trixie/sid\n", System(id="debian", name="trixie/sid", version=None)),
    ],
)
def test_the_distribution(text: str, expected: System) -> None:
    assert read_system(tree({"/etc/os-release": text})) == expected
    assert read_system(tree({"/usr/lib/os-release": text})) == expected


def test_an_image_that_does_not_say_has_no_distribution() -> None:
    assert read_system(tree({})) is None


def test_what_is_installed_by_name() -> None:
    status = (
        package("zlib1g", "1:1.2.13", "zlib") + package("bash", "5.2-1") + package("libc6", "2.36", "glibc (2.36-1)")
    )
    assert read_packages(tree({"/var/lib/dpkg/status": status})) == (
        Package(name="bash", architecture="amd64", version="5.2-1", source="bash"),
        Package(name="libc6", architecture="amd64", version="2.36", source="glibc"),
        Package(name="zlib1g", architecture="amd64", version="1:1.2.13", source="zlib"),
    )


@pytest.mark.parametrize(
    ("status", "there"),
    [
        ("install ok installed", True),
        ("hold ok installed", True),
        ("deinstall ok config-files", False),
        ("install ok half-installed", False),
        ("purge ok not-installed", False),
        ("", False),
    ],
)
def test_only_what_is_installed_counts(status: str, *, there: bool) -> None:
    found = read_packages(tree({"/var/lib/dpkg/status": package("a", "1", status=status)}))
    assert [item.name for item in found] == ["a"] * there


def test_a_package_of_two_architectures_is_there_twice() -> None:
    status = package("libc6", "2", arch="i386") + package("libc6", "1", arch="amd64")
    found = read_packages(tree({"/var/lib/dpkg/status": status}))
    assert [(item.architecture, item.version) for item in found] == [("amd64", "1"), ("i386", "2")]


def test_images_without_dpkg_have_a_file_for_each_package() -> None:
    files = {
        "/var/lib/dpkg/status.d/base": "Package: base-files\nArchitecture: amd64\nVersion: 12\n",
        "/var/lib/dpkg/status.d/base.md5sums": "d41d8 Package: no\nVersion: 1\n",
    }
    assert [item.name for item in read_packages(tree(files))] == ["base-files"]


def test_words_of_a_description_are_no_fields() -> None:
    status = package("a", "1").replace(" of use", " of use\n Version: 9\n Package: b")
    assert [(item.name, item.version) for item in read_packages(tree({"/var/lib/dpkg/status": status}))] == [("a", "1")]


def test_an_image_without_packages_has_none() -> None:
    assert read_packages(tree({})) == ()


def test_what_a_package_weighs_by_its_own_word() -> None:
    status = package("bash", "5.2-1").replace("Status:", "Installed-Size: 7164\nStatus:") + package(
        "curl", "8"
    ).replace("Status:", "Installed-Size: many\nStatus:")
    assert [item.size for item in read_packages(tree({"/var/lib/dpkg/status": status}))] == [7164 * 1024, None]

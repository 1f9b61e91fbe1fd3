"""The distribution's packages of an image, read from its layers and noted beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.contents.apt import load_packages, note_packages, read_packages, updates
from tests.layouts import Made, write_layout

if TYPE_CHECKING:
    from pathlib import Path

STATUS = """\
Package: openssl
Status: install ok installed
Version: 3.0.1
Description: it says
 Version: 9

Package: bash
Status: install ok installed
Version: 5.2

Package: gone
Status: deinstall ok config-files
Version: 1
"""
BASE = {"var/lib/dpkg/status": Made(text=STATUS.replace("3.0.1", "2.0"))}
LAYERS = [
    ("ADD rootfs.tar /", BASE),
    ("RUN apt-get install openssl", {"var/lib/dpkg/status": Made(text=STATUS)}),
    ("RUN something else", {"etc/x": Made(text="x")}),
    ("COPY /layer/ /", {"var/lib/dpkg/status": Made(text="what is copied in is no package")}),
]


def test_the_uppermost_database_counts_but_for_layers_that_are_copied(tmp_path: Path) -> None:
    assert read_packages(tmp_path, write_layout(tmp_path, LAYERS)) == {"bash": "5.2", "openssl": "3.0.1"}


def test_an_image_without_dpkg_has_no_packages(tmp_path: Path) -> None:
    assert read_packages(tmp_path, write_layout(tmp_path, LAYERS[2:3])) == {}


def test_what_is_noted_is_what_is_read_again_and_compared_with_the_build_before(tmp_path: Path) -> None:
    digest = write_layout(tmp_path, LAYERS)
    assert load_packages(tmp_path) == {}
    assert note_packages(tmp_path, digest, load_packages(tmp_path)) == ()
    assert (tmp_path / "apt.txt").read_text() == "bash=5.2\nopenssl=3.0.1\n"
    assert load_packages(tmp_path) == {"bash": "5.2", "openssl": "3.0.1"}
    (update,) = note_packages(tmp_path, digest, {"bash": "5.2", "openssl": "2.0"})
    assert (update.name, update.before, update.after) == ("openssl", "2.0", "3.0.1")


def test_each_update_is_a_sentence() -> None:
    found = updates({"a": "1", "b": "1", "c": "1"}, {"a": "1", "b": "2", "d": "3"})
    assert list(map(str, found)) == ["the distribution updated b 1 to 2", "c 1 is gone", "d 3 is new"]

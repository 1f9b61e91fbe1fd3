"""The largest things in an image of made-up layers: what is counted, whose it is, and what it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.contents.size import Part, measure, owners_of, read_layout, rows_of
from tests.layouts import Made, write_layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

SITE = "opt/venv/lib/python3.11/site-packages"
RECORD = "tor_ch/__init__.py,sha256=x,9\ntor_ch/lib.so,,\n../../../bin/tor,,\ntor_ch-2.0.dist-info/RECORD,,\n"
SYSTEM = {
    "usr/bin/git": Made(text="g" * 3000),
    "usr/bin/again": Made(target="usr/bin/git", hard=True),
    "var/lib/dpkg/info/git.list": Made(text="/.\n/bin\n/bin/git\n"),
    "var/lib/dpkg/info/libc6:amd64.list": Made(text="/lib/libc.so\n"),
    "usr/lib/libc.so": Made(text="c" * 500),
}
PYTHON = {
    f"{SITE}/tor_ch/__init__.py": Made(text="i" * 100),
    f"{SITE}/tor_ch/__pycache__/__init__.cpython-311.pyc": Made(text="p" * 50),
    f"{SITE}/tor_ch/lib.so": Made(text="l" * 9000),
    "opt/venv/bin/tor": Made(text="b" * 10),
    f"{SITE}/tor_ch-2.0.dist-info/RECORD": Made(text=RECORD),
    f"{SITE}/loose.py": Made(text="x" * 30),
}
LAYERS: Sequence[tuple[str, Mapping[str, Made]]] = [
    ("RUN |1 A=b /bin/sh -c /build/make-system git # buildkit", SYSTEM),
    ("COPY /layer/ / # buildkit", PYTHON),
]


def parts_of(folder: Path, layers: Sequence[tuple[str, Mapping[str, Made]]], most: int = 10) -> tuple[Part, ...]:
    return measure(*read_layout(folder, write_layout(folder, layers), workers=1), most)


def sizes(parts: Sequence[Part], by: str) -> dict[str, int]:
    return {part.name: part.size for part in parts if part.by == by}


def test_packages_have_their_files_and_the_bytecode_of_their_modules(tmp_path: Path) -> None:
    lists = sum(len(SYSTEM[path].text) for path in SYSTEM if path.startswith("var/"))
    assert sizes(parts_of(tmp_path, LAYERS), "package") == {
        "tor-ch 2.0": 9000 + 100 + 50 + 10 + len(RECORD),
        "git (apt)": 3000,
        "libc6 (apt)": 500,
        "(no package)": 30 + lists,
    }


def test_a_layer_is_named_for_what_is_in_it_or_for_the_command_that_made_it(tmp_path: Path) -> None:
    found = [part for part in parts_of(tmp_path, LAYERS) if part.by == "layer"]
    assert sorted(part.name for part in found) == ["RUN /build/make-system git", "tor-ch 2.0"]
    assert all(part.pulled for part in found)


def test_the_whole_image_comes_first_and_hard_links_count_once(tmp_path: Path) -> None:
    first, *_ = parts_of(tmp_path, LAYERS)
    files = [made for _, layer in LAYERS for made in layer.values()]
    assert (first.by, first.name) == ("image", f"2 layers, {len(files)} files")
    assert first.size == sum(len(made.text) for made in files)


def test_what_a_later_layer_replaces_or_removes_is_pulled_for_nothing_and_said(tmp_path: Path) -> None:
    later = {
        "usr/bin/.wh.git": Made(),
        "usr/lib/libc.so": Made(text="c"),
        f"{SITE}/tor_ch/.wh..wh..opq": Made(),
        f"{SITE}/tor_ch/new": Made(text="n" * 7),
    }
    found = parts_of(tmp_path, [*LAYERS, ("RUN change", later)])
    assert sizes(found, "image")["replaced or removed by later layers"] == 3000 + 500 + 9000 + 100 + 50
    packages = sizes(found, "package")
    assert packages["libc6 (apt)"] == 1
    assert "git (apt)" not in packages


def test_folders_are_a_tree_in_which_a_folder_that_is_all_of_another_is_not_repeated(tmp_path: Path) -> None:
    found = [(part.depth, part.name) for part in parts_of(tmp_path, LAYERS) if part.by == "folder"]
    assert found[0] == (0, f"/{SITE}/tor_ch")
    assert (0, "/usr") in found
    assert found.index((1, "bin")) == found.index((0, "/usr")) + 1
    assert (0, "/opt") not in found


@pytest.mark.parametrize("most", [1, 3])
def test_no_more_of_each_than_asked_for(tmp_path: Path, most: int) -> None:
    found = parts_of(tmp_path, LAYERS, most)
    assert all(len(sizes(found, by)) <= most for by in ("layer", "package", "folder"))


def test_rows_have_sizes_to_read_and_to_count_with() -> None:
    rows = rows_of(
        [
            Part(by="image", name="all", size=2_000_000, pulled=500_000),
            Part(by="folder", name="x", size=1_000_000, depth=1),
        ]
    )
    assert rows[0] == {
        "by": "image",
        "what": "all",
        "MB": "2.0",
        "%": "100.0",
        "pulled MB": "0.5",
        "size": 2_000_000,
        "pulled": 500_000,
    }
    assert (rows[1]["what"].strip(), rows[1]["%"], rows[1]["pulled MB"]) == ("x", "50.0", "")


def test_files_of_no_package_have_no_owner() -> None:
    assert owners_of({}, {"a.py": 1, "__pycache__/a.cpython-311.pyc": 1}) == {}

"""What is read of a layer, damage of every kind, and how layers hide, take away and add."""

from __future__ import annotations

import io

import pytest

from scripts.contents.inventory_files import LayerFiles, Tree, read_layer, stack
from scripts.contents.layers import LayerError
from tests.images import Files, pack, sha, tar_of

STATUS = "var/lib/dpkg/status"
INFO = "opt/venv/lib/python3.11/site-packages/numpy-2.4.5.dist-info"


def read(files: Files, kind: str = "zstd") -> LayerFiles:
    blob = pack(tar_of(files), kind)
    return read_layer(io.BytesIO(blob), sha(blob))


def tree(*layers: Files) -> Tree:
    return stack(map(read, layers))


@pytest.mark.parametrize("kind", ["tar", "gzip", "zstd"])
def test_only_files_that_matter_are_kept_and_all_bytes_are_counted(kind: str) -> None:
    files = {
        "./etc/os-release": "ID=x",
        "etc/passwd": "root",
        "/usr/bin/python3": ("symlink", "python3.11"),
        "opt": None,
    }
    found = read(files, kind)
    assert found.files == {"etc/os-release": b"ID=x"}
    assert found.links == {"usr/bin/python3": "python3.11"}
    assert found.others == {"etc/passwd"}
    assert found.unpacked == len(tar_of(files))


def test_of_some_files_it_is_enough_that_they_are_there() -> None:
    assert read({"usr/bin/python3": "ELF...", f"{INFO}/REQUESTED": "x"}).files == {
        "usr/bin/python3": b"",
        f"{INFO}/REQUESTED": b"",
    }


@pytest.mark.parametrize("kind", ["tar", "gzip", "zstd"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.99])
def test_a_layer_that_is_cut_off_is_damaged_wherever_it_was_cut(kind: str, part: float) -> None:
    text = "".join(f"{number * 7919 % 1000003}" for number in range(30_000))  # does not compress to nothing
    blob = pack(tar_of({STATUS: text, "etc/b": text}), kind)
    with pytest.raises(LayerError, match=rf"^{sha(blob)}: a layer is damaged: "):
        read_layer(io.BytesIO(blob[: int(len(blob) * part)]), sha(blob))


@pytest.mark.parametrize("kind", ["tar", "gzip", "zstd"])
def test_a_layer_with_a_changed_byte_is_damaged(kind: str) -> None:
    blob = bytearray(pack(tar_of({STATUS: "Package: a", "etc/b": "b" * 3000}), kind))
    blob[len(blob) // 2] ^= 1
    good = sha(pack(tar_of({STATUS: "Package: a", "etc/b": "b" * 3000}), kind))
    with pytest.raises(LayerError, match=rf"^{good}: a layer is damaged: "):
        read_layer(io.BytesIO(bytes(blob)), good)


def test_bytes_behind_the_archive_count_for_the_digest() -> None:
    blob = tar_of({STATUS: "x"}) + b"\0" * 20_000
    assert read_layer(io.BytesIO(blob), sha(blob)).unpacked == len(blob)
    with pytest.raises(LayerError, match="its bytes are"):
        read_layer(io.BytesIO(blob + b"more"), sha(blob))


def test_a_hard_link_has_the_content_of_what_it_links_to() -> None:
    assert (
        read({STATUS: "a", "var/lib/dpkg/status.d/b": ("link", f"./{STATUS}")}).files["var/lib/dpkg/status.d/b"] == b"a"
    )


def test_a_hard_link_to_what_was_not_read_is_said_and_not_left_out() -> None:
    with pytest.raises(LayerError, match=f"/{STATUS}: is a hard link to /etc/x, which this tool does not read"):
        read({"etc/x": "a", STATUS: ("link", "etc/x")})


def test_a_layer_puts_its_files_in_place_of_lower_ones() -> None:
    assert tree({STATUS: "old"}, {STATUS: "new"}).read(f"/{STATUS}") == b"new"


@pytest.mark.parametrize(
    "over",
    [
        {"var/lib/dpkg/.wh.status": ""},
        {"var/lib/.wh.dpkg": ""},
        {".wh.var": ""},
        {"var/lib/dpkg/.wh..wh..opq": ""},
        {"var/.wh..wh..opq": ""},
        {".wh..wh..opq": ""},
        {"var/lib/dpkg": ("symlink", "/elsewhere")},
        {"var/lib": "a file now"},
    ],
    ids=lambda over: next(iter(over)),
)
def test_what_a_layer_takes_away_or_hides_is_gone(over: Files) -> None:
    assert tree({STATUS: "old", "etc/os-release": "ID=x"}, over).read(f"/{STATUS}") is None


def test_a_whiteout_is_for_lower_layers_only() -> None:
    layers: list[Files] = [{STATUS: "old"}, {"var/lib/dpkg/.wh..wh..opq": "", "var/.wh.lib": "", STATUS: "new"}]
    assert tree(*layers).read(f"/{STATUS}") == b"new"
    assert tree(*layers[1:], {}).read(f"/{STATUS}") == b"new"


def test_a_whiteout_of_a_longer_name_takes_nothing_away() -> None:
    assert tree({STATUS: "old"}, {"var/lib/dpkg/.wh.status-old": "", "var/.wh.li": ""}).read(f"/{STATUS}") == b"old"


def test_a_directory_in_a_layer_above_hides_nothing() -> None:
    assert tree({STATUS: "old"}, {"var": None, "var/lib": None, "var/lib/dpkg": None}).read(f"/{STATUS}") == b"old"


def test_a_link_is_read_through() -> None:
    assert (
        tree({"usr/lib/os-release": "ID=x", "etc/os-release": ("symlink", "../usr/lib/os-release")}).read(
            "/etc/os-release"
        )
        == b"ID=x"
    )
    absolute = tree({"usr/lib/os-release": "ID=y", "etc/os-release": ("symlink", "/usr/lib/os-release")})
    assert absolute.read("/etc/os-release") == b"ID=y"
    assert "/etc/os-release" in absolute
    assert tree({"etc/os-release": ("symlink", "nowhere")}).read("/etc/os-release") is None


def test_a_link_in_place_of_a_file_and_a_file_in_place_of_a_link() -> None:
    link: Files = {"etc/os-release": ("symlink", "../usr/lib/os-release"), "usr/lib/os-release": "ID=link"}
    assert tree({"etc/os-release": "ID=file"}, link).read("/etc/os-release") == b"ID=link"
    assert tree(link, {"etc/os-release": "ID=file"}).read("/etc/os-release") == b"ID=file"

"""How two images differ, in made-up layers: each way to differ is told, and no other."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import pytest

from scripts.contents.compare import Difference, Listing, compare_configs, compare_layers, entry_of, explained
from scripts.contents.layers import entries, plain
from tests.layouts import Made, archive

if TYPE_CHECKING:
    from collections.abc import Mapping


def listing(files: Mapping[str, Made], digest: str = "", created_by: str = "RUN make") -> Listing:
    data = archive(files)
    return Listing(
        digest=digest or hashlib.sha256(data).hexdigest(),
        diff_id=hashlib.sha256(data).hexdigest(),
        created_by=created_by,
        entries={entry.name: entry_of(entry, read) for entry, read in entries(plain(io.BytesIO(data)))},
    )


def told(before: Mapping[str, Made], after: Mapping[str, Made]) -> list[tuple[str, str]]:
    return [(item.path, item.how) for item in compare_layers([listing(before)], [listing(after)])]


FILE = Made(text="one")


@pytest.mark.parametrize(
    ("after", "how"),
    [
        (Made(text="two"), "content"),
        (Made(text="other"), "content"),
        (Made(text="one", mode=0o600), "mode 0644, then 0600"),
        (Made(text="one", owner=(0, 7)), "owner 0:0, then 0:7"),
        (Made(text="one", mtime=0), "mtime 1980-01-01T00:00:00, then 1970-01-01T00:00:00"),
        (Made(text="two", mode=0o600), "mode 0644, then 0600; content"),
        (Made(folder=True, mode=0o644), "kind file, then folder; content"),
    ],
)
def test_a_file_that_is_another_is_told_with_all_that_is_other(after: Made, how: str) -> None:
    assert told({"a": FILE, "b": FILE}, {"a": FILE, "b": after}) == [("b", how)]


def test_a_file_that_is_in_one_only_is_told() -> None:
    assert told({"a": FILE, "b": FILE}, {"b": FILE, "c": FILE}) == [
        ("a", "missing in the second image"),
        ("c", "missing in the first image"),
    ]


def test_links_differ_in_what_they_lead_to_and_in_their_kind() -> None:
    before = {"a": FILE, "b": Made(target="a"), "c": Made(target="a", hard=True)}
    after = {"a": FILE, "b": Made(target="/a"), "c": Made(target="a")}
    assert told(before, after) == [("b", "target a, then /a"), ("c", "kind hard link, then link")]


def test_the_same_entries_in_another_order_are_a_difference_without_a_path() -> None:
    assert told({"a": FILE, "b": FILE}, {"b": FILE, "a": FILE}) == [("", "the same entries in another order")]


def test_a_layer_that_was_only_compressed_in_another_way_is_told_as_such() -> None:
    found = compare_layers([listing({"a": FILE}, "x")], [listing({"a": FILE}, "y")])
    assert found == (
        Difference(layer=0, created_by="RUN make", path="", how="the same archive, compressed in another way"),
    )


def test_layers_of_the_same_digest_do_not_differ_whatever_was_listed() -> None:
    assert compare_layers([listing({}, "x")], [listing({"a": FILE}, "x")]) == ()


def test_a_layer_that_one_image_has_alone_is_told() -> None:
    more = listing({"b": FILE}, created_by="COPY b")
    (found,) = compare_layers([listing({"a": FILE})], [listing({"a": FILE}), more])
    assert found == Difference(
        layer=1, created_by="COPY b", path="", how="there is such a layer in the second image only"
    )
    assert compare_layers([more, more], [more])[0].how == "there is such a layer in the first image only"


def test_configs_are_compared_but_for_the_layers() -> None:
    before = {"config": {"Labels": {"a": "1", "b": "2"}}, "rootfs": {"diff_ids": ["x"]}, "history": [{"created": "1"}]}
    after = {"config": {"Labels": {"a": "1"}}, "rootfs": {"diff_ids": ["y"]}, "history": [{"created": "2"}]}
    found = [(item.layer, item.path, item.how) for item in compare_configs(before, after)]
    assert found == [(-1, "config.Labels.b", "'2', then None"), (-1, "history[0].created", "'1', then '2'")]


@pytest.mark.parametrize(
    ("path", "updated", "by"),
    [
        ("usr/bin/openssl", ["openssl"], "openssl"),
        ("usr/bin/git", ["openssl"], ""),
        ("usr/bin/openssl", [], ""),
        ("var/lib/dpkg/status", ["openssl"], "dpkg"),
        ("etc/ld.so.cache", ["openssl"], "dpkg"),
        ("var/lib/dpkg/status", [], ""),
        ("opt/file", ["openssl"], ""),
    ],
)
def test_a_difference_is_explained_by_an_updated_package_that_has_the_file(
    path: str, updated: list[str], by: str
) -> None:
    assert explained(path, {"usr/bin/openssl": "openssl", "usr/bin/git": "git"}, updated) == by

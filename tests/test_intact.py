"""Layouts that are no longer what was built are told from those that are, with all that is wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.contents.intact import faults_of
from tests.products import make_layout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return make_layout(tmp_path / "app_1", "one", "two")


def digest_of(layout: Path) -> str:
    digest: str = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    return digest


def layer_of(layout: Path) -> Path:
    manifest = json.loads((layout / "blobs" / digest_of(layout).replace(":", "/")).read_text())
    digest: str = manifest["layers"][0]["digest"]
    return layout / "blobs" / digest.replace(":", "/")


def test_a_whole_layout(layout: Path) -> None:
    assert faults_of(layout, digest_of(layout)) == ()


def test_a_blob_of_other_bytes(layout: Path) -> None:
    blob = layer_of(layout)
    blob.write_text("one!")
    (fault,) = faults_of(layout, digest_of(layout))
    assert fault.startswith(f"sha256:{blob.name} is damaged: its content is sha256:")


def test_a_blob_that_is_missing(layout: Path) -> None:
    blob = layer_of(layout)
    blob.unlink()
    assert faults_of(layout, digest_of(layout)) == (f"sha256:{blob.name} is missing",)


def test_an_image_manifest_that_is_missing(layout: Path) -> None:
    digest = digest_of(layout)
    (layout / "blobs" / digest.replace(":", "/")).unlink()
    assert faults_of(layout, digest) == ("its index or image manifest cannot be read: No such file or directory",)


def test_an_index_that_names_another_image(layout: Path) -> None:
    digest, index = digest_of(layout), layout / "index.json"
    index.write_text(index.read_text().replace(digest, "sha256:" + "ab" * 32))
    assert faults_of(layout, digest) == (f"index.json names sha256:{'ab' * 32} in place of {digest}",)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"manifests": [1]}'])
def test_an_index_that_is_none(layout: Path, text: str) -> None:
    digest = digest_of(layout)
    (layout / "index.json").write_text(text)
    (fault,) = faults_of(layout, digest)
    assert fault.startswith("its index or image manifest cannot be read: ")

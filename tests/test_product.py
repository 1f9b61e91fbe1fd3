"""A layout is published as it is, or not at all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.errors import BuildError
from scripts.release.product import load_product
from tests.products import MANIFEST, make_layout, make_product

if TYPE_CHECKING:
    from pathlib import Path


def test_product(tmp_path: Path) -> None:
    product = make_product(tmp_path / "a", "one", "two", "one")
    assert product.manifest.media_type == MANIFEST
    assert [blob.size for blob in product.blobs[1:]] == [3, 3, 3]
    assert product.size == product.blobs[0].size + 6  # a layer that is there twice is stored once
    assert all(blob.path.read_bytes() for blob in product.blobs)


def test_damage_is_found_before_anything_is_sent(tmp_path: Path) -> None:
    layout = make_layout(tmp_path / "a", "one")
    digest = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    product = load_product(layout)
    product.blobs[1].path.write_text("longer")
    with pytest.raises(BuildError, match=rf"a: {product.blobs[1].digest} is not 3 bytes: the layout is damaged, build"):
        load_product(layout)
    product.blobs[1].path.unlink()
    with pytest.raises(BuildError, match=r"a: the layout is damaged, build it again: .*No such file"):
        load_product(layout)
    (layout / "blobs" / digest.replace(":", "/")).write_text("{}")
    with pytest.raises(BuildError, match=rf"a: the manifest is not {digest}: the layout is damaged, build it again"):
        load_product(layout)

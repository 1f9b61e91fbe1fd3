"""The document: its canonical form, its schema, and what is no inventory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from scripts.contents.inventory import SCHEMA, parse_inventory, render_inventory, render_schema
from scripts.errors import UsageError
from tests.images import DEBIAN, inventory_of, package, wheel

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.contents.inventory import Inventory

FACTS = {"gpu architectures of torch": {"sass": ["sm_90"], "ptx": ["compute_90"]}, "lowest driver": "525.60.13"}


@pytest.fixture
def made(tmp_path: Path) -> Inventory:
    base = {"etc/os-release": DEBIAN, "var/lib/dpkg/status": package("libssl3", "3.0.1-1", "openssl")}
    layers = (base, {**wheel("numpy", "2.4.5"), "opt/conda/conda-meta/zlib-1.3-h1.json": "{}"})
    labels = {"ai.vessl.images.id": "app:1", "é": "ü"}
    return inventory_of(
        tmp_path, *layers, facts=FACTS, Env=["B=2", "A=1"], Labels=labels, ExposedPorts={"8888/tcp": {}, "22/tcp": {}}
    )


def test_the_document_reads_back_as_what_it_was(made: Inventory) -> None:
    assert parse_inventory(render_inventory(made), "x") == made


def test_the_document_is_canonical(made: Inventory) -> None:
    content = render_inventory(made)
    raw = json.loads(content)
    assert content == json.dumps(raw, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
    assert (raw["schema"], raw["version"]) == ("ai.vessl.images.inventory", 1)
    assert "ü" in content.decode()


def test_the_same_image_is_the_same_bytes_wherever_it_lies(tmp_path: Path) -> None:
    layers = ({"etc/os-release": DEBIAN}, wheel("b", "1") | wheel("a", "2"))
    first, second = (inventory_of(tmp_path / name, *layers, Env=["A=1"], Labels={"b": "1", "a": "2"}) for name in "xy")
    assert render_inventory(first) == render_inventory(second)
    for path in (str(tmp_path), "2026-01-01"):
        assert path not in render_inventory(first).decode()


def test_the_schema_in_the_repository_is_that_of_the_types() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == render_schema(), "run: python -m scripts.contents.inventory"


def test_the_schema_takes_an_inventory_and_refuses_what_is_none(made: Inventory) -> None:
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    raw = json.loads(render_inventory(made))
    jsonschema.validate(raw, schema)
    for change in ({"version": 2}, {"more": 1}, {"apt": [{"name": "a"}]}, {"image": {**raw["image"], "digest": "x"}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**raw, **change}, schema)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"version": 2}, "a.json: an inventory of version 2, this tool knows 1: update it"),
        ({"schema": "x"}, 'a.json: not an inventory: expected JSON with "schema": "ai.vessl.images.inventory"'),
        ({"apt": [{"name": "a"}]}, "a.json: not an inventory: apt.0.architecture: field required"),
        ({"more": 1}, "a.json: not an inventory: more: extra inputs are not permitted"),
    ],
)
def test_what_is_no_inventory_is_said(made: Inventory, change: dict[str, Any], sentence: str) -> None:
    content = json.dumps({**json.loads(render_inventory(made)), **change}).encode()
    with pytest.raises(UsageError) as caught:
        parse_inventory(content, "a.json")
    assert str(caught.value) == sentence


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b"null", b"{"])
def test_what_is_not_even_a_document_is_said(content: bytes) -> None:
    with pytest.raises(UsageError, match=r"^a.json: not an inventory: "):
        parse_inventory(content, "a.json")


def test_the_size_counts_a_layer_that_is_there_twice_once(tmp_path: Path) -> None:
    found = inventory_of(tmp_path, {"a": "1"}, {"a": "1"}, {"b": "1"})
    assert found.layers[0].digest == found.layers[1].digest
    assert found.size == found.layers[0].size + found.layers[2].size

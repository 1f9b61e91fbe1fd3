"""The words of faults: near names, key paths, and the sentences of a version manifest's own faults."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.recipe.faults import ManifestError, describe, did_you_mean, key_path


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = ""
    size: int = Field(default=1, gt=0)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: Inner | None = None
    many: tuple[Inner, ...] = ()
    named: dict[str, Inner] = {}


def faults(table: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(table)
    return describe(caught.value, Outer, {})


@pytest.mark.parametrize(
    ("name", "known", "words"),
    [
        ("cud", ["cpu", "cuda"], ', did you mean "cuda"?'),
        ("zebra", ["cuda", "cpu"], "; known: cpu, cuda"),
        ("cuda", [], ""),
        ("3.1", ["3.9", "3.10", "3.11"], ', did you mean "3.11"?'),
    ],
)
def test_a_name_is_answered_with_the_nearest_or_with_all(name: str, known: list[str], words: str) -> None:
    assert did_you_mean(name, known) == words


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), ""),
        (("image",), "image"),
        (("image", 2, "args", "TORCH_VERSION"), "image[2].args.TORCH_VERSION"),
        (("image", 0, "args", "lower", "[key]"), "image[0].args.lower"),
        (("a", 1, 2), "a[1][2]"),
    ],
)
def test_a_location_is_written_as_toml_writes_it(location: tuple[str | int, ...], path: str) -> None:
    assert key_path(location) == path


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"innr": {}}, 'innr: unknown key, did you mean "inner"?'),
        ({"inner": {"nme": 1}}, 'inner.nme: unknown key, did you mean "name"?'),
        ({"many": [{}, {"sise": 1}]}, 'many[1].sise: unknown key, did you mean "size"?'),
        ({"named": {"x": {"sise": 1}}}, 'named.x.sise: unknown key, did you mean "size"?'),
        ({"named": {"many": {"zzz": 1}}}, "named.many.zzz: unknown key; known: name, size"),
    ],
)
def test_an_unknown_key_is_compared_with_the_names_beside_it(table: object, fault: str) -> None:
    assert faults(table) == [fault]


def test_a_fault_of_another_kind_keeps_the_validators_own_sentence() -> None:
    assert faults({"inner": {"size": 0}}) == ["inner.size: Input should be greater than 0"]


def test_a_table_in_the_place_of_a_word_is_not_printed_whole() -> None:
    assert faults({"inner": {"name": {"secret": "x"}}}) == ["inner.name: expected a string, got a table"]
    assert faults({"inner": {"name": ["x"]}}) == ["inner.name: expected a string, got an array"]


def test_the_message_has_a_line_for_each_fault_and_the_file_on_each() -> None:
    error = ManifestError("a/versions.toml", ["x: one", "y: two"])
    assert str(error) == "a/versions.toml: x: one\na/versions.toml: y: two"
    assert error.faults == ("x: one", "y: two")

"""Locks: pins to requirements files and back, split into layers, compared with what is asked for."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest

from scripts.errors import UsageError
from scripts.recipe.family import load_family
from scripts.recipe.lock import (
    Pin,
    asked_names,
    direct_requirements,
    disagreements,
    load_lock,
    lock_directory,
    parse_layer,
    parse_pylock,
    render_layer,
    split_layers,
)

from .conftest import VERSIONS

if TYPE_CHECKING:
    from .conftest import Repository

ONE = Pin(name="one", version="1.0", hashes=("a" * 64, "b" * 64))
TWO = Pin(name="two", version="2.0+cpu", why="the index could not be reached")
THREE = Pin(name="three", version="3", hashes=("c" * 64,))
FILE = f"""\
# Made by `invoke lock`; do not edit.
one==1.0 \\
    --hash=sha256:{"a" * 64} \\
    --hash=sha256:{"b" * 64}
# no hash: the index could not be reached
two==2.0+cpu
three==3 \\
    --hash=sha256:{"c" * 64}
"""
LAYERED = VERSIONS.replace("lock = false\n", '[layers]\nfirst = ["one"]\nrest = ["*"]\n')


def test_a_layer_is_a_requirements_file_with_the_hashes_or_why_there_are_none() -> None:
    assert render_layer([ONE, TWO, THREE]) == FILE


def test_a_layers_file_is_read_back_as_it_was_written() -> None:
    assert parse_layer(FILE) == (ONE, TWO, THREE)
    assert parse_layer(render_layer([])) == ()


def test_a_reason_belongs_to_the_one_pin_below_it() -> None:
    assert parse_layer("# no hash: far\na==1\nb==2\n") == (
        Pin(name="a", version="1", why="far"),
        Pin(name="b", version="2"),
    )


def test_a_resolution_is_read_as_pins_by_name_with_all_their_hashes() -> None:
    text = f"""
    lock-version = "1.0"
    created-by = "uv"
    [[packages]]
    name = "three"
    version = "3"
    [[packages.wheels]]
    url = "http://127.0.0.1/three-3-py3-none-any.whl"
    hashes = {{ sha256 = "{"c" * 64}" }}
    [[packages]]
    name = "one"
    version = "1.0"
    [[packages.wheels]]
    name = "one-1.0-py3-none-any.whl"
    url = "http://127.0.0.1/one-1.0-py3-none-any.whl"
    hashes = {{ sha256 = "{"b" * 64}" }}
    [[packages.wheels]]
    name = "one-1.0-py2-none-any.whl"
    url = "http://127.0.0.1/one-1.0-py2-none-any.whl"
    hashes = {{ sha256 = "{"a" * 64}" }}
    """
    assert parse_pylock(tomllib.loads(text)) == (ONE, THREE)


def test_each_pin_goes_into_the_first_layer_that_takes_it() -> None:
    assert split_layers([ONE, TWO], {"first": ["one"], "rest": ["*"], "none": ["one"]}) == {
        "first": (ONE,),
        "rest": (TWO,),
        "none": (),
    }


def test_a_pin_that_fits_no_layer_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        split_layers([ONE], {"first": ["two"]})
    assert str(caught.value) == 'layers: no layer takes "one"; let the last one be ["*"]'


def test_a_row_asks_for_the_shared_requirements_and_its_packages(repository: Repository) -> None:
    family = load_family(repository.family(versions=VERSIONS + 'packages = { torch = "2.3.1" }\n'))
    shared = "# what every image has\nnumpy  # arrays\n\n  pandas>=2\n"
    assert direct_requirements(shared, family.manifest.image[0]) == ("numpy", "pandas>=2", "torch==2.3.1")


def test_the_names_of_what_is_asked_for() -> None:
    shared = "# what every image has\nNumPy  # arrays\n\n  pandas[excel]>=2; python_version > '3'\n"
    assert asked_names(shared, {"tensorflow_cpu": "2.16"}) == {"numpy", "pandas", "tensorflow-cpu"}
    assert asked_names("", {}) == frozenset()


def test_a_lock_is_loaded_layer_by_layer(repository: Repository) -> None:
    family = load_family(repository.family(versions=LAYERED))
    directory = lock_directory(family, family.manifest.image[0])
    assert directory == repository.root / "fam" / "locks" / "1"
    directory.mkdir(parents=True)
    (directory / "first.txt").write_text(render_layer([ONE]))
    (directory / "rest.txt").write_text(render_layer([TWO]))
    assert load_lock(family, family.manifest.image[0]) == {"first": (ONE,), "rest": (TWO,)}


def test_a_lock_that_lacks_layers_is_refused_with_the_command_that_makes_them(repository: Repository) -> None:
    family = load_family(repository.family(versions=LAYERED))
    with pytest.raises(UsageError) as caught:
        load_lock(family, family.manifest.image[0])
    assert str(caught.value) == "fam/locks/1: no lock for first, rest: run `invoke lock fam --version 1`"


@pytest.mark.parametrize(
    ("requirements", "constraints", "found"),
    [
        (["one", "two==2.0", "THREE>2"], ["one<2", "absent<1"], []),
        (["absent"], [], ["absent is asked for and not locked"]),
        (["one==1.1"], [], ["one==1.1 is asked for, 1.0 is locked"]),
        (["one"], ["two<2"], ["two<2 is asked for, 2.0+cpu is locked"]),
        (["o ne"], [], ["'o ne' is not a requirement (PEP 508): Expected semicolon (after name with no version specifier) or end\n    o ne\n      ^"]),
    ],
)  # fmt: skip
def test_a_lock_is_compared_with_what_is_asked_for(
    requirements: list[str], constraints: list[str], found: list[str]
) -> None:
    assert disagreements(requirements, constraints, [ONE, TWO, THREE]) == found


def test_a_locked_prerelease_fulfils_what_it_fulfils() -> None:
    assert disagreements(["one>=1"], [], [Pin(name="one", version="2.0rc1")]) == []

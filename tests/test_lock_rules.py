"""What has to hold of a lock, with each fault planted in one that is good."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.recipe.family import load_family
from scripts.recipe.lock import lock_directory
from scripts.recipe.lock_rules import broken_rules

from .conftest import VERSIONS

if TYPE_CHECKING:
    from .conftest import Repository

LAYERED = VERSIONS.replace("lock = false\n", '[layers]\nfirst = ["one"]\nrest = ["*"]\n')
HEAD = "# Made by `invoke lock`; do not edit.\n"
HASH = f" \\\n    --hash=sha256:{'a' * 64}\n"
GOOD = {
    "first": f"{HEAD}one==1.0{HASH}",
    "rest": f'{HEAD}# no hash: far\nfar==2.0+cpu\ntwo==1.0 ; platform_machine == "x86_64"{HASH}',
}


def faults(repository: Repository, **changed: str | None) -> list[str]:
    family = load_family(repository.family(versions=LAYERED))
    row = family.manifest.image[0]
    folder = lock_directory(family, row)
    folder.mkdir(parents=True)
    for name, text in {**GOOD, **changed}.items():
        if text is not None:
            (folder / f"{name}.txt").write_text(text)
    return broken_rules(family, row, "two\n")


def test_a_good_lock_breaks_no_rule(repository: Repository) -> None:
    assert faults(repository) == []


@pytest.mark.parametrize(
    ("layer", "old", "new", "found"),
    [
        ("rest", "two==", "one==1.0\ntwo==",
         ["rest.txt is not as `invoke lock` writes it: it was edited",
          "one is in rest.txt, and fam/versions.toml puts it into first",
          "one has neither a hash nor a reason why not", "one is there 2 times: first.txt, rest.txt"]),
        ("rest", "two==", f"far==2.0+cpu{HASH}two==", ["far is there 2 times: rest.txt, rest.txt"]),
        ("first", "one==1.0", "three==1.0", ["three is in first.txt, and fam/versions.toml puts it into rest"]),
        ("first", "a" * 64, "a" * 63, ["one has a hash that is no SHA-256"]),
        ("first", HEAD, f"{HEAD}--index-url https://user@index.invalid\n",
         ["first.txt names an index or an address in line 2"]),
        ("first", HEAD, f"{HEAD}-i somewhere\n", ["first.txt names an index or an address in line 2"]),
        ("first", "one==1.0", "one @ file:///one.whl", ["first.txt names an index or an address in line 2"]),
        ("first", HEAD, f"{HEAD}# a note\n", ["first.txt is not as `invoke lock` writes it: it was edited"]),
        ("rest", "two==1.0", "three==1.0", ["two is asked for and not locked"]),
    ],
)  # fmt: skip
def test_each_fault_is_said(repository: Repository, layer: str, old: str, new: str, found: list[str]) -> None:
    assert faults(repository, **{layer: GOOD[layer].replace(old, new, 1)}) == found


def test_a_pin_without_a_hash_says_why(repository: Repository) -> None:
    assert faults(repository, rest=GOOD["rest"].replace("# no hash: far\n", "")) == [
        "rest.txt is not as `invoke lock` writes it: it was edited",
        "far has neither a hash nor a reason why not",
    ]


def test_a_layer_without_a_file_and_a_file_without_a_layer_are_said(repository: Repository) -> None:
    assert faults(repository, first=None) == ["no lock for first"]


def test_a_file_of_no_layer_is_said(repository: Repository) -> None:
    assert faults(repository, old=HEAD) == ["old.txt is of no layer in fam/versions.toml"]

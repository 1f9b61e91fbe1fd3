"""Writing and checking the locks of a repository, with the real uv and a package index on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.build.locking import check, write
from scripts.errors import BuildError, UsageError
from scripts.recipe.matrix import load_families

from .conftest import VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import PackageIndex, Repository

LAYERED = VERSIONS.replace("lock = false\n", '[layers]\nfirst = ["one"]\nrest = ["*"]\n')
SECOND = '[[image]]\nversion = "2"\nbase = "python:3.12"\npython = "3.12"\nconstraints = ["one<2"]\n'


@pytest.fixture
def root(repository: Repository, package_index: PackageIndex) -> Path:
    repository.family(versions=LAYERED + SECOND)
    repository.family("bare")
    (repository.root / "scripts" / "image").mkdir(parents=True)
    (repository.root / "scripts" / "image" / "requirements.txt").write_text("two  # needs one\n")
    package_index.add("one", "1.0")
    package_index.add("two", "1.0", "one")
    return repository.root


def lock(root: Path, family: str = "fam", version: str | None = None, *, upgrade: bool = False) -> list[str]:
    return list(write(root, load_families(root), family, version, (), upgrade=upgrade))


def refusal(root: Path, family: str = "fam", version: str | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        check(root, load_families(root), family, version)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_each_row_gets_a_file_for_each_layer(root: Path) -> None:
    assert lock(root) == [
        "fam/locks/1: 2 distributions, none locked before",
        "fam/locks/2: 2 distributions, none locked before",
    ]
    assert sorted(path.relative_to(root).as_posix() for path in root.glob("fam/locks/*/*")) == [
        "fam/locks/1/first.txt", "fam/locks/1/rest.txt", "fam/locks/2/first.txt", "fam/locks/2/rest.txt",
    ]  # fmt: skip
    assert (root / "fam/locks/1/first.txt").read_text().splitlines()[:2] == [
        "# Made by `invoke lock`; do not edit.",
        "one==1.0 \\",
    ]
    check(root, load_families(root), "fam", None)


def test_locking_again_changes_nothing_until_an_upgrade_is_asked_for(root: Path, package_index: PackageIndex) -> None:
    lock(root)
    before = {path: path.read_bytes() for path in root.glob("fam/locks/*/*")}
    package_index.add("one", "2.0")
    assert lock(root) == ["fam/locks/1: unchanged", "fam/locks/2: unchanged"]
    assert {path: path.read_bytes() for path in root.glob("fam/locks/*/*")} == before
    # The second row's constraint still holds.
    assert lock(root, upgrade=True) == ["fam/locks/1: one 1.0 -> 2.0", "fam/locks/2: unchanged"]


def test_one_version_alone_can_be_locked(root: Path) -> None:
    assert len(lock(root, version="2")) == 1
    assert [path.name for path in root.glob("fam/locks/*")] == ["2"]


def test_a_package_that_is_no_longer_needed_is_gone(root: Path) -> None:
    lock(root, version="1")
    (root / "scripts" / "image" / "requirements.txt").write_text("one\n")
    assert lock(root, version="1") == ["fam/locks/1: two 1.0 -> (gone)"]


def test_a_row_that_cannot_be_resolved_keeps_its_lock(root: Path) -> None:
    lock(root)
    before = {path: path.read_bytes() for path in root.glob("fam/locks/*/*")}
    (root / "scripts" / "image" / "requirements.txt").write_text("two>1\n")
    with pytest.raises(BuildError, match=r"^uv could not resolve the requirements; nothing was written\n"):
        lock(root)
    assert {path: path.read_bytes() for path in root.glob("fam/locks/*/*")} == before


def test_what_is_asked_for_and_locked_otherwise_is_said_for_every_row(root: Path) -> None:
    lock(root)
    (root / "scripts" / "image" / "requirements.txt").write_text("one>1\nthree\n")
    assert refusal(root).splitlines() == [
        f"fam/locks/{row}: {fault}: run `invoke lock fam --version {row}`"
        for row in ("1", "2")
        for fault in ("one>1 is asked for, 1.0 is locked", "three is asked for and not locked")
    ]
    assert len(refusal(root, version="2").splitlines()) == 2


def test_a_row_without_a_lock_is_refused_with_the_command_that_makes_it(root: Path) -> None:
    assert refusal(root, version="1") == "fam/locks/1: no lock for first, rest: run `invoke lock fam --version 1`"


@pytest.mark.parametrize(
    ("family", "version", "sentence"),
    [
        ("fan", None, 'no family "fan", did you mean "fam"?'),
        ("fam", "3", 'fam has no version "3"; known: 1, 2'),
        (
            "bare",
            None,
            "bare/versions.toml: lock = false: its bases bring their own Python packages, so it has no locks",
        ),
    ],
)
def test_a_name_that_has_no_lock_is_refused(root: Path, family: str, version: str | None, sentence: str) -> None:
    assert refusal(root, family, version) == sentence
    with pytest.raises(UsageError):
        lock(root, family, version)

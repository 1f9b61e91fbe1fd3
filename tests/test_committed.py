"""Of which commit an image is, in real repositories: what makes its recipe another one than the commit's, and what does not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from scripts.build.committed import recipe_commit
from scripts.build.since import uncommitted
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.matrix import expand_all, load_families
from tests.test_vcs import git

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.build.vcs import Commit
    from scripts.recipe.matrix import ImageSpec

    from .conftest import Repository

VERSIONS = """\
description = "A family"
default = "1"
lock = false
[stages.app]
repository = "app"
tag = "{version}"
[[image]]
version = "1"
base = "python:3.11"
python = "3.11"
[[image]]
version = "2"
base = "python:3.12"
python = "3.12"
"""
DOCKERFILE = """\
ARG BASE_IMAGE=python:3.11
FROM ${BASE_IMAGE} AS app
ARG FLAVOUR=plain
COPY files /files
"""


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture
def root(repository: Repository) -> Path:
    """Two rows that copy a folder with two files, committed."""
    repository.family(versions=VERSIONS, dockerfile=DOCKERFILE)
    (repository.root / "files" / "other").write_text("other\n")
    git(repository.root, "init", "--quiet", "--initial-branch", "main")
    commit(repository.root, 1700000001)
    return repository.root


def commit(root: Path, when: int) -> str:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "c", when=when)
    return git(root, "rev-parse", "HEAD")


def first(root: Path) -> ImageSpec:
    """The image of row 1, or what became of it."""
    return expand_all(load_families(root))[0]


def found(root: Path) -> Commit:
    spec = first(root)
    return recipe_commit(root, spec, load_dockerfile(spec.dockerfile))


def edit(old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        path = root / "fam" / "versions.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


CHANGED: dict[str, Callable[[Path], None]] = {
    "its base": edit("python:3.11", "python:3.11-slim"),
    "its pin": edit('"python:3.11"', f'"python:3.11@sha256:{"0" * 64}"'),
    "its version": edit('version = "1"', 'version = "9"'),
    "an argument of all rows": edit("[[image]]", '[defaults.args]\nFLAVOUR = "x"\n[[image]]'),
    "a platform": edit("[[image]]", '[[image]]\nplatforms = ["linux/amd64", "linux/arm64"]'),
    "a file": lambda root: (root / "files" / "other").write_text("x"),  # type: ignore[dict-item] # gives a number
    "a file that was removed": lambda root: (root / "files" / "other").unlink(),
    "a file that was added": lambda root: (root / "files" / "new").touch(),
}
SAME: dict[str, Callable[[Path], None]] = {
    "a comment": edit("[[image]]", "# a comment\n[[image]]"),
    "another row": edit("python:3.12", "python:3.12-slim"),
    "the state of a row": edit(
        'python = "3.11"\n', 'python = "3.11"\nstate = "frozen"\nreason = "r"\nsince = 2026-01-01\n'
    ),
    "the default": edit('default = "1"', 'default = "2"'),
    "what Python has cached": lambda root: (root / "files" / "__pycache__").mkdir() or write_cached(root),  # type: ignore[func-returns-value] # both are done
}


def write_cached(root: Path) -> None:
    (root / "files" / "__pycache__" / "a.pyc").touch()


@pytest.mark.parametrize("change", CHANGED.values(), ids=CHANGED)
def test_what_a_build_sees_and_is_not_committed_makes_it_dirty(root: Path, change: Callable[[Path], None]) -> None:
    assert not found(root).dirty
    head = git(root, "rev-parse", "HEAD")
    if change is CHANGED["its version"]:
        edit('default = "1"', 'default = "9"')(root)
    change(root)
    assert (found(root).id, found(root).epoch) == (f"{head}-dirty", 1700000001)
    assert uncommitted(root, [first(root)])
    head = commit(root, 1700000002)
    assert (found(root).id, found(root).epoch) == (head, 1700000002)
    edit('description = "A family"', 'description = "Another"')(root)
    commit(root, 1700000003)
    assert (found(root).id, found(root).epoch) == (head, 1700000002)


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_what_no_build_of_it_sees_does_not(root: Path, change: Callable[[Path], None]) -> None:
    before = found(root)
    change(root)
    assert found(root) == before
    (root / "unused").touch()
    commit(root, 1700000002)
    assert found(root) == before


def test_a_row_that_was_never_committed_is_dirty_and_so_is_one_whose_file_was_broken_then(root: Path) -> None:
    path = root / "fam" / "versions.toml"
    text = path.read_text()
    path.write_text("not = [TOML")
    commit(root, 1700000002)
    path.write_text(text)
    assert found(root).dirty
    git(root, "rm", "--quiet", "--cached", "fam/versions.toml")
    git(root, "commit", "--quiet", "-m", "c")
    assert found(root).dirty


def test_an_image_is_of_the_commit_that_removed_a_file_from_it(root: Path) -> None:
    (root / "files" / "other").unlink()
    head = commit(root, 1700000002)
    assert (found(root).id, found(root).epoch) == (head, 1700000002)


def test_a_removed_file_is_named_among_what_is_not_committed(root: Path) -> None:
    (root / "files" / "other").unlink()
    assert uncommitted(root, [first(root)]) == ("files/other",)

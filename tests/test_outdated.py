"""What is outdated, with the real uv, a package index on loopback and a docker that only pretends."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build import sources
from scripts.build.locking import write
from scripts.build.outdated import change
from scripts.build.settings import Settings
from scripts.errors import UsageError
from scripts.recipe.lifetimes import load_lifetimes
from scripts.recipe.matrix import load_families
from scripts.release.outlook import Lookout, Part
from scripts.table import render_table

from .conftest import DIGEST, NO_SUCH_HOST, VERSIONS
from .faulty_registry import connect

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Docker, PackageIndex, Repository

LAYERED = VERSIONS.replace("lock = false\n", '[layers]\nall = ["*"]\n')
LAYERED += 'packages = { torch = "2.0.0" }\nconstraints = ["capped<2"]\n'
SECOND = '[[image]]\nversion = "2"\nbase = "python:3.12"\npython = "3.12"\npackages = { torch = "2.0.0" }\n'
FROZEN = '[[image]]\nversion = "0"\nbase = "python:3.9"\npython = "3.9"\nstate = "frozen"\nreason = "Old"\nsince = 2025-10-31\n'
MOVED = "sha256:" + "cd" * 32


@pytest.fixture
def root(repository: Repository, package_index: PackageIndex, docker: Docker) -> Path:
    """Two rows that are locked, before anything newer is there; a third that is frozen; bases that answer."""
    docker.answer(registry={"python:3.11": DIGEST, "python:3.12": DIGEST})
    versions = LAYERED + SECOND.replace('python:3.12"', f'python:3.12@{DIGEST}"') + FROZEN
    repository.family(versions=versions)
    repository.family("bare", VERSIONS.replace('"app"', '"bare"'))
    (repository.root / "scripts" / "image").mkdir(parents=True)
    (repository.root / "scripts" / "image" / "requirements.txt").write_text("asked\ncapped\nsome\n")
    for name in ("asked", "capped", "indirect", "wheel"):
        package_index.add(name, "1.0.0")
    package_index.add("some", "1.0.0", "indirect", "wheel<2")
    package_index.add("torch", "2.0.0")
    list(write(repository.root, load_families(repository.root), "fam", None, ()))
    return repository.root


def found(root: Path, family: str | None = "fam", version: str | None = None, **options: Any) -> Any:
    """The rows, what is unknown, and what was said."""
    said: list[str] = []
    sources._digest_in_registry.cache_clear()
    with connect() as client:
        lookout = Lookout(
            families=load_families(root),
            images=(),
            settings=Settings(root=root, out=root / "out", cache=root / "cache", registry="localhost:1"),
            lifetimes=load_lifetimes(),
            transport=client.transport,
            today=datetime.date(2026, 11, 26),
            say=said.append,
        )
        outlook = lookout.look(family, version, frozenset({Part.BASES, Part.PYTHON}), **options)
    return outlook.rows, outlook.unknown, said


def shown(rows: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [(row["name"], row["locked"], row["newest"], row["change"], row["do"], row["touches"]) for row in rows]


PIN = ("python:3.11", "not pinned", "abababababab", "", "invoke bases --refresh", "fam 1")


def test_nothing_is_outdated_where_nothing_is_newer(root: Path) -> None:
    rows, unknown, said = found(root)
    assert shown(rows) == [PIN]
    assert unknown == []
    assert said == ["fam 1: 0 distributions have newer versions", "fam 2: 0 distributions have newer versions"]
    rows, unknown, said = found(root, version="2")
    assert (rows, unknown) == ([], [])
    assert said[-1] == "nothing that was looked at is outdated"


def test_each_newer_version_is_told_with_its_size_its_rows_and_what_to_do(
    root: Path, package_index: PackageIndex
) -> None:
    for name, version in (("asked", "1.0.1"), ("capped", "2.0"), ("indirect", "1.1"), ("torch", "2.1"), ("wheel", "3")):
        package_index.add(name, version)
    package_index.add("capped", "1.5")
    rows, unknown, said = found(root, held=True)
    assert shown(rows) == [
        PIN,
        ("torch", "2.0.0", "2.1", "minor", "edit versions.toml", "fam 1 2"),
        ("asked", "1.0.0", "1.0.1", "patch", "lock --upgrade", "fam 1 2"),
        ("capped", "1.0.0", "2.0", "major", "lock --upgrade gives 1.5", "fam 1"),
        ("capped", "1.0.0", "2.0", "major", "lock --upgrade", "fam 2"),
        ("indirect", "1.0.0", "1.1", "minor", "lock --upgrade", "fam 1 2"),
        ("wheel", "1.0.0", "3", "major", "held by what needs it", "fam 1 2"),
    ]
    assert unknown == []
    assert [row["asked"] for row in rows[1:]] == ["versions.toml", *["direct"] * 3, *["indirect"] * 2]
    assert rows[1]["rows"] == ["fam 1", "fam 2"]
    assert rows[3]["fits"] == "1.5"
    fewer, _, said = found(root)
    assert shown(fewer) == shown(rows)[:-1]
    assert said[-1] == "held back by what needs them, and so not shown: 1 (--held shows them)"
    table = render_table(rows, {"name": 20, "locked": 10, "newest": 10, "change": 6, "do": 14, "touches": 10})
    assert max(map(len, table.splitlines())) <= 80
    # What it says of an upgrade is what an upgrade does.
    assert list(write(root, load_families(root), "fam", None, (), upgrade=True)) == [
        "fam/locks/1: asked 1.0.0 -> 1.0.1, capped 1.0.0 -> 1.5, indirect 1.0.0 -> 1.1",
        "fam/locks/2: asked 1.0.0 -> 1.0.1, capped 1.0.0 -> 2.0, indirect 1.0.0 -> 1.1",
    ]


def test_what_a_constraint_of_the_row_holds_back_is_said(root: Path, package_index: PackageIndex) -> None:
    package_index.add("capped", "2.0")
    rows, _, _ = found(root, version="1")
    assert shown(rows)[1:] == [("capped", "1.0.0", "2.0", "major", "held by capped<2 in versions.toml", "fam 1")]


def test_a_version_that_is_not_for_the_rows_python_is_not_newer(root: Path, package_index: PackageIndex) -> None:
    package_index.add("asked", "2.0", tag="cp312-cp312-manylinux_2_28_x86_64")
    rows, _, _ = found(root)
    assert shown(rows)[1:] == [("asked", "1.0.0", "2.0", "major", "lock --upgrade", "fam 2")]


def test_a_pin_whose_tag_has_moved_is_told(root: Path, docker: Docker) -> None:
    docker.answer(registry={"python:3.11": DIGEST, "python:3.12": MOVED})
    rows, _, _ = found(root, version="2")
    assert shown(rows) == [
        ("python:3.12", "abababababab", "cdcdcdcdcdcd", "base moved", "invoke bases --refresh", "fam 2")
    ]


def test_an_index_out_of_reach_is_never_nothing_outdated(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    rows, unknown, said = found(root)
    assert shown(rows) == [PIN]
    assert said == ["fam 1: unknown", "fam 2: unknown"]
    # uv names the first distribution that failed: the rows need not agree on which, and then each has its own line.
    assert sorted(row for line in unknown for row in line.partition(": unknown: ")[0].split(", ")) == ["fam 1", "fam 2"]
    for line in unknown:
        assert line.partition(": unknown: ")[2].startswith("uv could not resolve the requirements")
        assert "http://127.0.0.1:9/simple/" in line


def test_a_registry_out_of_reach_leaves_its_bases_unknown(root: Path, docker: Docker) -> None:
    docker.answer(registry={"python:3.12": DIGEST})
    rows, unknown, _ = found(root)
    assert rows == []
    assert unknown == [f"python:3.11: unknown: its registry gave no answer: {NO_SUCH_HOST} (fam 1)"]


def test_a_row_that_is_not_locked_is_unknown_and_a_family_without_locks_has_only_bases(root: Path) -> None:
    (root / "fam" / "locks" / "1" / "all.txt").unlink()
    rows, unknown, said = found(root, None)
    assert unknown == ["fam 1: unknown: it is not locked: run `invoke lock fam --version 1`"]
    assert shown(rows) == [(*PIN[:-1], "bare 1; fam 1")]
    assert said == ["fam 1: unknown", "fam 2: 0 distributions have newer versions"]


def test_a_frozen_row_is_looked_at_only_by_its_name(root: Path, package_index: PackageIndex) -> None:
    package_index.add("asked", "1.1")
    rows, _, _ = found(root, version="0")
    assert [row["rows"] for row in rows] == [["fam 0"]]
    with pytest.raises(UsageError):
        found(root, version="3")


@pytest.mark.parametrize(
    ("before", "after", "size"),
    [
        ("1.2.3", "1.2.4", "patch"),
        ("1.2", "1.2.1", "patch"),
        ("1.2.3.4", "1.2.3.5", "patch"),
        ("1.2.3", "1.2.3.post1", "patch"),
        ("1.2.9", "1.3.0", "minor"),
        ("1.2", "2", "major"),
        ("2026.1", "1!1.0", "major"),
    ],
)
def test_the_size_of_a_change_is_the_first_number_that_differs(before: str, after: str, size: str) -> None:
    assert change(before, after) == size

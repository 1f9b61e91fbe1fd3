"""lock and outdated as they are typed: options with and without a value, streams and exit codes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from .conftest import DIGEST, VERSIONS

if TYPE_CHECKING:
    import subprocess

    from .conftest import Docker, PackageIndex, Tasks

LAYERED = VERSIONS.replace("lock = false\n", '[layers]\nall = ["*"]\n')
COPYING = "ARG ROW=1\nARG BASE_IMAGE=x\nFROM ${BASE_IMAGE} AS app\nCOPY fam/locks/${ROW}/all.txt /lock/\n"


@pytest.fixture
def locked(tasks: Tasks, package_index: PackageIndex, docker: Docker) -> Tasks:
    """A row that is locked, and a newer version of what it has."""
    docker.answer(registry={"python:3.11": DIGEST})
    tasks.repository.family(versions=LAYERED, dockerfile=COPYING)
    (tasks.repository.root / "scripts" / "image" / "requirements.txt").write_text("one\ntwo\n")
    package_index.add("one", "1.0")
    package_index.add("two", "1.0")
    assert lock(tasks).returncode == 0
    package_index.add("one", "1.1")
    package_index.add("two", "1.1")
    return tasks


def typed(tasks: Tasks, *words: str) -> subprocess.CompletedProcess[str]:
    settings = {name: value for name, value in os.environ.items() if name.startswith(("UV_", "NO_PROXY"))}
    return tasks.run(*words, **settings)


def lock(tasks: Tasks, *words: str) -> subprocess.CompletedProcess[str]:
    return typed(tasks, "lock", "fam", *words)


def test_upgrade_takes_all_or_those_that_are_named(locked: Tasks) -> None:
    begin = "resolving the packages of fam, row by row"
    for words, line in (
        ([], "fam/locks/1: unchanged"),
        (["--upgrade", "--dry-run"], "fam/locks/1: one 1.0 -> 1.1, two 1.0 -> 1.1 (not written)"),
        (["--dry-run", "--upgrade"], "fam/locks/1: one 1.0 -> 1.1, two 1.0 -> 1.1 (not written)"),
        (["--upgrade", "two", "--dry-run"], "fam/locks/1: two 1.0 -> 1.1 (not written)"),
        (["--upgrade=one"], "fam/locks/1: one 1.0 -> 1.1"),
    ):
        done = lock(locked, *words)
        assert (done.returncode, done.stdout, done.stderr.splitlines()) == (0, "", [begin, line])
    assert lock(locked, "--check").stderr == ""


def test_a_package_that_is_not_locked_is_refused_before_anything_is_asked(locked: Tasks) -> None:
    done = lock(locked, "--upgrade", "tow")
    assert (done.returncode, done.stderr) == (2, '--upgrade: no package "tow" is locked in 1, did you mean "two"?\n')


def test_an_index_out_of_reach_ends_with_exit_code_3_and_the_lock_as_it_was(
    locked: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = locked.repository.root / "fam" / "locks" / "1" / "all.txt"
    before = path.read_bytes()
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    done = lock(locked, "--upgrade")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[1:3] == [
        "fam/locks/1: not resolved, left as it was",
        "fam/locks/1: uv could not resolve the requirements; nothing was written",
    ]
    assert "Traceback" not in done.stderr
    assert path.read_bytes() == before
    done = typed(locked, "outdated", "--only", "bases,python", "--format", "json")
    assert done.returncode == 3
    assert [row["asked"] for row in json.loads(done.stdout)] == ["base"]
    assert "fam 1: unknown: uv could not resolve the requirements" in done.stderr


def test_outdated_is_a_table_of_80_columns_or_json(locked: Tasks) -> None:
    done = typed(locked, "outdated", "--only", "python,bases")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["name", "locked", "newest", "change", "do", "touches"]
    assert lines[-1].split() == ["two", "1.0", "1.1", "minor", "lock", "--upgrade", "fam", "1"]
    assert max(map(len, lines)) <= 80
    assert done.stderr == "fam 1: 2 distributions have newer versions\n"
    found = json.loads(typed(locked, "outdated", "fam", "--only", "bases,python", "--format", "json").stdout)
    assert [(row["name"], row["change"]) for row in found] == [("python:3.11", ""), ("one", "minor"), ("two", "minor")]

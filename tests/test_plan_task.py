"""``invoke plan`` with a registry, and what is published but made by no row any more."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from scripts.build.plan import Action
from scripts.release.place import load_history, registry_of
from scripts.release.retired import find_retired
from tests.faulty_registry import FaultyRegistry
from tests.world import World

from .conftest import DIGEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Docker, Repository, Tasks


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def made(repository: Repository, docker: Docker, registry: FaultyRegistry, tmp_path: Path) -> World:
    docker.answer(registry={"python:3.11": DIGEST})
    return World(repository, registry, tmp_path / "folder")


def test_a_row_that_is_gone_is_retired(made: World) -> None:
    made.publish(line=True)
    registry, ledger = registry_of(made.settings()), load_history(made.settings())
    assert find_retired([made.spec], registry, ledger) == ()
    (gone,) = find_retired([], registry, ledger)
    assert (gone.id, gone.why) == ("app:1", "no row makes it any more; 1-r1 of 2026-11-25 stays published")
    assert find_retired([], registry, ledger, "fam") == (gone,)
    assert find_retired([], registry, ledger, "other") == ()
    assert find_retired([], "localhost:1/vessl-ai", ledger) == ()


def test_the_task_has_the_same_answer_with_a_build_and_without(made: World, tasks: Tasks) -> None:
    words = ("plan", "--registry", f"{made.registry.host}/vessl-ai", "--format", "json")
    first = json.loads(tasks.run(*words).stdout)
    assert [(row["id"], row["action"], row["why"]) for row in first] == [("app:1", "build", "never published")]
    assert tasks.run("build", "fam").returncode == 0
    assert json.loads(tasks.run(*words).stdout) == first
    assert json.loads(tasks.run(*words, "--against", "built").stdout)[0]["action"] == "up to date"


def test_the_task_calls_a_row_retired_and_leaves_a_frozen_one_alone(made: World, tasks: Tasks) -> None:
    made.publish(line=True)
    frozen = 'state = "frozen"\nreason = "Old"\nsince = 2025-10-31\n'
    versions = (made.repository.root / "fam" / "versions.toml").read_text().replace('"1"', '"2"')
    made.repository.family(versions=versions + frozen)
    words = ("plan", "--registry", f"{made.registry.host}/vessl-ai", "--format")
    rows = json.loads(tasks.run(*words, "json").stdout)
    assert [(row["id"], row["action"]) for row in rows] == [("app:2", "left alone"), ("app:1", "retired")]
    assert tasks.run(*words, "github").stdout == '{"include":[]}\n'


def test_a_registry_out_of_reach_is_said_and_an_error_for_a_pipeline(tasks: Tasks, docker: Docker) -> None:
    docker.answer(registry={"python:3.11": DIGEST})
    words = ("plan", "--registry", "127.0.0.1:9/vessl-ai", "--format")
    done = tasks.run(*words, "json")
    assert [row["why"] for row in json.loads(done.stdout)] == ["never built here"]
    assert done.stderr.splitlines()[1] == (
        "127.0.0.1:9/vessl-ai cannot be asked: compared with what was built here instead"
    )
    done = tasks.run(*words, "github")
    assert (done.returncode, done.stdout) == (4, "")
    assert "(--changed-since REF and --against built need no registry)" in done.stderr


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--changed-since", "HEAD", "--against", "built"), "--changed-since and --against are two ways to compare"),
        (("--against", "both"), '--against: expected published or built, got "both"'),
        (("--shards", "0"), "--shards: expected 1 or more"),
        (("--format", "svg"), '--format: expected table or json or github or gitlab, got "svg"'),
    ],
)
def test_words_that_make_no_sense_are_refused(tasks: Tasks, words: tuple[str, ...], sentence: str) -> None:
    done = tasks.run("plan", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert Action.BUILD not in done.stdout


def test_revisions_and_audit_go_on_with_a_retired_image(made: World, tasks: Tasks) -> None:
    made.publish(line=True, provenance=False)
    versions = (made.repository.root / "fam" / "versions.toml").read_text().replace('"1"', '"2"')
    made.repository.family(versions=versions)
    words = ("--registry", f"{made.registry.host}/vessl-ai")
    done = tasks.run("revisions", "app:1", *words, "--format", "json")
    assert [(row["revision"], row["state"]) for row in json.loads(done.stdout)] == [("1-r1", "standard")]
    assert done.stderr == "app:1 is retired: no row makes it any more; 1-r1 of 2026-11-25 stays published\n"
    done = tasks.run("audit", *words, "--format", "json")
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert done.stderr == f"{made.registry.host}/vessl-ai/app: 1 images; retired: app:1\n"


@pytest.mark.parametrize("against", [("--against", "built"), ("--changed-since", "HEAD")])
def test_names_of_files_that_are_no_text_are_told_all_the_same(
    made: World, tasks: Tasks, against: tuple[str, str]
) -> None:
    root = made.repository.root
    for words in (["init"], ["add", "."], ["commit", "-m", "c"]):
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        subprocess.run(["git", *identity, *words], cwd=root, check=True, capture_output=True)
    assert tasks.run("build", "fam").returncode == 0
    (root / "files" / "hello").unlink()
    (root / "files" / "hello").mkdir()
    (root / "files" / "hello" / os.fsdecode(b"a\n\xff")).touch()
    done = tasks.run("plan", *against, "--format", "json", PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert (row["action"], r"a\n\udcff" in ascii(row["why"])) == ("build", True), row
    assert r"'files/hello/a\n\udcff'" in done.stderr or against[0] == "--against"
    assert tasks.run("plan", *against, PYTHONIOENCODING="utf-8:strict").returncode == 0


def test_an_image_of_what_was_not_committed_is_built_anew_once_it_is(made: World, tasks: Tasks) -> None:
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init"], ["add", "."], ["commit", "-m", "c"]):
        subprocess.run([*git, *words], cwd=made.repository.root, check=True, capture_output=True)
    (made.repository.root / "files" / "hello").write_text("not committed")
    assert tasks.run("build", "fam").returncode == 0

    def planned() -> list[tuple[str, str]]:
        rows = json.loads(tasks.run("plan", "--against", "built", "--format", "json").stdout)
        return [(row["action"], row["why"].partition(" of ")[0]) for row in rows]

    assert planned() == [("up to date", "recipe, lock and base are those")]
    subprocess.run([*git, "commit", "--all", "-m", "c"], cwd=made.repository.root, check=True, capture_output=True)
    assert planned() == [("build", "built before its recipe was committed, and labelled so")]

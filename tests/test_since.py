"""What changed since a commit, image by image: in real repositories, with recipes whose images share some of their inputs."""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.plan import Action
from scripts.build.settings import Settings
from scripts.build.since import find_commit, load_then, plan_since, uncommitted
from scripts.errors import UsageError
from scripts.recipe.matrix import expand_all, load_families
from tests.test_vcs import git

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Repository, Tasks

DOCKERFILE = """\
ARG BASE_IMAGE=python:3.11
FROM ${BASE_IMAGE} AS small
ARG ROW=1
COPY shared /shared
COPY fam/locks/${ROW}/rest.txt /lock/
FROM small AS large
RUN --mount=type=bind,source=tool,target=/tool /tool
FROM ${BASE_IMAGE} AS nobodys
COPY unused /unused
"""
VERSIONS = """\
description = "A family"
default = "1"
lock = false
[stages.small]
repository = "small"
tag = "{version}"
[stages.large]
repository = "large"
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
EVERY = {"small:1", "large:1", "small:2", "large:2"}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


@pytest.fixture
def root(repository: Repository) -> Path:
    """Two rows of two stages, committed; branch main, and one of its own checked out."""
    root, family = repository.root, repository.family(versions=VERSIONS, dockerfile=DOCKERFILE)
    for row in ("1", "2"):
        (family / "locks" / row).mkdir(parents=True)
        (family / "locks" / row / "rest.txt").write_text(f"one=={row}\n")
    for name in ("shared", "tool", "unused", "README.md"):
        (root / name).write_text(name)
    (root / ".dockerignore").write_text("*\n")
    git(root, "init", "--quiet", "--initial-branch", "main")
    commit(root)
    git(root, "checkout", "--quiet", "-b", "mine")
    return root


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "c")


def planned(root: Path, ref: str = "main") -> dict[str, str]:
    """The images that are to be built, and why."""
    settings = Settings(root=root, out=root / "out", cache=root / "cache", registry="r")
    specs = expand_all(load_families(root))
    steps = plan_since(specs, settings, ref, load_then(root, find_commit(root, ref)))
    assert {step.action for step in steps} <= {Action.BUILD, Action.NOTHING}
    return {step.spec.id: step.why for step in steps if step.action is Action.BUILD}


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


CHANGES: dict[str, tuple[Any, set[str]]] = {
    "a file that all copy": (lambda root: (root / "shared").write_text("x"), EVERY),
    "a file that a later stage mounts": (lambda root: (root / "tool").write_text("x"), {"large:1", "large:2"}),
    "a mode": (lambda root: (root / "tool").chmod(0o755), {"large:1", "large:2"}),
    "a file that no published stage copies": (lambda root: (root / "unused").write_text("x"), set()),
    "a file beside the recipes": (lambda root: (root / "README.md").write_text("x"), set()),
    "a lock": (lambda root: (root / "fam/locks/2/rest.txt").write_text("one==3\n"), {"small:2", "large:2"}),
    "a stage": (lambda root: replace_in(root / "fam/Dockerfile", "/tool /tool", "/tool /tool -v"), {"large:1", "large:2"}),
    "a stage that nobody publishes": (lambda root: replace_in(root / "fam/Dockerfile", "/unused", "/else"), set()),
    "a comment": (lambda root: replace_in(root / "fam/Dockerfile", "FROM small", "# words\nFROM small"), set()),
    "a row": (lambda root: replace_in(root / "fam/versions.toml", '"python:3.12"', '"python:3.12.1"'), {"small:2", "large:2"}),
    "words of a family": (lambda root: replace_in(root / "fam/versions.toml", "A family", "Another"), set()),
    "what is kept out of the context": (lambda root: (root / ".dockerignore").write_text("#\n"), EVERY),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_exactly_the_images_are_named_whose_build_can_see_a_change(root: Path, name: str) -> None:
    change, images = CHANGES[name]
    assert planned(root) == {}
    change(root)
    assert planned(root).keys() == images
    commit(root)
    assert planned(root).keys() == images
    assert planned(root, "HEAD") == {}


def test_the_reason_names_the_file_and_the_package(root: Path) -> None:
    (root / "tool").write_text("x")
    (root / "fam/locks/2/rest.txt").write_text("one==3\ntwo==1\n")
    assert planned(root) == {
        "large:1": "recipe changed: tool",
        "small:2": "lock changed: one 2 -> 3, two (new) -> 1",
        "large:2": "lock changed: one 2 -> 3, two (new) -> 1; recipe changed: tool",
    }


def test_a_row_that_is_new_and_one_that_could_not_be_built_then_are_said(root: Path) -> None:
    (root / "fam/locks/2/rest.txt").unlink()
    commit(root)
    git(root, "branch", "broken")
    git(root, "checkout", "--quiet", "main", "--", "fam/locks/2/rest.txt")
    text = (root / "fam/versions.toml").read_text()
    (root / "fam/versions.toml").write_text(text + '[[image]]\nversion = "3"\nbase = "python:3.12"\npython = "3.12"\n')
    shutil.copytree(root / "fam/locks/2", root / "fam/locks/3")
    found = planned(root, "broken")
    assert found["small:3"] == "new since broken"
    assert found["small:2"].startswith(
        "could not be built at broken: fam/locks/2/rest.txt, which fam/Dockerfile copies"
    )
    assert found.keys() == {"small:2", "large:2", "small:3", "large:3"}


def test_a_family_that_was_renamed_keeps_its_images(root: Path) -> None:
    git(root, "mv", "fam", "family")
    replace_in(root / "family/Dockerfile", "COPY fam/", "COPY family/")
    found = planned(root)
    assert found.keys() == EVERY
    assert all(why.startswith("lock changed: rest; recipe changed: stage small") for why in found.values()), found


def test_recipes_that_cannot_be_read_then_count_as_changed(root: Path) -> None:
    replace_in(root / "fam/versions.toml", "lock = false", "lock = maybe")
    commit(root)
    git(root, "branch", "broken")
    git(root, "checkout", "--quiet", "main", "--", ".")
    then = load_then(root, find_commit(root, "broken"))
    assert then.unreadable.startswith("fam/versions.toml: not valid TOML")
    assert set(planned(root, "broken").values()) == {"the recipes of broken cannot be read"}


def test_what_came_to_the_other_branch_since_is_not_ours(root: Path) -> None:
    git(root, "checkout", "--quiet", "main")
    (root / "shared").write_text("theirs")
    commit(root)
    git(root, "checkout", "--quiet", "mine")
    (root / "tool").write_text("ours")
    assert planned(root).keys() == {"large:1", "large:2"}


def test_two_at_once_are_not_in_each_others_way(root: Path) -> None:
    (root / "tool").write_text("x")
    before = sorted(path.name for path in (root / ".git").iterdir())
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: planned(root), range(8)))
    assert all(item == found[0] for item in found)
    assert found[0].keys() == {"large:1", "large:2"}
    assert sorted(path.name for path in (root / ".git").iterdir()) == before


def test_what_is_not_committed_is_named_and_what_no_build_sees_is_not(root: Path) -> None:
    specs = expand_all(load_families(root))
    assert uncommitted(root, specs) == ()
    (root / "fam" / "locks" / "1" / "rest.txt").write_text("one==9\n")
    (root / "README.md").write_text("x")
    assert uncommitted(root, specs) == ("fam/locks/1/rest.txt",)


@pytest.mark.parametrize("ref", ["maim", "--help", "main:fam", "", "main..mine", "$(true)"])
def test_a_ref_that_is_none_is_refused(root: Path, ref: str) -> None:
    with pytest.raises(UsageError, match="--changed-since: no commit") as caught:
        find_commit(root, ref)
    if ref == "maim":
        assert str(caught.value) == '--changed-since: no commit "maim", did you mean "main"?'


def shallow(root: Path, folder: Path, *words: str) -> Path:
    git(folder, "clone", "--quiet", "--depth", "1", *words, f"file://{root}", "shallow")
    return folder / "shallow"


def test_a_shallow_clone_is_told_how_to_know_more(root: Path, tmp_path: Path) -> None:
    (root / "tool").write_text("x")
    commit(root)
    clone = shallow(root, tmp_path, "--no-single-branch")
    more = "this clone is shallow: git fetch --unshallow (in a workflow: fetch-depth: 0)"
    with pytest.raises(UsageError) as caught:
        find_commit(clone, "v1")
    assert str(caught.value) == f'--changed-since: no commit "v1", or it is not in this clone: {more}'
    with pytest.raises(UsageError) as caught:
        find_commit(clone, "origin/main")
    assert str(caught.value) == f'--changed-since: where HEAD left "origin/main" is not known: {more}'
    assert planned(clone, "HEAD") == {}


def test_a_folder_without_history_is_refused(repository: Repository) -> None:
    with pytest.raises(UsageError, match="git knows no history here: not a git repository"):
        find_commit(repository.root, "main")


def test_a_repository_below_the_top_of_a_git_repository_is_compared_too(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / ".git")
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    commit(tmp_path)
    (root / "tool").write_text("x")
    assert planned(root).keys() == {"large:1", "large:2"}


def test_the_task_says_what_it_compared_with_and_what_is_not_committed(root: Path, tasks: Tasks) -> None:
    tasks.repository.family(versions=VERSIONS, dockerfile=DOCKERFILE)
    commit(root)
    (root / "tool").write_text("x")
    done = tasks.run("plan", "--changed-since", "HEAD", "--format", "github")
    assert done.returncode == 0, done.stderr
    head = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    assert done.stderr.splitlines() == [
        f"compared with HEAD ({head[:10]})",
        "what is not committed counts: tool",
        "large:1: recipe changed: tool",
        "large:2: recipe changed: tool",
        "2 of 4 images to build, by 2 jobs",
    ]
    assert '"rows":"fam=1","images":"large:1"' in done.stdout

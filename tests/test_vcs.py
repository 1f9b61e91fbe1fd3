"""What git knows of a recipe, in real repositories."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from scripts.build.vcs import NO_HISTORY, Commit, changed_files, last_commit, text_at, within
from scripts.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)


def git(root: Path, *words: str, when: int = 0) -> str:
    who = ("-c", "user.name=n", "-c", "user.email=e@example.com")
    dates = {f"GIT_{kind}_DATE": f"{when} +0200" for kind in ("AUTHOR", "COMMITTER")} if when else {}
    done = subprocess.run(
        ["git", *who, *words], cwd=root, env={**os.environ, **dates}, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with two files, each from a commit of its own."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "--quiet")
    for number, name in enumerate(("one", "two"), start=1):
        (root / name).write_text(name)
        git(root, "add", name)
        git(root, "commit", "--quiet", "-m", name, when=1700000000 + number)
    return root


def test_the_last_commit_that_touched_the_files_is_found(root: Path) -> None:
    first, second = git(root, "rev-list", "--reverse", "HEAD").splitlines()
    assert last_commit(root, [root / "one"]) == Commit(id=first, epoch=1700000001)
    assert last_commit(root, [root / "one", root / "two"]) == Commit(id=second, epoch=1700000002)


def test_files_that_were_changed_since_are_dirty_and_others_are_not(root: Path) -> None:
    (root / "one").write_text("changed")
    assert last_commit(root, [root / "one"]).id.endswith("-dirty")
    assert not last_commit(root, [root / "two"]).id.endswith("-dirty")


def test_a_file_that_was_never_committed_makes_the_others_dirty(root: Path) -> None:
    (root / "three").touch()
    found = last_commit(root, [root / "one", root / "three"])
    assert found == Commit(id=f"{git(root, 'rev-list', '--reverse', 'HEAD').splitlines()[0]}-dirty", epoch=1700000001)


def test_what_is_not_as_committed_is_told_once_for_all(root: Path) -> None:
    """Below a checkout that is itself in a folder of a larger one, and with names that are no text."""
    below = root / "below"
    (below / "folder").mkdir(parents=True)
    for name in ("kept", "edited", "removed", "moved", "folder/staged"):
        (below / name).write_text(name)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "c")
    assert changed_files(below) == ()
    (root / "one").write_text("not below it")
    (below / "edited").write_text("edited now")
    (below / "removed").unlink()
    git(below, "mv", "moved", "a b")
    (below / "folder" / "staged").write_text("staged now")
    git(below, "add", "folder")
    odd = os.fsdecode(b"folder/\xff")
    (below / odd).touch()
    (below / "folder" / "__pycache__").mkdir()
    (below / "folder" / "__pycache__" / "x.pyc").touch()
    changed = changed_files(below)
    assert sorted(changed) == sorted(("edited", "removed", "moved", "a b", "folder/staged", odd))
    assert sorted(within(changed, ["folder", "removed", "edit"])) == sorted(("folder/staged", odd, "removed"))
    assert within(changed, ["."]) == changed
    for names, dirty in ((["kept"], False), (["kept", "folder"], True), (["kept", "moved"], True)):
        assert last_commit(below, [below / name for name in names]).dirty is dirty, names
        assert last_commit(below, [below / name for name in names], changed).dirty is dirty, names
    assert not last_commit(below, [below / "folder"], ()).dirty


def test_another_repository_within_is_told_as_a_folder(root: Path) -> None:
    """An untracked clone, and a submodule whose content was edited; what is asked for may be in one."""
    clone = root / "folder" / "clone"
    clone.mkdir(parents=True)
    git(clone, "init", "--quiet")
    (clone / "file").touch()
    git(clone, "add", "file")
    git(clone, "commit", "--quiet", "-m", "c")
    assert changed_files(root) == ("folder/clone",)
    for names in (["folder"], ["folder/clone"], ["folder/clone/file"], ["other/../folder/clone"], ["."]):
        assert within(changed_files(root), names) == ("folder/clone",), names
        assert last_commit(root, [root / "one", *(root / name for name in names)]).dirty
    assert within(changed_files(root), ["folder/clo", "one", "folder/clone2/x"]) == ()
    git(root, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(clone), "sub")
    git(root, "add", "sub", ".gitmodules")
    git(root, "commit", "--quiet", "-m", "submodule")
    (root / "sub" / "file").write_text("edited")
    assert within(changed_files(root), ["sub/file"]) == ("sub",)


def test_what_git_cannot_tell_does_not_count_as_committed(root: Path) -> None:
    (root / "one").write_text("changed")
    (root / ".git" / "index").write_bytes(b"damaged")
    with pytest.raises(UsageError, match=r"git cannot tell what is not committed: .*index"):
        last_commit(root, [root / "one"])


def test_files_without_a_commit_have_no_history(root: Path) -> None:
    (root / "three").touch()
    assert last_commit(root, [root / "three"]) == Commit(id="", epoch=NO_HISTORY)


def test_a_repository_without_commits_and_a_directory_without_git_have_no_history(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert last_commit(tmp_path, [tmp_path / "file"]) == Commit(id="", epoch=NO_HISTORY)
    git(tmp_path, "init", "--quiet")
    assert last_commit(tmp_path, [tmp_path / "file"]) == Commit(id="", epoch=NO_HISTORY)


def test_a_machine_without_git_has_no_history(root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert last_commit(root, [root / "one"]) == Commit(id="", epoch=NO_HISTORY)


def test_the_time_without_history_is_the_start_of_1980() -> None:
    assert NO_HISTORY == 10 * 365 * 86400 + 2 * 86400  # 1972 and 1976 had a day more


def test_the_text_of_a_file_as_it_was_at_a_commit(root: Path) -> None:
    commit = git(root, "rev-parse", "HEAD")
    (root / "one").write_text("changed since")
    git(root, "commit", "--quiet", "-am", "change")
    assert text_at(root, commit, "one") != "changed since"
    assert text_at(root, git(root, "rev-parse", "HEAD"), "one") == "changed since"


@pytest.mark.parametrize("commit", ["", "0" * 40, "--output=x", "HEAD"])
def test_of_what_is_no_commit_there_is_no_text(root: Path, commit: str) -> None:
    assert text_at(root, commit, "one") == ""
    assert text_at(root, git(root, "rev-parse", "HEAD"), "no such file") == ""

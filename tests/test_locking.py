"""Writing and checking the locks of a repository, with the real uv and a package index on loopback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.locking import check, write, write_lock
from scripts.errors import BuildError, UsageError
from scripts.recipe.matrix import load_families

from .conftest import VERSIONS

if TYPE_CHECKING:
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


def lock(root: Path, family: str = "fam", version: str | None = None, **options: Any) -> list[str]:
    return list(write(root, load_families(root), family, version, (), **options))


def files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.glob("fam/locks/*/*")}


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
    with pytest.raises(
        BuildError, match=r"^fam/locks/1: uv could not resolve the requirements; nothing was written\n"
    ) as caught:
        lock(root)
    assert str(caught.value).splitlines()[-1] == "2 of 2 locks left as they were, see above"
    assert {path: path.read_bytes() for path in root.glob("fam/locks/*/*")} == before


def test_the_other_rows_go_on_where_one_cannot_be_resolved(root: Path, package_index: PackageIndex) -> None:
    lock(root)
    before = files(root)
    package_index.add("two", "2.0", "one>1")
    package_index.add("one", "2.0")
    (root / "scripts" / "image" / "requirements.txt").write_text("two>1\n")
    said: list[str] = []
    with pytest.raises(BuildError) as caught:  # the second row has one<2
        said.extend(write(root, load_families(root), "fam", None, ()))
    assert said == ["fam/locks/1: one 1.0 -> 2.0, two 1.0 -> 2.0", "fam/locks/2: not resolved, left as it was"]
    assert str(caught.value).startswith("fam/locks/2: uv could not resolve the requirements; nothing was written\n")
    assert str(caught.value).splitlines()[-1] == "1 of 2 locks left as they were, see above"
    after = files(root)
    assert {path for path in before if before[path] != after[path]} == {
        root / "fam/locks/1/first.txt", root / "fam/locks/1/rest.txt",
    }  # fmt: skip


def test_an_index_out_of_reach_leaves_every_lock_byte_for_byte(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock(root)
    before = files(root)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    with pytest.raises(BuildError, match=r"127\.0\.0\.1:9/simple") as caught:
        lock(root, upgrade=True)
    assert caught.value.exit_code == 3
    assert files(root) == before


def test_a_dry_run_says_what_would_change_and_changes_nothing(root: Path, package_index: PackageIndex) -> None:
    assert lock(root, version="1", dry_run=True) == ["fam/locks/1: 2 distributions, none locked before (not written)"]
    assert files(root) == {}
    lock(root)
    before = files(root)
    package_index.add("one", "1.5")
    assert lock(root, upgrade=True, dry_run=True) == [
        "fam/locks/1: one 1.0 -> 1.5 (not written)", "fam/locks/2: one 1.0 -> 1.5 (not written)",
    ]  # fmt: skip
    assert lock(root, dry_run=True) == ["fam/locks/1: unchanged", "fam/locks/2: unchanged"]
    assert files(root) == before


@pytest.fixture
def newer(root: Path, package_index: PackageIndex) -> PackageIndex:
    """Three packages that are locked and of which there are newer versions: a newer two needs a newer one."""
    package_index.add("three", "1.0")
    (root / "scripts" / "image" / "requirements.txt").write_text("two\nthree\n")
    lock(root)
    package_index.add("one", "1.5")
    package_index.add("two", "1.5", "one>=1.5")
    package_index.add("three", "1.5")
    return package_index


@pytest.mark.usefixtures("newer")
def test_an_upgrade_of_one_package_moves_it_and_what_it_forces(root: Path) -> None:
    assert lock(root, upgrade="one", version="1", dry_run=True) == ["fam/locks/1: one 1.0 -> 1.5 (not written)"]
    assert lock(root, upgrade="Two", version="1", dry_run=True) == [
        "fam/locks/1: one 1.0 -> 1.5, two 1.0 -> 1.5 (not written)"
    ]
    assert lock(root, upgrade="one, three", version="1") == ["fam/locks/1: one 1.0 -> 1.5, three 1.0 -> 1.5"]
    check(root, load_families(root), "fam", None)


@pytest.mark.usefixtures("newer")
def test_an_upgrade_of_what_is_not_locked_is_refused_with_the_nearest_name(root: Path) -> None:
    for upgrade, sentence in (
        ("thre", '--upgrade: no package "thre" is locked in 1, 2, did you mean "three"?'),
        ("one,zebra", '--upgrade: no package "zebra" is locked in 1, 2'),
    ):
        with pytest.raises(UsageError) as caught:
            lock(root, upgrade=upgrade)
        assert str(caught.value) == sentence


def test_an_upgrade_of_what_the_version_manifest_sets_is_refused(root: Path) -> None:
    path = root / "fam" / "versions.toml"
    path.write_text(path.read_text() + 'packages = { one = "1.0" }\n')
    with pytest.raises(UsageError) as caught:
        lock(root, upgrade="one")
    assert str(caught.value) == "one is set by versions.toml (fam 2): edit it there, then run lock"


def test_an_upgrade_leaves_frozen_rows_unless_one_is_named(root: Path, package_index: PackageIndex) -> None:
    path = root / "fam" / "versions.toml"
    path.write_text(path.read_text() + 'state = "frozen"\nreason = "Old"\nsince = 2025-10-31\n')
    assert len(lock(root)) == 2
    package_index.add("one", "1.5")
    assert lock(root, upgrade=True) == ["fam/locks/1: one 1.0 -> 1.5"]
    assert lock(root, upgrade="one", version="2") == ["fam/locks/2: one 1.0 -> 1.5"]


def test_wheels_that_were_replaced_under_the_same_version_are_said(root: Path, package_index: PackageIndex) -> None:
    lock(root, version="1")
    package_index.add("one", "1.0", "other; sys_platform == 'win32'")
    assert lock(root, version="1") == ["fam/locks/1: one 1.0 (other hashes)"]


def test_the_file_of_a_layer_that_is_none_any_more_is_removed_and_its_pins_are_kept(
    root: Path, package_index: PackageIndex
) -> None:
    lock(root, version="1")
    package_index.add("one", "1.5")
    path = root / "fam" / "versions.toml"
    path.write_text(path.read_text().replace("first =", "other ="))
    assert refusal(root, version="1").startswith("fam/locks/1: no lock for other: ")
    assert lock(root, version="1") == ["fam/locks/1: unchanged"]
    assert [path.name for path in sorted(root.glob("fam/locks/*/*"))] == ["other.txt", "rest.txt"]


def test_a_lock_that_does_not_change_is_not_touched(root: Path) -> None:
    lock(root, version="1")
    before = (root / "fam/locks/1/first.txt").stat()
    lock(root, version="1")
    assert (root / "fam/locks/1/first.txt").stat() == before


def test_a_lock_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock_folder = tmp_path / "locks" / "1"
    write_lock(lock_folder, {"a": "1", "b": "1"})
    real = Path.write_text
    written: list[Path] = []

    def full(path: Path, text: str, **options: Any) -> int:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        return real(path, text, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", full)
        with pytest.raises(OSError, match="No space left"):
            write_lock(lock_folder, {"a": "2", "b": "2"})
    assert written
    assert {path.name: path.read_text() for path in lock_folder.iterdir()} == {"a.txt": "1", "b.txt": "1"}
    write_lock(lock_folder, {"a": "2", "c": "2"})
    assert {path.name: path.read_text() for path in lock_folder.iterdir()} == {"a.txt": "2", "c.txt": "2"}
    assert [path.name for path in (tmp_path / "locks").iterdir()] == ["1"]


def test_a_kill_in_the_middle_is_mended_by_the_next_run(tmp_path: Path) -> None:
    lock_folder = tmp_path / "locks" / "1"
    write_lock(lock_folder, {"a": "1"})
    lock_folder.rename(tmp_path / "locks" / ".1.old")
    (tmp_path / "locks" / ".1.new").mkdir()
    write_lock(lock_folder, {"a": "2"})
    assert [path.name for path in (tmp_path / "locks").iterdir()] == ["1"]
    assert (lock_folder / "a.txt").read_text() == "2"


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

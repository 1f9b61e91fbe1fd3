"""The ledgers of several checkouts into one, and what cannot be joined."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.errors import UsageError
from scripts.release.join import apply_join, plan_join
from scripts.release.ledger import LedgerError, append_lines, load_ledger
from tests.test_ledger import published

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.release.lines import Published

    from .conftest import Tasks


def line(tag: str, revision: int = 1, minute: int = 0, **more: Any) -> Published:
    return published(revision, tag=tag, time=f"2026-11-25T12:{minute:02}:00Z", **more)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for family in ("cpu", "cuda"):
        (tmp_path / "root" / family).mkdir(parents=True)
    return tmp_path / "root"


def part(folder: Path, job: str, family: str, *lines: Published) -> None:
    append_lines(folder / job / family / "revisions.jsonl", *lines)


def test_lines_of_all_jobs_are_added_once_and_in_order(root: Path, tmp_path: Path) -> None:
    old = line("1")
    append_lines(root / "cuda" / "revisions.jsonl", old)
    folder = tmp_path / "jobs"
    part(folder, "ledger cuda 2", "cuda", old, line("2", minute=2))
    part(folder, "ledger cuda 3", "cuda", old, line("3", minute=1))
    part(folder, "ledger cpu 1", "cpu", line("1", minute=3))
    apply_join(plan_join(root, folder))
    lines = load_ledger(root / "cuda" / "revisions.jsonl").lines
    assert [item.tag for item in lines] == ["1", "3", "2"]
    assert "1.0" not in (root / "cuda" / "CHANGES.md").read_text()
    assert (root / "cpu" / "CHANGES.md").read_text().count("-r1**") == 1
    assert plan_join(root, folder) == {}


def test_what_contradicts_is_refused_and_nothing_is_written(root: Path, tmp_path: Path) -> None:
    ledger = root / "cuda" / "revisions.jsonl"
    append_lines(ledger, line("1"))
    before = ledger.read_text()
    part(tmp_path / "jobs", "one", "cuda", line("1", digest="sha256:" + "00" * 32))
    lines = plan_join(root, tmp_path / "jobs")
    with pytest.raises(LedgerError, match="is published for the second time"):
        apply_join(lines)
    assert ledger.read_text() == before


def test_a_folder_without_ledgers_or_with_one_of_another_family_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no ledger"):
        plan_join(root, tmp_path / "nowhere")
    part(tmp_path / "jobs", "one", "rocm", line("1"))
    with pytest.raises(UsageError, match="there is no family rocm here"):
        plan_join(root, tmp_path / "jobs")


def test_a_ledger_that_was_cut_off_has_its_whole_lines(root: Path, tmp_path: Path) -> None:
    part(tmp_path / "jobs", "one", "cuda", line("1"))
    path = tmp_path / "jobs" / "one" / "cuda" / "revisions.jsonl"
    path.write_text(path.read_text() + '{"kind": "publ')
    (added,) = plan_join(root, tmp_path / "jobs").values()
    assert [item.tag for item in added] == ["1"]


def test_the_task_shows_what_it_added_and_a_dry_run_adds_nothing(tasks: Tasks, tmp_path: Path) -> None:
    part(tmp_path / "jobs", "one", "fam", line("1"))
    words = ("join", str(tmp_path / "jobs"), "--format", "json")
    ledger = tasks.repository.root / "fam" / "revisions.jsonl"
    first = tasks.run(*words, "--dry-run")
    assert not ledger.exists()
    done = tasks.run(*words)
    assert done.stdout == first.stdout
    assert [row["family"] for row in json.loads(done.stdout)] == ["fam"]
    assert len(load_ledger(ledger).lines) == 1

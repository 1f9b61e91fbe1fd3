"""What the workflows do where things go otherwise: a run that is cancelled, a fork, a ledger branch that was merged."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT
from tests.test_vcs import git
from tests.workflow_runs import clean_environment, load_workflow, put_program

if TYPE_CHECKING:
    from pathlib import Path


def test_the_lines_of_what_was_published_are_handed_on_even_by_a_run_that_was_cancelled() -> None:
    jobs = load_workflow("release")["jobs"]
    (upload,) = [step for step in jobs["release"]["steps"] if "upload-artifact" in step.get("uses", "")]
    assert upload["if"] == "${{ always() }}"
    assert jobs["ledger"]["if"] == "${{ always() && needs.release.result != 'skipped' }}"


def test_a_job_that_runs_a_change_runs_that_of_a_fork_on_a_machine_that_is_thrown_away() -> None:
    jobs = load_workflow("pull-request")["jobs"]
    own = {name: job["runs-on"] for name, job in jobs.items() if job["runs-on"] != "ubuntu-24.04"}
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert own == {"build": f"${{{{ {same} && vars.IMAGES_RUNNER || 'ubuntu-24.04' }}}}"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone whose main has a recipe, and on top of it, the lines of the branch "ledger", which was merged."""
    checkout = tmp_path / "checkout"
    (checkout / "scripts" / "ci").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "ci" / "take-ledger", checkout / "scripts" / "ci")
    put_program(checkout / "scripts", "invoke", f'cat "$2"/*/revisions.jsonl >{tmp_path}/joined')
    git(checkout, "init", "--quiet", "--initial-branch", "main")
    (checkout / "recipe").write_text("a recipe\n")
    for number, name in enumerate(("recipe", "fam/revisions.jsonl"), start=1):
        (checkout / "fam").mkdir(exist_ok=True)
        (checkout / name).write_text(f"{name}\n")
        git(checkout, "add", "--all")
        git(checkout, "commit", "--quiet", "-m", name, when=1700000000 + number)
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), "origin.git")
    git(tmp_path / "origin.git", "branch", "ledger", "main")
    git(checkout, "remote", "add", "origin", str(tmp_path / "origin.git"))
    return checkout


def test_taking_the_ledger_leaves_the_history_that_dates_images_whole(checkout: Path, tmp_path: Path) -> None:
    before = git(checkout, "log", "--format=%H %ct", "--", "recipe")
    subprocess.run(
        [checkout / "scripts" / "ci" / "take-ledger"],
        cwd=checkout,
        env=clean_environment(tmp_path),
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "joined").read_text() == "fam/revisions.jsonl\n"
    assert git(checkout, "rev-parse", "--is-shallow-repository") == "false"
    assert git(checkout, "log", "--format=%H %ct", "--", "recipe") == before

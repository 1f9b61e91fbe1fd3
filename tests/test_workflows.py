"""The workflows of .github: every command of theirs, run here in their order; nothing is built, published or asked of GitHub."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.release.ledger import load_ledger, render_line
from scripts.release.lines import Published
from tests.faulty_registry import FaultyRegistry
from tests.test_vcs import git
from tests.workflow_runs import (
    WORKFLOWS,
    Run,
    clean_environment,
    copy_checkout,
    load_workflow,
    put_program,
    steps_of,
)

from .conftest import DIGEST, Docker

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = sorted(path.stem for path in WORKFLOWS.glob("*.yml"))
ACTIONS = {"actions/checkout", "actions/upload-artifact", "actions/download-artifact"}
ROW = ("cuda=12.1", "torch:2.3.1-cuda12.1")
LINE = Published(
    repository="quay.io/vessl-ai/torch",
    tag="2.3.1-cuda12.1",
    revision=1,
    time="2026-11-25T12:00:00Z",
    reason="New",
    digest=DIGEST,
    size=1,
)
# What the wrappers would do, but without an environment of their own, and without acting.
INVOKE = """\
printf '%s\\n' "invoke $*" >>{calls}
case $1 in build | release) set -- "$@" --dry-run ;; esac
IMAGES_CALLER=$PWD exec {tools}/invoke --search-root {root} "$@"
"""
NOX = """\
printf '%s\\n' "nox $*" >>{calls}
exec {tools}/nox --noxfile {root}/noxfile.py "$@" --list
"""
DOCKER = """\
case "$*" in
login*) read -r word; printf '%s\\n' "docker $* <$word" >>{calls}; exit ;;
esac
exec {pretended} "$@"
"""
GH = """\
printf '%s\\n' "gh $*" >>{calls}
case "$1 $2" in "pr list") echo 0 ;; "pr comment") cat "$5" ;; esac
"""
SUDO = """\
printf '%s\\n' "sudo $*" >>{calls}
[ "$1" != tee ] || cat >{calls}.stdin
"""


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def place(tmp_path: Path, docker: Docker) -> Path:
    """A clone of this repository on a branch that changes one lock, and programs that note how they are called."""
    origin, checkout, bins = tmp_path / "origin.git", tmp_path / "checkout", tmp_path / "programs" / "bin"
    bins.mkdir(parents=True)
    copy_checkout(checkout)
    words = {"calls": tmp_path / "calls", "tools": Path(sys.executable).parent, "root": checkout}
    put_program(checkout / "scripts", "invoke", INVOKE.format(**words))
    put_program(checkout / "scripts", "nox", NOX.format(**words))
    put_program(bins, "docker", DOCKER.format(**words, pretended=docker.folder / "docker"))
    put_program(bins, "gh", GH.format(**words))
    put_program(bins, "sudo", SUDO.format(**words))
    (bins / "git").symlink_to("/usr/bin/git")
    docker.answer(registry={"nvcr.io/nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04": DIGEST})
    git(checkout, "init", "--quiet", "--initial-branch", "main")
    git(checkout, "add", "--all")
    git(checkout, "commit", "--quiet", "-m", "base")
    git(tmp_path, "clone", "--quiet", "--bare", str(checkout), str(origin))
    git(checkout, "remote", "add", "origin", str(origin))
    return tmp_path


def make_run(place: Path, name: str, **more: str) -> Run:
    temporary = place / "temporary"
    temporary.mkdir()
    rows, image = ROW
    expressions = {
        "github.token": "a-token",
        "github.repository": "somebody/images",
        "matrix.name": "cuda 12.1",
        "matrix.rows": rows,
        "matrix.images": image,
        "runner.temp": str(temporary),
        "vars.IMAGES_REGISTRY || 'quay.io/vessl-ai'": "quay.io/vessl-ai",
        **more,
    }
    environment = clean_environment(place / "programs")
    return Run(load_workflow(name), place / "checkout", temporary, environment, expressions)


def calls(place: Path) -> list[str]:
    return (place / "calls").read_text().splitlines()


@pytest.mark.parametrize("name", NAMES)
def test_an_action_is_one_of_three_and_pinned_to_a_commit(name: str) -> None:
    used = [line.strip().removeprefix("- ") for line in (WORKFLOWS / f"{name}.yml").read_text().splitlines()]
    used = [line for line in used if line.startswith("uses:")]
    assert used
    for line in used:
        match = re.fullmatch(r"uses: (\S+)@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)
        assert match, line
        assert match[1] in ACTIONS, line


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_has_no_rights_but_those_of_its_jobs_and_every_job_ends(name: str) -> None:
    workflow = load_workflow(name)
    assert workflow["permissions"] == {}
    assert workflow["concurrency"]["group"]
    assert all(job["timeout-minutes"] and job["permissions"] for job in workflow["jobs"].values())


def test_a_release_is_never_cancelled_and_alone() -> None:
    concurrency = load_workflow("release")["concurrency"]
    assert concurrency == {"group": "release", "cancel-in-progress": False}


@pytest.mark.parametrize("name", NAMES)
def test_a_job_with_a_matrix_is_skipped_where_the_plan_is_empty(name: str) -> None:
    jobs = [job for job in load_workflow(name)["jobs"].values() if "strategy" in job]
    assert jobs
    assert {job["if"] for job in jobs} == {"fromJSON(needs.plan.outputs.matrix).include[0] != null"}


def test_the_commands_of_a_pull_request(place: Path) -> None:
    checkout = place / "checkout"
    base = git(checkout, "rev-parse", "HEAD")
    lock = checkout / "cuda" / "locks" / "12.1" / "pytorch.txt"
    lock.write_text(lock.read_text() + "# another byte\n")
    git(checkout, "commit", "--quiet", "-am", "change")
    run = make_run(
        place,
        "pull-request",
        **{"github.event.pull_request.base.sha": base, "github.event.pull_request.number": "7"},
    )
    run.job("check")
    matrix = json.loads(run.job("plan")["matrix"])
    assert [(entry["rows"], entry["images"]) for entry in matrix["include"]] == [ROW]
    run.job("build")
    run.job("comment")
    assert run.ran == len([step for step in steps_of(run.workflow) if "run" in step])
    assert calls(place) == [
        "nox -s lint types tests",
        f"invoke plan --changed-since {base} --format github",
        "invoke build cuda --version 12.1 --progress plain",
        "nox -s smoke(torch:2.3.1-cuda12.1)",
        "invoke review torch:2.3.1-cuda12.1",
        "gh pr comment 7 --body-file comment.md --edit-last --create-if-none",
    ]
    assert "* smoke(torch:2.3.1-cuda12.1)" in run.said["Smoke test"]
    assert "torch:2.3.1-cuda12.1" in run.said["Build"]
    assert run.said["Comment"] == "## `torch:2.3.1-cuda12.1`\n\nWas not built.\n"


def test_the_image_store_is_turned_on_where_it_is_off(place: Path, docker: Docker) -> None:
    docker.answer(info={"DriverStatus": None})
    done = subprocess.run(
        [place / "checkout" / "scripts" / "ci" / "use-containerd-store"],
        env=clean_environment(place / "programs"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "the containerd image store is on now\n"
    assert calls(place) == ["sudo tee /etc/docker/daemon.json", "sudo systemctl restart docker"]
    given = json.loads((place / "calls.stdin").read_text())
    assert given["features"]["containerd-snapshotter"] is True


def release_expressions(registry: FaultyRegistry) -> dict[str, str]:
    return {
        "vars.IMAGES_REGISTRY || 'quay.io/vessl-ai'": f"{registry.host}/vessl-ai",
        "vars.IMAGES_REGISTRY_USER": "vessl-ai+robot",
        "secrets.IMAGES_REGISTRY_PASSWORD": "not-to-be-seen",
        "github.event.repository.default_branch || github.ref_name": "main",
        "github.ref_name": "main",
        "(github.event_name == 'schedule' || inputs.all) && '--force' || ''": "--force",
    }


@pytest.mark.parametrize("pending", [False, True], ids=["nothing proposed", "lines proposed before"])
def test_the_commands_of_a_release(place: Path, registry: FaultyRegistry, pending: bool) -> None:  # noqa: FBT001 - a parameter
    checkout, ledger = place / "checkout", place / "checkout" / "cuda" / "revisions.jsonl"
    base = git(checkout, "rev-parse", "HEAD")
    if pending:
        propose(checkout)
    run = make_run(place, "release", **release_expressions(registry))

    def published() -> None:
        """What a publish to a registry that others see leaves; here only the registry on loopback is to be had."""
        line = LINE.model_copy(update={"revision": 2, "replaces": 1} if pending else {})
        ledger.write_text(
            "".join(
                f"{text}\n"
                for text in [*(ledger.read_text().splitlines() if ledger.exists() else []), render_line(line)]
            )
        )

    run.before = {"actions/upload-artifact": published}
    plan_only(place, run)
    run.job("release")
    git(checkout, "reset", "--quiet", "--hard")
    git(checkout, "clean", "--quiet", "-d", "--force")
    run.before = {}
    run.job("ledger")
    assert run.ran == len([step for step in steps_of(run.workflow) if "run" in step])
    assert "docker login --username vessl-ai+robot --password-stdin" in "\n".join(calls(place))
    assert "not-to-be-seen" not in "".join(run.said.values())
    assert "invoke release cuda --version 12.1" in calls(place)
    assert [call for call in calls(place) if call.startswith("gh pr")][-1].startswith(
        "gh pr create --head ledger --base main"
    )
    git(checkout, "fetch", "--quiet", "origin", "ledger")
    (checkout / "cuda" / "revisions.jsonl").write_text(git(checkout, "show", "FETCH_HEAD:cuda/revisions.jsonl") + "\n")
    lines = load_ledger(ledger).lines
    assert [line.revision for line in lines] == ([1, 2] if pending else [1])
    assert "torch:2.3.1-cuda12.1-r1" in git(checkout, "show", "FETCH_HEAD:cuda/CHANGES.md")
    assert git(checkout, "rev-list", "--count", f"{base}..FETCH_HEAD") == "1"


def test_a_branch_that_is_not_the_default_one_is_not_released(place: Path, registry: FaultyRegistry) -> None:
    run = make_run(place, "release", **{**release_expressions(registry), "github.ref_name": "feature"})
    with pytest.raises(AssertionError, match="releases are made of main, not of feature"):
        run.job("plan")
    assert run.ran == 0, "something was run after it"


def propose(checkout: Path) -> None:
    """A branch with a ledger that nobody has merged yet."""
    git(checkout, "checkout", "--quiet", "-b", "ledger")
    (checkout / "cuda" / "revisions.jsonl").write_text(render_line(LINE) + "\n")
    git(checkout, "add", "cuda/revisions.jsonl")
    git(checkout, "commit", "--quiet", "-m", "Ledger")
    git(checkout, "push", "--quiet", "origin", "ledger")
    git(checkout, "checkout", "--quiet", "main")
    git(checkout, "branch", "--quiet", "-D", "ledger")


def plan_only(place: Path, run: Run) -> None:
    """The plan of one row: of the bases, only that row's can be asked for here."""
    versions = place / "checkout" / "cuda" / "versions.toml"
    head, *rows = versions.read_text().split("[[image]]")
    (row,) = [row for row in rows if 'version = "12.1"' in row]
    versions.write_text(f"{head}[[image]]{row}")
    for family in ("cpu", "deprecated-ngc"):
        (place / "checkout" / family / "versions.toml").unlink()
    matrix = json.loads(run.job("plan")["matrix"])
    assert [entry["rows"] for entry in matrix["include"]] == [ROW[0]]
    assert matrix["include"][0]["images"] == "cuda:12.1 torch:2.3.1-cuda12.1"
    git(place / "checkout", "checkout", "--quiet", "--", "*/versions.toml")

"""The tasks as they are run: a process each, with a docker that only pretends; the words on both streams and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from invoke import Collection

import tasks as images_tasks
from scripts.build.layout import load_record

from .conftest import DIGEST, NO_SUCH_HOST, ROOT, VERSIONS

if TYPE_CHECKING:
    from .conftest import Docker, Tasks

FROZEN = '[[image]]\nversion = "0"\nbase = "python:3.9"\npython = "3.9"\nstate = "frozen"\nreason = "Old"\nsince = 2025-10-31\n'
OTHER = VERSIONS.replace('"app"', '"other"')


@pytest.fixture
def reachable(docker: Docker) -> Docker:
    docker.answer(registry={"python:3.11": DIGEST, "python:3.9": DIGEST})
    return docker


def refused(tasks: Tasks, *words: str, code: int = 2, **environment: str) -> str:
    """What is said on stderr by a task that ends with ``code`` and prints no result."""
    done = tasks.run(*words, **environment)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.rstrip("\n")


def test_list_prints_the_images_of_all_families_or_of_one(tasks: Tasks) -> None:
    tasks.repository.family("other", OTHER)
    rows = json.loads(tasks.run("list", "--format", "json").stdout)
    assert [row["id"] for row in rows] == ["app:1", "other:1"]
    assert rows[0] == {
        "id": "app:1", "family": "fam", "repository": "app", "tag": "1", "stage": "app", "base": "python:3.11", "base digest": None,
        "versions": {"python": "3.11"}, "platforms": ["linux/amd64"], "gpu": False, "state": "active",
        "reason": None, "since": None,
    }  # fmt: skip
    lines = tasks.run("list", "other").stdout.splitlines()
    assert lines[0].split() == ["id", "base", "versions", "state"]
    assert lines[2].split() == ["other:1", "python:3.11", "python=3.11", "active"]


def test_the_real_images_are_listed_without_an_engine(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("invoke")), "list", "--format", "json"]
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert {"python:3.11", "cuda:12.1", "torch:2.3.1-cuda12.1"} < {row["id"] for row in json.loads(done.stdout)}
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["list", "fan"], 'no family "fan", did you mean "fam"?'),
        (["plan", "fam", "--version", "2"], 'fam has no version "2"; known: 0, 1'),
        (["build", "fam", "--version", "1", "--stage", "ap"], 'fam 1 has no stage "ap", did you mean "app"?'),
        (["build", "fam", "--all", "--version", "1"], "--all and --version exclude each other: leave one out"),
        (["build", "fam", "--version", "0"],
         "app:0 is frozen since 2025-10-31: Old. To build it all the same: --include-frozen"),
        (["build", "fam", "--progress", "plane"], '--progress: no "plane", did you mean "plain"?'),
        (["list", "--format", "xml"], '--format: expected table or json, got "xml"'),
        (["yank", "app:1-r1"], "--reason: expected a sentence for the people who pull, in a line"),
        (["rollback", "app:1", "--to", "r1"], "--reason: expected a sentence for the people who pull, in a line"),
        (["rollback", "app:1", "--reason", "x"], "--to: expected the revision to go back to, such as r13"),
        (["lock", "fam"],
         "fam/versions.toml: lock = false: its bases bring their own Python packages, so it has no locks"),
    ],
)  # fmt: skip
def test_a_wrong_word_ends_with_a_sentence_and_exit_code_2(tasks: Tasks, words: list[str], sentence: str) -> None:
    tasks.repository.family(versions=VERSIONS + FROZEN)
    assert refused(tasks, *words) == sentence


def test_every_fault_of_every_version_manifest_is_said_at_once(tasks: Tasks) -> None:
    tasks.repository.family(versions=VERSIONS.replace('version = "1"', "version = 3.10") + "gpuu = true\n")
    tasks.repository.family("other", "default = ")
    assert refused(tasks, "list").splitlines() == [
        "fam/versions.toml: image[0].version: expected a string, got float 3.1 (quote it)",
        'fam/versions.toml: image[0].gpuu: unknown key, did you mean "gpu"?',
        "other/versions.toml: not valid TOML: Invalid value (at end of document)",
    ]


def test_a_task_that_needs_a_family_asks_for_it(tasks: Tasks) -> None:
    done = tasks.run("build")
    assert done.returncode != 0
    assert "'build' did not receive required positional arguments: 'family'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_option_of_every_task_has_its_help(tasks: Tasks) -> None:
    found = Collection.from_module(images_tasks).tasks
    assert found.keys() >= {"list", "plan", "build", "bake", "bases", "lock", "doctor"}
    assert [(name, item.name) for name, task in found.items() for item in task.get_arguments() if not item.help] == []
    assert "--include-frozen" in tasks.run("build", "--help").stdout


def test_build_builds_loads_and_says_why_nothing_is_done_the_second_time(tasks: Tasks, reachable: Docker) -> None:
    done = tasks.run("build", "fam", "--format", "json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)
    assert reachable.images == {"quay.io/vessl-ai/app:1": row["digest"]}
    assert done.stderr.splitlines() == [
        "app:1: building: never built here",
        "app:1: loaded into the engine as quay.io/vessl-ai/app:1",
    ]
    again = tasks.run("build", "fam", "--format", "json")
    assert again.stdout == done.stdout
    assert again.stderr == f"app:1: nothing to build: recipe, lock and base are those of {row['digest'][:19]}\n"
    (planned,) = json.loads(tasks.run("plan", "--against", "built", "--format", "json").stdout)
    assert planned["action"] == "up to date"


def test_another_registry_is_another_name_for_the_same_build(tasks: Tasks, reachable: Docker) -> None:
    tasks.run("build", "fam", INVOKE_IMAGES_REGISTRY="localhost:5000/")
    tasks.run("build", "fam", "--registry", "localhost:6000")
    assert sorted(reachable.images) == ["localhost:5000/app:1", "localhost:6000/app:1"]
    assert len(reachable.calls("buildx", "bake")) == 1


def test_a_frozen_row_that_is_asked_for_is_built_with_a_warning(tasks: Tasks, reachable: Docker) -> None:
    tasks.repository.family(versions=VERSIONS + FROZEN)
    done = tasks.run("build", "fam", "--all", "--include-frozen", "--format", "json")
    assert [row["id"] for row in json.loads(done.stdout)] == ["app:1", "app:0"]
    assert done.stderr.splitlines()[0] == "warning: app:0 is frozen since 2025-10-31: Old"
    assert len(reachable.calls("buildx", "bake")) == 1


def test_a_dry_run_shows_the_plan_and_changes_nothing(tasks: Tasks, reachable: Docker) -> None:
    done = tasks.run("build", "fam", "--dry-run")
    assert done.stdout.splitlines()[2].split() == ["app:1", "build", "never", "built", "here"]
    assert reachable.calls("buildx", "bake") == []
    assert not tasks.out.exists()


def test_bake_prints_what_build_would_run(tasks: Tasks, reachable: Docker) -> None:
    printed = json.loads(tasks.run("bake", "fam").stdout)
    tasks.run("build", "fam")
    run = reachable.baked
    for definition in (printed, run):
        (output,) = definition["target"]["app_1"].pop("output")
        assert output.startswith("type=oci,tar=false,dest=")
    assert printed == run


def test_real_bases_refuses_a_base_that_cannot_be_resolved(tasks: Tasks, docker: Docker) -> None:
    assert refused(tasks, "build", "fam", "--real-bases", code=3) == (
        f"python:3.11: could not be resolved, and --real-bases was given: {NO_SUCH_HOST}"
    )
    assert docker.calls("buildx", "bake") == []


def test_a_base_without_a_stand_in_is_refused_with_the_registrys_answer(tasks: Tasks, docker: Docker) -> None:
    assert refused(tasks, "build", "fam", code=3) == (
        f"app:1: python:3.11: base not resolvable, and no stand-in: {NO_SUCH_HOST}"
    )
    (row,) = json.loads(tasks.run("plan", "--against", "built", "--format", "json").stdout)
    assert (row["action"], row["stand-in"]) == ("impossible", True)
    assert docker.calls("buildx", "bake") == []


def test_a_wheel_index_out_of_reach_is_refused_with_what_to_do(tasks: Tasks, reachable: Docker) -> None:
    versions = VERSIONS.replace("lock = false\n", 'torch_index = "http://127.0.0.1:9"\n[layers]\nall = ["*"]\n')
    directory = tasks.repository.family(
        versions=versions, dockerfile="ARG ROW=1\nFROM python:3.11 AS app\nCOPY fam/locks/${ROW}/all.txt /lock/\n"
    )
    (directory / "locks" / "1").mkdir(parents=True)
    (directory / "locks" / "1" / "all.txt").write_text("torch==2.13.0+cpu\n")
    assert refused(tasks, "build", "fam", code=3).splitlines()[-1] == (
        "app:1: the wheel index http://127.0.0.1:9 can't be reached (connection failed), and no local folder has "
        "torch 2.13.0+cpu for Python 3.11: allow the host, or name a folder with the wheel in invoke.yaml (images.wheels)"
    )
    assert reachable.calls("buildx", "bake") == []


def test_a_failed_step_ends_with_its_output_above_and_exit_code_3(tasks: Tasks, reachable: Docker) -> None:
    reachable.answer(bake="fail")
    assert refused(tasks, "build", "fam", code=3).splitlines() == [
        "app:1: building: never built here",
        'ERROR: failed to solve: process "/bin/sh -c false" did not complete successfully: exit code: 1',
        "app:1: the build failed; the failing step and the end of its output are above",
    ]
    assert list(tasks.out.iterdir()) == []


def test_a_record_that_is_broken_counts_as_not_built(tasks: Tasks, reachable: Docker) -> None:
    tasks.run("build", "fam")
    (tasks.out / "app_1" / "build.json").write_text('{"id": "app:1"')
    assert tasks.run("build", "fam").stderr.splitlines()[0] == "app:1: building: never built here"
    assert len(reachable.calls("buildx", "bake")) == 2


def test_settings_of_a_bake_target_reach_bake_and_are_part_of_the_recipe(tasks: Tasks, reachable: Docker) -> None:
    tasks.run("build", "fam", "--set", "labels.x=1", "--set", "labels.y=2")
    (call,) = reachable.calls("buildx", "bake")
    assert [word for word in call if word.startswith("app_1.")] == ["app_1.labels.x=1", "app_1.labels.y=2"]
    again = tasks.run("build", "fam").stderr.splitlines()[0]
    assert again == "app:1: building: recipe changed: setting --set"


@pytest.mark.parametrize("registry", ["Foo Bar", "https://quay.io/x", "quay.io/Org", "/x"])
def test_a_registry_that_is_none_is_refused_before_anything_is_named_after_it(tasks: Tasks, registry: str) -> None:
    assert refused(tasks, "build", "fam", "--registry", registry) == (
        f'registry: {registry!r} is not a registry with an organisation, such as "quay.io/vessl-ai" or "localhost:5000"'
    )


def test_a_folder_that_cannot_be_written_to_is_named(tasks: Tasks, reachable: Docker) -> None:
    (tasks.repository.root / "file").touch()
    said = refused(tasks, "build", "fam", code=3, INVOKE_IMAGES_OUT="file")
    assert said.splitlines()[-1] == f"{tasks.repository.root}/file: File exists"
    assert reachable.calls("buildx", "bake") == []


@pytest.mark.parametrize(
    ("sent", "code", "whole_group"),
    [(signal.SIGINT, 130, True), (signal.SIGINT, 130, False), (signal.SIGTERM, 143, False)],
)
def test_an_interruption_leaves_no_half_product_and_the_build_before_as_it_was(
    tasks: Tasks, reachable: Docker, sent: signal.Signals, code: int, *, whole_group: bool
) -> None:
    tasks.run("build", "fam")
    before = load_record(tasks.out, "app:1")
    assert before
    tasks.repository.family("other", OTHER)
    reachable.answer(bake="hang")
    # A terminal sends the signal to the whole group; `kill -INT` to the one process.
    for words in (("build", "fam", "--force"), ("build", "other")):
        with subprocess.Popen(
            tasks.command(*words), env=tasks.environment, stderr=subprocess.PIPE, text=True, start_new_session=True
        ) as process:
            hanging = reachable.folder / "hanging"
            while not (hanging.exists() and hanging.read_text()):
                assert process.poll() is None
                time.sleep(0.01)
            assert Path(hanging.read_text()).is_dir()
            if whole_group:
                os.killpg(process.pid, sent)
            else:
                process.send_signal(sent)
            _, said = process.communicate(timeout=20)
        hanging.unlink()
        assert process.returncode == code
        assert said.splitlines()[-1] == "interrupted: what was under way does not count as done; run it again"
        assert "Traceback" not in said
    assert load_record(tasks.out, "app:1") == before
    assert [path.name for path in tasks.out.iterdir()] == ["app_1"]


def test_a_reader_that_has_had_enough_is_no_failure(tasks: Tasks) -> None:
    with subprocess.Popen(
        tasks.command("list"), env=tasks.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (0, b"")


def test_an_engine_that_is_missing_is_said_before_anything_is_planned(tasks: Tasks, docker: Docker) -> None:
    (docker.folder / "docker").unlink()
    sentence = refused(tasks, "build", "fam", code=3, PATH=str(docker.folder))
    assert sentence.startswith("there is no docker command on PATH (install Docker Engine 26 or newer; ")


def test_some_of_the_platforms_can_be_asked_for_and_no_others(tasks: Tasks, reachable: Docker) -> None:
    tasks.repository.family(versions=VERSIONS + 'platforms = ["linux/amd64", "linux/arm64"]\n')
    tasks.run("build", "fam", "--platform", "linux/arm64")
    assert reachable.baked["target"]["app_1"]["platforms"] == ["linux/arm64"]
    assert refused(tasks, "build", "fam", "--platform", "linux/arm64,linux/arm") == (
        'app:1 has no platform "linux/arm"; it has linux/amd64, linux/arm64'
    )


@pytest.mark.parametrize("words", [("--list",), ("build", "--help")])
def test_who_reads_only_the_beginning_of_a_list_sees_no_traceback(words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    invoke = str(Path(sys.executable).with_name("invoke"))
    done = subprocess.run([invoke, *words], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")

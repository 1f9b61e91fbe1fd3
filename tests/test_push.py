"""``invoke push`` and ``invoke revisions``, as people run them, against a registry on loopback."""

from __future__ import annotations

import json
import subprocess
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.layout import RECORD as BUILD_FILE
from scripts.build.layout import Record as Build
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.ledger import FILENAME, load_ledger
from scripts.smoke.record import hash_checks, save_record
from tests.conftest import DIGEST, VERSIONS
from tests.faulty_registry import FaultyRegistry
from tests.products import make_product
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Repository, Tasks

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


def built(repository: Repository, *layers: str, smoke: bool = True, stand_in: bool = True, tag: str = "1") -> str:
    """A build of the family's image, tested or not; gives its digest."""
    folder = repository.root / "out" / f"app_{tag}"
    if folder.exists():
        subprocess.run(["rm", "-r", folder], check=True)
    product = make_product(folder, *layers)
    digest = product.manifest.digest
    build = Build(
        id=f"app:{tag}",
        digest=digest,
        size=product.size,
        recipe={"a": "b"},
        base=DIGEST,
        stand_in=stand_in,
        commit="1234567",
        epoch=0,
    )
    (folder / BUILD_FILE).write_text(json.dumps(asdict(build)))
    if smoke:
        (spec,) = (item for item in expand_all(load_families(repository.root)) if item.id == f"app:{tag}")
        record = replace(RECORD, id=spec.id, digest=digest, checks=hash_checks(repository.root, spec))
        save_record(repository.root / "out", record)
    return digest


def push(tasks: Tasks, registry: FaultyRegistry, *words: str, family: str = "fam") -> subprocess.CompletedProcess[str]:
    return tasks.run("push", family, "--registry", f"{registry.host}/vessl-ai", *words)


def rows(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout))


def tags(registry: FaultyRegistry) -> dict[str, str]:
    return dict(registry.tags["vessl-ai/app"])


def ledger_of(tasks: Tasks, registry: FaultyRegistry) -> Path:
    return tasks.out / "ledgers" / registry.host.replace(":", "_") / "fam" / FILENAME


def test_publishes_and_then_has_nothing_to_do(tasks: Tasks, registry: FaultyRegistry) -> None:
    digest = built(tasks.repository, "one", "two")
    (planned,) = rows(push(tasks, registry, "--dry-run", "--format", "json"))
    assert (planned["action"], planned["revision"]) == ("new", 1)
    assert not tags(registry)
    assert not ledger_of(tasks, registry).exists()
    done = push(tasks, registry)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[2].split()[:3] == ["app:1", "new", "1"]
    assert "app:1: 3 sent (0 MB)" in done.stderr
    assert tags(registry) == {"1-r1": digest, "1": digest}
    (line,) = load_ledger(ledger_of(tasks, registry)).lines
    assert (line.name, line.reason) == (f"{registry.host}/vessl-ai/app:1-r1", "first revision")
    (row,) = rows(push(tasks, registry, "--format", "json"))
    assert (row["action"], row["why"]) == ("unchanged", "unchanged since r1")


def test_a_later_revision_needs_a_reason(tasks: Tasks, registry: FaultyRegistry) -> None:
    built(tasks.repository, "one")
    push(tasks, registry)
    digest = built(tasks.repository, "two")
    done = push(tasks, registry)
    assert done.returncode == 2
    assert "app:1: --reason: say what changed since r1, for the people who pull" in done.stderr
    assert done.stderr.endswith("1 of 1 not published, see above\n")
    (row,) = rows(push(tasks, registry, "--reason", "numpy 2.4.6", "--format", "json"))
    assert row["revision"] == 2
    assert tags(registry)["1"] == digest
    found = tasks.run("revisions", "app:1", "--registry", f"{registry.host}/vessl-ai", "--format", "json")
    assert [(row["revision"], row["state"], row["why"]) for row in rows(found)] == [
        ("1-r2", "standard", "numpy 2.4.6"),
        ("1-r1", "", "first revision"),
    ]


def test_what_was_gone_back_from_does_not_come_back_by_itself(tasks: Tasks, registry: FaultyRegistry) -> None:
    where = ("--registry", f"{registry.host}/vessl-ai", "--reason", "x", "--format", "json")
    built(tasks.repository, "one")
    push(tasks, registry)
    bad = built(tasks.repository, "two")
    push(tasks, registry, "--reason", "x")
    rows(tasks.run("rollback", "app:1", "--to", "r1", *where))
    done = push(tasks, registry, "--reason", "x")
    assert done.returncode == 2
    assert "app:1: this build is what r2 was, and r3 came after it: to go back to it, invoke rollback" in done.stderr
    (row,) = rows(push(tasks, registry, "--force", "--reason", "it was not bad", "--format", "json"))
    assert (row["revision"], tags(registry)["1"]) == (4, bad)


def test_what_the_registry_has_lost_is_published_again(tasks: Tasks, registry: FaultyRegistry) -> None:
    built(tasks.repository, "one")
    push(tasks, registry)
    digest = built(tasks.repository, "two")
    push(tasks, registry, "--reason", "x")
    del registry.tags["vessl-ai/app"]["1-r2"]
    where = ("--registry", f"{registry.host}/vessl-ai", "--reason", "deleted by mistake", "--format", "json")
    assert [row["line"] for row in rows(tasks.run("ledger", "fam", "--adopt", *where))] == ["gone"]
    (row,) = rows(push(tasks, registry, "--reason", "as r2 was", "--format", "json"))
    assert (row["revision"], tags(registry)["1-r3"]) == (3, digest)


def test_notes_that_a_crash_left_unwritten_are_written_by_the_next_run(tasks: Tasks, registry: FaultyRegistry) -> None:
    built(tasks.repository, "one")
    push(tasks, registry)
    notes = ledger_of(tasks, registry).with_name("CHANGES.md")
    wanted = notes.read_text()
    notes.unlink()
    assert rows(push(tasks, registry, "--format", "json"))[0]["action"] == "unchanged"
    assert notes.read_text() == wanted


def test_force_needs_a_reason_and_makes_a_revision(tasks: Tasks, registry: FaultyRegistry) -> None:
    built(tasks.repository, "one")
    push(tasks, registry)
    done = push(tasks, registry, "--force")
    assert (done.returncode, done.stderr) == (
        2,
        "--force: a revision without a change needs --reason, for the people who pull\n",
    )
    for action in ("new", "unchanged"):
        (row,) = rows(push(tasks, registry, "--force", "--reason", "label of the licence", "--format", "json"))
        assert (row["action"], row["revision"]) == (action, 2)


def test_what_has_not_passed_is_not_published(tasks: Tasks, registry: FaultyRegistry) -> None:
    digest = built(tasks.repository, "one", smoke=False)
    done = push(tasks, registry)
    assert done.returncode == 2
    assert f"app:1: no smoke test of {digest} has passed" in done.stderr
    assert not registry.requests
    done = push(tasks, registry, "--unsafe-skip-smoke")
    assert done.returncode == 0
    assert "warning: --unsafe-skip-smoke: what is published here may not be what its tag says" in done.stderr
    (line,) = load_ledger(ledger_of(tasks, registry)).published(f"{registry.host}/vessl-ai/app", "1")
    assert line.smoke is None


def test_a_stand_in_goes_to_loopback_only(tasks: Tasks) -> None:
    built(tasks.repository, "one")
    done = tasks.run("push", "fam")
    assert done.returncode == 2
    assert done.stderr.startswith("app:1 is built on a stand-in base, which only a registry on loopback takes")


def test_what_is_not_built_is_said(tasks: Tasks, registry: FaultyRegistry) -> None:
    done = push(tasks, registry)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "app:1 is not built: invoke build fam --version 1"


def test_one_that_fails_does_not_keep_the_others(tasks: Tasks, registry: FaultyRegistry) -> None:
    more = VERSIONS + '[[image]]\nversion = "2"\nbase = "python:3.11"\npython = "3.11"\n'
    tasks.repository.family(versions=more)
    digest = built(tasks.repository, "one", tag="2")
    done = push(tasks, registry, "--all", "--format", "json")
    assert done.returncode == 2
    assert [(row["id"], row["action"]) for row in json.loads(done.stdout)] == [("app:1", "failed"), ("app:2", "new")]
    assert done.stderr.endswith("1 of 2 not published, see above\n")
    assert tags(registry) == {"2": digest, "2-r1": digest}


def test_registry_and_ledger_that_disagree_are_6(tasks: Tasks, registry: FaultyRegistry) -> None:
    built(tasks.repository, "one")
    push(tasks, registry)
    ledger_of(tasks, registry).unlink()
    built(tasks.repository, "two")
    done = push(tasks, registry, "--reason", "x")
    assert done.returncode == 6
    assert "r1 is in the registry, but not in the ledger" in done.stderr
    found = tasks.run("revisions", "app:1", "--registry", f"{registry.host}/vessl-ai", "--format", "json")
    assert [row["state"] for row in rows(found)] == ["unknown"]


def test_revisions_that_are_not_as_they_were(tasks: Tasks, registry: FaultyRegistry) -> None:
    digests = []
    for number in (1, 2, 3):
        digests.append(built(tasks.repository, str(number)))
        push(tasks, registry, "--reason", "x")
    registry.tags["vessl-ai/app"]["1-r1"] = digests[1]
    del registry.tags["vessl-ai/app"]["1-r2"]
    found = tasks.run("revisions", "app:1", "--registry", f"{registry.host}/vessl-ai", "--format", "json")
    assert [(row["revision"], row["state"]) for row in rows(found)] == [
        ("1-r3", "standard"),
        ("1-r2", "gone"),
        ("1-r1", "changed"),
    ]


def test_revisions_of_what_is_no_image(tasks: Tasks) -> None:
    done = tasks.run("revisions", "ap:1")
    assert (done.returncode, done.stderr) == (2, 'no image "ap:1", did you mean "app:1"?\n')


def test_tag_says_what_push_would_make_of_it(tasks: Tasks, registry: FaultyRegistry) -> None:
    where = ("--registry", f"{registry.host}/vessl-ai")
    digest = built(tasks.repository, "one", smoke=False)
    (row,) = rows(tasks.run("tag", "fam", "--dry-run", *where, "--format", "json"))
    assert (row["action"], row["revision"], row["digest"]) == ("new", 1, digest)
    assert row["reference"] == f"{registry.host}/vessl-ai/app:1-r1"
    push(tasks, registry, "--unsafe-skip-smoke")
    (row,) = rows(tasks.run("tag", "fam", *where, "--format", "json"))
    assert (row["action"], row["why"], row["reference"]) == ("unchanged", "unchanged since r1", "")

"""``release``: what is done is not done again, and one image that fails does not keep the others from it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.build import PartlyBuiltError
from scripts.build.layout import load_record
from scripts.build.plan import Action, Step
from scripts.build.settings import Settings
from scripts.build.sources import Base
from scripts.recipe.inputs import Recipe
from scripts.recipe.matrix import expand_all, load_families
from scripts.release import pipeline
from scripts.release.pipeline import Pipeline, summary
from scripts.release.push import Order
from scripts.smoke.record import Outcome, hash_checks, save_record
from scripts.smoke.subject import Subject
from tests.conftest import DIGEST, VERSIONS
from tests.faulty_registry import FaultyRegistry, connect, say
from tests.products import NO_EVIDENCE
from tests.test_push import built, tags
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec
    from scripts.smoke.record import Record
    from tests.conftest import Repository

ROWS = '[[image]]\nversion = "{}"\nbase = "python:3.11"\npython = "3.11"\n'
ORDER = Order(time="2026-11-25T12:00:00Z", reason="numpy 2.4.5 to 2.4.6")


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


class World:
    """Three images, of which a build and a smoke test are only noted, and a registry."""

    def __init__(self, repository: Repository, registry: FaultyRegistry, patch: pytest.MonkeyPatch) -> None:
        repository.family(versions=VERSIONS + ROWS.format("2") + ROWS.format("3"))
        self.repository, self.registry = repository, registry
        self.specs = expand_all(load_families(repository.root))
        self.out = repository.root / "out"
        self.settings = Settings(
            root=repository.root,
            out=self.out,
            cache=self.out / "cache",
            registry=f"{registry.host}/vessl-ai",
            evidence=NO_EVIDENCE,
        )
        self.done: list[str] = []
        self.content = {spec.id: "one" for spec in self.specs}
        self.bad_builds: set[str] = set()
        self.bad_checks: set[str] = set()
        self.stand_in = False
        self.runs = 0
        """How often something was built."""
        patch.setattr(pipeline, "plan_builds", lambda specs, _: tuple(map(self.step, specs)))
        patch.setattr("scripts.build.build.carry_out", self.build)
        patch.setattr("scripts.contents.apt.note_packages", lambda *_: ())  # the layers are no archives
        patch.setattr(pipeline, "require_engine", lambda **_: None)
        patch.setattr(pipeline, "require_ssh_client", lambda **_: None)
        patch.setattr(pipeline, "engine_has_gpu", lambda: False)
        patch.setattr(pipeline, "find_subject", self.subject)
        patch.setattr(pipeline, "run_checks", self.smoke)

    def step(self, spec: ImageSpec) -> Step:
        base = Base(reference=spec.base, digest=DIGEST, context="", stand_in=self.stand_in)
        folder = self.out / spec.id.replace(":", "_") / "build.json"
        same = folder.exists() and json.loads(folder.read_text())["recipe"] == {"content": self.content[spec.id]}
        action = Action.NOTHING if same else Action.BUILD
        return Step(spec=spec, base=base, recipe=Recipe(parts={}), action=action, why="recipe changed: stage app")

    def build(self, steps: Sequence[Step], *_: Any) -> tuple[()]:
        self.runs += 1
        failed = []
        for step in steps:
            if step.action is Action.NOTHING:
                continue
            self.done.append(f"build {step.spec.tag}")
            if step.spec.id in self.bad_builds:
                failed.append(f"{step.spec.id}: the build failed")
                continue
            built(self.repository, step.spec.id, self.content[step.spec.id], smoke=False, tag=step.spec.tag)
            record = self.out / step.spec.id.replace(":", "_") / "build.json"
            content = {**json.loads(record.read_text()), "recipe": {"content": self.content[step.spec.id]}}
            record.write_text(json.dumps(content))
        if failed:
            made = [load_record(self.out, step.spec.id) for step in steps if step.spec.id not in self.bad_builds]
            raise PartlyBuiltError("; ".join(failed), tuple(record for record in made if record))
        return ()

    def subject(self, spec: ImageSpec, *_: Any, **_choices: Any) -> Subject:
        digest = json.loads((self.out / spec.id.replace(":", "_") / "build.json").read_text())["digest"]
        return Subject(spec=spec, reference=spec.id, digest=digest, source="built here", layout=None, stand_in=False)

    def smoke(self, subject: Subject, settings: Settings, **_: Any) -> Record:
        self.done.append(f"smoke {subject.spec.tag}")
        failed = subject.spec.id in self.bad_checks
        outcome = Outcome.FAIL if failed else Outcome.PASS
        results = tuple(replace(result, outcome=outcome) for result in RECORD.results)
        checks = hash_checks(settings.root, subject.spec)
        record = replace(
            RECORD, id=subject.spec.id, digest=subject.digest, checks=checks, outcome=outcome, results=results
        )
        save_record(settings.out, record)
        return record

    def release(self, order: Order = ORDER) -> list[dict[str, Any]]:
        self.done.clear()
        with connect(attempts=1) as client:
            return list(Pipeline(self.settings, client.transport, order, lambda _: None).release_all(self.specs))


@pytest.fixture
def world(repository: Repository, registry: FaultyRegistry, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(repository, registry, monkeypatch)


def actions(rows: list[dict[str, Any]]) -> list[str]:
    return [row["action"] for row in rows]


def test_each_is_built_tested_and_published_and_then_nothing_is_done(world: World, registry: FaultyRegistry) -> None:
    rows = world.release()
    assert actions(rows) == ["new"] * 3
    assert world.done == [f"{verb} {tag}" for tag in "123" for verb in ("build", "smoke")]
    assert sorted(tags(registry)) == sorted([*"123", "1-r1", "2-r1", "3-r1"])
    (notes,) = world.out.glob("ledgers/*/fam/CHANGES.md")
    notes.unlink()  # as a run leaves it that was killed after the ledger
    before = len(registry.requests)
    rows = world.release()
    assert (actions(rows), world.done) == (["unchanged"] * 3, [])
    assert "app:3-r1" in notes.read_text()
    # one listing for all, and the newest revision and the standard tag of each
    assert len(registry.requests) - before == 1 + 2 * 3


def test_what_changed_is_done_and_nothing_else(world: World, registry: FaultyRegistry) -> None:
    world.release()
    world.content["app:2"] = "two"
    assert actions(world.release()) == ["unchanged", "new", "unchanged"]
    assert world.done == ["build 2", "smoke 2"]
    assert tags(registry)["2"] == tags(registry)["2-r2"] != tags(registry)["2-r1"]


def test_the_others_go_on_and_a_rerun_does_what_is_left(world: World, registry: FaultyRegistry) -> None:
    world.bad_builds.add("app:1")
    world.bad_checks.add("app:2")
    rows = world.release()
    assert actions(rows) == ["failed", "failed", "new"]
    assert [row["why"] for row in rows[:2]] == [
        "the build failed",
        f"{len(RECORD.results)} of {len(RECORD.results)} checks failed: "
        + ", ".join(result.check for result in RECORD.results[:5]),
    ]
    assert [row["error"].exit_code for row in rows[:2]] == [3, 5]
    assert summary(rows) == "2 failed, 1 new"
    assert not {"1", "2"} & set(tags(registry))
    world.bad_builds.clear()
    world.bad_checks.clear()
    assert actions(world.release()) == ["new", "new", "unchanged"]
    assert world.done == ["build 1", "smoke 1", "smoke 2"]


def test_several_builders_are_given_all_at_once_and_what_one_built_is_published(world: World) -> None:
    world.settings = replace(world.settings, builder="a,b")
    world.bad_builds.add("app:2")
    rows = world.release()
    assert {row["id"]: row["action"] for row in rows} == {"app:1": "new", "app:2": "failed", "app:3": "new"}
    assert world.runs == 1
    assert world.done == ["build 1", "build 2", "build 3", "smoke 1", "smoke 3"]
    world.bad_builds.clear()
    assert actions(world.release()) == ["unchanged", "new", "unchanged"]
    assert world.done == ["build 2", "smoke 2"]


def test_a_publish_that_was_cut_off_goes_on_without_another_test(world: World, registry: FaultyRegistry) -> None:
    registry.fail("PUT", "manifests/1$", say(500), times=1)
    assert actions(world.release()) == ["failed", "new", "new"]
    assert actions(world.release()) == ["finish", "unchanged", "unchanged"]
    assert world.done == []


def test_a_registry_that_does_not_answer_is_found_out_before_anything_is_built(
    world: World, registry: FaultyRegistry
) -> None:
    registry.fail("GET", "tags/list", say(403), times=99)
    rows = world.release()
    assert actions(rows) == ["failed"] * 3
    assert {row["error"].exit_code for row in rows} == {4}
    assert world.done == []


def test_a_stand_in_is_refused_before_anything_is_built(world: World) -> None:
    world.stand_in = True
    world.settings = replace(world.settings, registry="quay.io/vessl-ai")
    rows = world.release()
    assert actions(rows) == ["failed"] * 3
    assert "is built on a stand-in base, which only a registry on loopback takes" in rows[0]["why"]
    assert world.done == []


def test_a_dry_run_only_says_it(world: World, registry: FaultyRegistry, tmp_path: Path) -> None:
    world.release()
    world.content["app:2"] = "two"
    before = len(registry.requests)
    rows = world.release(replace(ORDER, dry_run=True))
    assert [(row["build"], row["action"]) for row in rows] == [
        ("up to date", "unchanged"),
        ("build", "release"),
        ("up to date", "unchanged"),
    ]
    assert world.done == []
    assert {seen.method for seen in registry.requests[before:]} <= {"GET", "HEAD"}
    assert tmp_path.exists()

"""Records: bound to a digest and to the checks, written whole, and a pass only where something was measured."""

from __future__ import annotations

import ast
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.recipe.matrix import ImageSpec, expand_all, load_families
from scripts.smoke.record import (
    CHECKS,
    Outcome,
    Record,
    Result,
    directory_of,
    hash_checks,
    load_record,
    overall,
    passed,
    save_record,
)
from tests.conftest import DIGEST

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Repository

ROOT = Path(__file__).resolve().parent.parent
RESULT = Result(check="a.b", outcome=Outcome.PASS, measured="1", expected="1", reason="", seconds=0.1)
RECORD = Record(
    id="app:1",
    digest=DIGEST,
    checks="c" * 64,
    outcome=Outcome.PASS,
    reference="quay.io/x/app:1",
    source="built here",
    stand_in=False,
    gpu=False,
    started="2026-11-25T12:00:00+00:00",
    seconds=12.3,
    results=(RESULT,),
    planned=("a.b",),
    facts={"lowest driver": "525.60.13"},
)


def outcomes(*words: str) -> tuple[Result, ...]:
    return tuple(replace(RESULT, outcome=Outcome(word)) for word in words)


def test_round_trip(tmp_path: Path) -> None:
    path = save_record(tmp_path, RECORD)
    assert path == tmp_path / "smoke" / DIGEST.replace(":", "-") / "record.json"
    assert load_record(tmp_path, DIGEST) == RECORD
    assert [item.name for item in path.parent.iterdir()] == ["record.json"]


def test_a_pass_is_for_these_checks_and_this_digest_only(tmp_path: Path) -> None:
    save_record(tmp_path, RECORD)
    assert passed(tmp_path, DIGEST, RECORD.checks) == RECORD
    assert passed(tmp_path, DIGEST, "d" * 64) is None
    assert passed(tmp_path, "sha256:" + "cd" * 32, RECORD.checks) is None
    save_record(tmp_path, replace(RECORD, outcome=Outcome.FAIL))
    assert passed(tmp_path, DIGEST, RECORD.checks) is None


def test_a_record_that_was_moved_to_another_digest_counts_as_none(tmp_path: Path) -> None:
    other = "sha256:" + "cd" * 32
    save_record(tmp_path, RECORD)
    directory_of(tmp_path, DIGEST).rename(directory_of(tmp_path, other))
    assert load_record(tmp_path, other) is None


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"results": [{"outcome": "GOOD"}]}', "null"])
def test_a_damaged_record_counts_as_none(tmp_path: Path, damage: str) -> None:
    save_record(tmp_path, RECORD).write_text(damage)
    assert load_record(tmp_path, DIGEST) is None


# What somebody may have done to a record with an editor, a merge or half a copy.
EDITS: dict[str, Callable[[dict[str, Any]], object]] = {
    "another digest": lambda raw: raw.update(digest="sha256:" + "cd" * 32),
    "another outcome": lambda raw: raw.update(outcome="FAIL"),
    "a result taken out": lambda raw: raw.update(results=[]),
    "no results, none planned": lambda raw: raw.update(results=[], planned=[]),
    "a result twice": lambda raw: raw["results"].append(raw["results"][0]),
    "a result of another check": lambda raw: raw["results"][0].update(check="a.c"),
    "another measured value": lambda raw: raw["results"][0].update(measured="2"),
    "other checks": lambda raw: raw.update(checks="d" * 64),
    "a word for a number": lambda raw: raw.update(seconds="12.3"),
    "a number for yes": lambda raw: raw.update(gpu=1),
    "one key more": lambda raw: raw.update(more=1),
    "one key less": lambda raw: raw.pop("planned"),
    "no seal": lambda raw: raw.pop("seal"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_record_that_was_edited_counts_as_none(tmp_path: Path, edit: str) -> None:
    path = save_record(tmp_path, RECORD)
    raw = json.loads(path.read_text())
    EDITS[edit](raw)
    path.write_text(json.dumps(raw))
    assert load_record(tmp_path, DIGEST) is None


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(replace(RECORD, results=(replace(RESULT, outcome=Outcome.FAIL),)), id="a failed result"),
        pytest.param(replace(RECORD, results=(replace(RESULT, outcome=Outcome.SKIP),)), id="nothing measured"),
        pytest.param(replace(RECORD, results=()), id="no results"),
        pytest.param(replace(RECORD, planned=("a.b", "a.c")), id="a check that did not run"),
        pytest.param(replace(RECORD, outcome=Outcome.SKIP), id="an outcome that there is not"),
    ],
)
def test_a_pass_follows_from_the_results(tmp_path: Path, record: Record) -> None:
    """Also where the seal fits."""
    save_record(tmp_path, record)
    assert load_record(tmp_path, DIGEST) is None


def test_a_fail_counts_although_all_results_are_good(tmp_path: Path) -> None:
    """pytest failed at what is no check."""
    save_record(tmp_path, replace(RECORD, outcome=Outcome.FAIL))
    assert load_record(tmp_path, DIGEST) == replace(RECORD, outcome=Outcome.FAIL)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_record_that_was_cut_off_counts_as_none(tmp_path: Path, share: float) -> None:
    path = save_record(tmp_path, RECORD)
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    assert load_record(tmp_path, DIGEST) is None


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        (["PASS", "SKIP"], "PASS"),
        (["PASS", "FAIL"], "FAIL"),
        (["SKIP", "SKIP"], "FAIL"),
        ([], "FAIL"),
    ],
)
def test_overall(words: list[str], outcome: str) -> None:
    assert overall(outcomes(*words)) == outcome


def one(repository: Repository, versions: str) -> ImageSpec:
    repository.family(versions=versions)
    (spec,) = expand_all(load_families(repository.root))
    return spec


def test_hash_follows_the_checks_and_what_is_declared(repository: Repository) -> None:
    from tests.conftest import VERSIONS

    spec = one(repository, VERSIONS)
    before = hash_checks(repository.root, spec)
    assert before == hash_checks(repository.root, spec)
    assert hash_checks(repository.root, one(repository, VERSIONS + 'packages = { torch = "2.3.1" }\n')) != before
    (repository.root / "tests" / "smoke").mkdir(parents=True)
    (repository.root / "tests" / "smoke" / "test_a.py").write_text("")
    assert hash_checks(repository.root, spec) != before


def test_hash_is_the_same_in_another_checkout(repository: Repository, tmp_path: Path) -> None:
    from tests.conftest import VERSIONS

    here = hash_checks(repository.root, one(repository, VERSIONS))
    moved = repository.root.rename(tmp_path / "elsewhere")
    (spec,) = expand_all(load_families(moved))
    assert hash_checks(moved, spec) == here


def test_the_real_checks_are_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = next(iter(expand_all(load_families(ROOT))))
    before = hash_checks(ROOT, spec)
    for top in CHECKS:
        monkeypatch.setattr("scripts.smoke.record.CHECKS", tuple(item for item in CHECKS if item != top))
        assert hash_checks(ROOT, spec) != before, top


def test_hash_follows_the_lock(repository: Repository) -> None:
    """It is what is to be installed."""
    from tests.conftest import DOCKERFILE, VERSIONS

    lock = repository.root / "fam" / "locks" / "1" / "common.txt"
    lock.parent.mkdir(parents=True)
    lock.write_text("a==1\n")
    dockerfile = DOCKERFILE.replace(
        "FROM ${BASE_IMAGE} AS app", "FROM ${BASE_IMAGE} AS app\nCOPY fam/locks/1/common.txt /"
    )
    repository.family(versions=VERSIONS, dockerfile=dockerfile)
    (spec,) = expand_all(load_families(repository.root))
    before = hash_checks(repository.root, spec)
    lock.write_text("a==2\n")
    assert hash_checks(repository.root, spec) != before


def test_whatever_the_checks_import_of_ours_to_measure_with_is_hashed() -> None:
    """Of scripts/, only what finds the image and its declared values is not: that is hashed as values."""
    names: set[str] = set()
    paths = list((ROOT / "tests" / "smoke").glob("*.py"))
    while paths:
        found = imported(paths.pop()) - names
        names |= found
        # what a module of contents measures with counts too
        paths += [ROOT / f"{name}.py" for name in found if name.startswith("scripts/contents/")]
    assert {"scripts/contents/layers", "scripts/contents/gpu_probe", "tests/containers"} < names
    tops = tuple(top.removesuffix(".py") for top in CHECKS)
    others = {name for name in names if not name.startswith(tops)}
    assert others == {"scripts/recipe/matrix", "scripts/recipe/inputs", "scripts/errors"}


def imported(path: Path) -> set[str]:
    """The modules of ours that a module imports, as paths without their ending."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(("tests.", "scripts.")):
            name = node.module.replace(".", "/")
            names |= {f"{name}/{alias.name}" for alias in node.names} if (ROOT / name).is_dir() else {name}
    return names

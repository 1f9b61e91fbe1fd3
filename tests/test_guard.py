"""What may be published where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scripts.build.layout import Record
from scripts.release.guard import obstacles
from scripts.release.reference import parse_repository
from tests.conftest import DIGEST
from tests.test_smoke_record import RECORD

BUILD = Record(id="app:1", digest=DIGEST, size=1, recipe={}, base=DIGEST, stand_in=False, commit="1234567", epoch=0)
PUBLIC = parse_repository("quay.io/vessl-ai/app")
LOOPBACK = parse_repository("localhost:5000/vessl-ai/app")


def test_a_tested_build_of_a_commit_may_go_anywhere() -> None:
    assert obstacles(BUILD, RECORD, PUBLIC) == obstacles(BUILD, RECORD, LOOPBACK) == ()


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (replace(BUILD, stand_in=True), "built on a stand-in base"),
        (replace(BUILD, commit="1234567-dirty"), "built from what is not committed"),
        (replace(BUILD, commit=""), "built from what is not committed"),
    ],
)
def test_what_only_loopback_takes(build: Record, words: str) -> None:
    (sentence,) = obstacles(build, RECORD, PUBLIC)
    assert words in sentence
    assert obstacles(build, RECORD, LOOPBACK) == ()
    (again,) = obstacles(build, None, PUBLIC, skip_smoke=True)
    assert again == sentence


@pytest.mark.parametrize("repository", [PUBLIC, LOOPBACK])
def test_what_nobody_has_tested_goes_nowhere_unless_somebody_says_so(repository: object) -> None:
    (sentence,) = obstacles(BUILD, None, repository)  # type: ignore[arg-type] # of either kind
    assert sentence == (
        f'app:1: no smoke test of {DIGEST} has passed: ./scripts/nox -s "smoke(app:1)" '
        "(--unsafe-skip-smoke publishes what nobody has tested)"
    )
    assert obstacles(BUILD, None, repository, skip_smoke=True) == ()  # type: ignore[arg-type]


def test_all_obstacles_are_told_at_once() -> None:
    assert len(obstacles(replace(BUILD, stand_in=True, commit=""), None, PUBLIC)) == 3

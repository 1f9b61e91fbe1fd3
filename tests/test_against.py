"""What is to be built by what is published: with nothing built here, as on a CI's machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.release.against import plan_against
from scripts.release.ledger import Ledger, append_lines
from scripts.release.lines import Yanked
from scripts.release.place import place_of
from scripts.release.refusal import TemporaryError
from scripts.smoke.record import Outcome, save_record
from tests.faulty_registry import FaultyRegistry, connect, say
from tests.images import LAYERS, make_image, publish
from tests.test_smoke_record import RECORD, RESULT
from tests.world import NAME, TIME, World, lose_base, move_base

from .conftest import DIGEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Docker, Repository


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def made(repository: Repository, docker: Docker, registry: FaultyRegistry, tmp_path: Path) -> World:
    docker.answer(registry={"python:3.11": DIGEST})
    return World(repository, registry, tmp_path / "folder")


def test_what_was_never_published_is_built(made: World) -> None:
    assert made.said() == ("build", "never published")
    made.registry.put(b"{}", "application/json", "2", name=NAME)
    assert made.said() == ("build", "never published")


@pytest.mark.parametrize("line", [False, True], ids=["by its labels", "by the ledger"])
def test_what_is_published_as_it_is_now_is_not(made: World, line: bool) -> None:  # noqa: FBT001 - a parameter
    image = made.publish(provenance=False, line=line)
    name = "r1" if line else image.digest[:19]
    before = len(made.registry.requests)
    assert made.said() == ("up to date", f"recipe, lock and base are those of {name}")
    asked = [seen.method for seen in made.registry.requests[before:]]
    assert asked == (["HEAD"] if line else ["HEAD", "GET", "GET", "GET"])


def test_every_change_is_named_though_nothing_was_built_here(made: World, docker: Docker) -> None:
    made.publish(line=True)
    (made.repository.root / "files" / "hello").write_text("changed")
    made.lock.write_text("one==2\n")
    move_base(docker)
    assert made.said() == (
        "build",
        "base moved; lock changed: one 1 -> 2; recipe changed: files/hello",
    )


def test_a_base_that_moved_is_known_without_provenance(made: World, docker: Docker) -> None:
    made.publish(provenance=False)
    move_base(docker)
    assert made.said() == ("build", "base moved")


def test_a_base_that_cannot_be_asked_for_has_not_moved(
    made: World, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.build.bases.STAND_INS", {})
    made.publish(line=True)
    lose_base(docker)
    action, why = made.said()
    assert (action, why.partition(": ")[0]) == (
        "up to date",
        "recipe and lock are those of r1; its base cannot be asked for",
    )
    made.lock.write_text("one==2\n")
    assert made.said() == ("build", "lock changed: one 1 -> 2")


def test_without_provenance_it_is_said_that_nothing_tells(made: World) -> None:
    image = made.publish(provenance=False)
    made.lock.write_text("one==2\n")
    why = f"recipe or lock changed since {image.digest[:19]} (no provenance tells in what)"
    assert made.said() == ("build", why)


def test_a_provenance_that_is_not_true_is_not_believed(made: World) -> None:
    image = made.publish(untrue={"files/hello": "x" + "0" * 64})
    made.lock.write_text("one==2\n")
    assert made.said() == (
        "build",
        f"recipe or lock changed since {image.digest[:19]} (no provenance tells in what)",
    )


def test_an_image_of_somebody_else_tells_nothing(made: World) -> None:
    image = publish(made.registry, make_image(made.folder / "image", *LAYERS), "1", name=NAME)
    why = f"recipe or lock changed since {image.digest[:19]} (nothing tells which recipe it was made of)"
    assert made.said() == ("build", why)


def test_force_is_a_reason(made: World) -> None:
    made.publish()
    assert made.said(force="forced: --force") == ("build", "forced: --force")


def test_a_smoke_test_that_failed_here_last_is_a_reason(made: World) -> None:
    image = made.publish(line=True)
    bad = replace(RESULT, outcome=Outcome.FAIL, check="declared.python")
    record = replace(RECORD, digest=image.digest, results=(bad,), planned=(bad.check,), outcome=Outcome.FAIL)
    save_record(made.settings().out, record)
    assert made.said() == ("build", "smoke failed last: declared.python")


def test_a_recipe_that_was_yanked_is_not_built_again(made: World) -> None:
    made.publish(line=True)
    place = place_of(made.spec, made.settings())
    older = made.line(2, "sha256:" + "ee" * 32, recipe="ee", base=DIGEST)
    yanked = Yanked(repository=str(place.repository), tag="1", revision=1, time=TIME, reason="numpy was broken")
    append_lines(place.ledger, yanked, older)
    other = publish(made.registry, make_image(made.folder / "other", *LAYERS[:1]), "1", "1-r2", name=NAME)
    assert other.digest != older.digest
    assert made.said() == ("up to date", "its recipe is that of r1, which was yanked: numpy was broken")


def test_a_registry_that_fails_is_an_error(made: World) -> None:
    made.registry.fail("HEAD", "manifests", say(503), times=99)
    with pytest.raises(TemporaryError):
        made.plan()


def test_a_plan_of_nothing_asks_nobody(made: World) -> None:
    with connect() as client:
        assert plan_against([], made.settings(), client.transport, Ledger()) == ()

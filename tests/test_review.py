"""What a review says of images that were built here: with the published ones, without, and where one cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.release import review as module
from tests.faulty_registry import FaultyRegistry
from tests.images import make_image, publish
from tests.test_named import LABELS, NEW, OLD, PYTHON, VENV, built

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import Tasks

NAME = "vessl-ai/app"


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


def review(tasks: Tasks, registry: FaultyRegistry, images: str = "app:1") -> str:
    done = tasks.run("review", images, "--registry", f"{registry.host}/vessl-ai")
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sizes_and_packages_are_compared(tasks: Tasks, registry: FaultyRegistry, tmp_path: Path) -> None:
    publish(registry, make_image(tmp_path / "old", *OLD, PYTHON, **VENV), "1", name=NAME)
    built(tasks, make_image(tmp_path / "new", *NEW, PYTHON, **VENV))
    text = review(tasks, registry)
    assert text.startswith("## `app:1`\n\n**")
    assert "published (" in text.splitlines()[2]
    assert "| numpy | 2.4.5 | 2.4.6 |" in text
    assert LABELS["ai.vessl.images.id"] in text


def test_an_image_that_is_as_published_says_so(tasks: Tasks, registry: FaultyRegistry, tmp_path: Path) -> None:
    layout = make_image(tmp_path / "old", *OLD, PYTHON, **VENV)
    publish(registry, layout, "1", name=NAME)
    built(tasks, layout)
    assert "as published" in review(tasks, registry)


def test_an_image_that_nobody_has_published_has_its_size(
    tasks: Tasks, registry: FaultyRegistry, tmp_path: Path
) -> None:
    built(tasks, make_image(tmp_path / "new", *NEW, PYTHON, **VENV))
    assert "; nothing published to compare with: " in review(tasks, registry)


def test_what_was_not_built_is_said_and_does_not_keep_the_others_from_it(
    tasks: Tasks, registry: FaultyRegistry, tmp_path: Path
) -> None:
    tasks.repository.family("other", (tasks.repository.root / "fam/versions.toml").read_text().replace('"app"', '"b"'))
    built(tasks, make_image(tmp_path / "new", *NEW, PYTHON, **VENV))
    text = review(tasks, registry, "b:1 app:1")
    assert text.startswith("## `b:1`\n\nWas not built.\n\n## `app:1`\n\n")


def test_a_page_that_is_too_long_is_cut_at_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LENGTH", 25)
    assert module._cut("one\ntwo\n" * 9).splitlines()[-1] == "... and 49 characters more: `invoke diff` shows them."
    assert module._cut("short") == "short"


@pytest.mark.parametrize(("images", "sentence"), [("", "review: expected images"), ("ap:1", 'no image "ap:1"')])
def test_a_word_that_names_no_image_is_refused(tasks: Tasks, images: str, sentence: str) -> None:
    done = tasks.run("review", images)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(sentence)

"""A session of the benchmark with a pretended engine: what is built and measured, in which order, and what stops it."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.errors import BuildError
from scripts.recipe.lock import Pin
from tests.bench import measure, session
from tests.bench.building import Built
from tests.bench.figures import FIGURES, Side
from tests.bench.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.report import Result

ROOT = Path(__file__).resolve().parents[1]
BASE = 1_000_000
"""Bytes of the layer that no change touches."""


class Engine:
    """Remembers what it was told, and nothing from one to the next."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.cache: set[str] = set()

    def cached(self) -> frozenset[str]:
        return frozenset(self.cache)

    def forget(self, kept: frozenset[str]) -> None:
        self.cache = set(kept)

    def load(self, layout: Path, reference: str) -> None:
        assert (layout / "index.json").exists()
        self.loaded.append(reference)

    def docker(self, *words: str) -> str:
        assert words[0] in {"tag", "push"}
        return ""


class Subject:
    """An image of two layers: one that stays, and one that changes with each bump and edit."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.build = SimpleNamespace(recipe_hash="r", base_digest="b", spec=SimpleNamespace(id="app:1"))
        self.pins = (Pin(name="tqdm", version="5"), Pin(name="pandas", version="3"))
        self.state = "as it was"
        self.built: list[tuple[Side, str]] = []
        self.fails = False

    def save(self) -> str:
        return self.state

    def restore(self, state: str) -> None:
        self.state = state

    def bump(self, to: Pin) -> None:
        self.state = to.version

    def edit(self, word: str) -> None:
        self.state = word

    def make(self, side: Side, engine: Engine, layout: Path, *, before: Path | None = None) -> Built:
        assert (before is not None) == (self.state != "as it was")
        assert f"{side} {self.state}" not in engine.cache, "a rebuild found its own result in the cache"
        engine.cache.add(f"{side} {self.state}")
        self.built.append((side, self.state))
        if self.fails:
            raise BuildError("the build failed")
        write_layout(layout, side, self.state, 100 if side is Side.OURS else 5000)
        return Built(seconds=1.0 if side is Side.OURS else 4.0, phases=())


def write_layout(layout: Path, side: Side, state: str, size: int) -> None:
    manifest = {
        "config": {"digest": f"config {side} {state}", "size": 0},
        "layers": [{"digest": "base", "size": BASE}, {"digest": f"{side} {state}", "size": size}],
    }
    text = json.dumps(manifest)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (layout / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    (layout / "blobs" / "sha256" / digest).write_text(text, encoding="utf-8")
    index = {"manifests": [{"digest": f"sha256:{digest}"}]}
    (layout / "index.json").write_text(json.dumps(index), encoding="utf-8")


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[Engine]:
    started: list[Engine] = []

    @contextmanager
    def own_engine(*_: object) -> Iterator[Engine]:
        started.append(Engine())
        yield started[-1]

    @contextmanager
    def serve_registry(folder: Path) -> Iterator[Any]:
        folder.mkdir()
        yield SimpleNamespace(host="127.0.0.1:5000")

    def contents(_: Engine, reference: str, __: object) -> dict[str, frozenset[str]]:
        return {"Python": frozenset({"pandas==3", "tqdm==4" if "other" in reference else "tqdm==5"})}

    monkeypatch.setattr(session, "own_engine", own_engine)
    monkeypatch.setattr(session, "serve_registry", serve_registry)
    monkeypatch.setattr(measure, "contents", contents)
    monkeypatch.setattr(measure, "pull", lambda engine, _: 3.0 if not engine.loaded else 0.0)
    monkeypatch.setattr(measure, "start_to_status", lambda *_: 2.0)
    monkeypatch.setattr(measure, "imports", lambda _, __, modules: float(len(modules)))
    return started


def prepare(tmp_path: Path, *figures: str, **options: Any) -> tuple[Session, Subject]:
    subject = Subject(ROOT)
    (tmp_path / "layouts").mkdir(exist_ok=True)
    chosen: Any = {"subject": subject, "runs": 2, "work": tmp_path, "bridge": "", "layouts": tmp_path / "layouts"}
    return Session(**(chosen | {"figures": figures} | options)), subject


def by_name(results: Iterator[Result]) -> dict[str, dict[Side, list[float]]]:
    return {result.figure: result.samples for result in results}


def test_every_figure_is_measured_for_each_of_its_sides_as_many_times_as_was_asked(
    tmp_path: Path, engines: list[Engine]
) -> None:
    chosen, _ = prepare(tmp_path, *FIGURES)
    results = by_name(chosen.measure())
    assert list(results) == ["cold-build", "bump", "repull", "edit", "size", "pull", "start", "import"]
    for name, samples in results.items():
        assert set(samples) == set(FIGURES[name].sides)
        assert {len(values) for values in samples.values()} == {1 if FIGURES[name].exact else 2}
    assert results["cold-build"] == {Side.PLAIN: [4.0] * 2, Side.COMPILED: [4.0] * 2, Side.OURS: [1.0] * 2}
    assert results["pull"][Side.OURS] == [3.0, 3.0]
    assert results["import"][Side.OURS] == [1.0, 1.0]  # pandas, of the modules that an image may have
    # An engine for each cold build and pull, one for the rebuilds, one for the containers.
    assert len(engines) == 6 + 1 + 1 + 6


def test_the_bytes_are_those_of_the_layers_that_the_image_before_did_not_have(
    tmp_path: Path, engines: list[Engine]
) -> None:
    chosen, _ = prepare(tmp_path, "size", "repull")
    results = by_name(chosen.measure())
    assert results["repull"] == {Side.PLAIN: [0.005], Side.SORTED: [0.005], Side.OURS: [0.0001]}
    assert results["size"][Side.OURS] == [1.0001]
    assert engines


def test_sides_take_turns_and_each_change_starts_from_the_same_state(tmp_path: Path, engines: list[Engine]) -> None:
    chosen, subject = prepare(tmp_path, "bump", variants=False)
    assert list(by_name(chosen.measure())) == ["bump"]
    states = [("4.67.1", Side.PLAIN), ("4.67.1", Side.OURS), ("4.67.0", Side.PLAIN), ("4.67.0", Side.OURS)]
    warm = [(Side.PLAIN, "as it was"), (Side.OURS, "as it was")]
    assert subject.built == [*warm, *((side, version) for version, side in states)]
    assert engines[0].cache == {"plain as it was", "ours as it was"}


def test_layouts_that_were_kept_are_used_and_broken_ones_are_not(tmp_path: Path, engines: list[Engine]) -> None:
    first, subject = prepare(tmp_path, "size", variants=False)
    list(first.measure())
    assert len(subject.built) == 2
    again, subject = prepare(tmp_path, "size", variants=False)
    list(again.measure())
    assert subject.built == []
    failing, subject = prepare(tmp_path, "cold-build", variants=False)
    subject.fails = True
    with pytest.raises(BuildError, match="the build failed"):
        list(failing.measure())
    after, subject = prepare(tmp_path, "size", variants=False)
    list(after.measure())
    assert subject.built == [(Side.PLAIN, "as it was")]
    assert engines


def test_images_that_differ_in_a_package_are_not_compared(
    tmp_path: Path, engines: list[Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_reference", lambda side: f"other {side}" if side is Side.PLAIN else side)
    chosen, _ = prepare(tmp_path, "start", variants=False)
    with pytest.raises(BuildError) as caught:
        list(chosen.measure())
    assert str(caught.value) == (
        "app:1: the images do not have the same Python packages, so they cannot be compared: "
        "only plain: tqdm==4; only ours: tqdm==5"
    )
    assert engines

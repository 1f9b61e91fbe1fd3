"""One run of the benchmark: both sides in turn, each figure of those that are asked for. It says what it is doing."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from scripts.console import say
from scripts.errors import BuildError
from tests.bench import measure
from tests.bench.engine import own_engine
from tests.bench.figures import FIGURES, Figure, Side
from tests.bench.plain import BUMPS, FILES, PACKAGES, render_requirements
from tests.bench.report import Result
from tests.bench.sides import DOCKERFILES, HERE
from tests.registries import serve_registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.building import Built
    from tests.bench.engine import OwnEngine
    from tests.bench.sides import Subject
    from tests.registries import RealRegistry

MODULES: Final = {"torch": "torch", "tensorflow-cpu": "tensorflow", "pandas": "pandas", "scikit-learn": "sklearn"}
"""Distribution to module: what of it an image has is what is imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What is to be measured, of what, how many times, and where."""

    subject: Subject
    figures: tuple[str, ...]
    runs: int
    work: Path
    bridge: str
    layouts: Path
    """Where the finished layouts go, and are found again where an earlier run kept them."""
    variants: bool = True
    """Whether the plain image is measured in its other forms too."""

    def sides(self, *names: str) -> tuple[Side, ...]:
        """The sides that the asked for of these figures need, each once."""
        wanted = [side for name in names if name in self.figures for side in self._sides(FIGURES[name])]
        return tuple(dict.fromkeys(wanted))

    def _sides(self, figure: Figure) -> tuple[Side, ...]:
        return figure.sides if self.variants else tuple(s for s in figure.sides if s in {Side.PLAIN, Side.OURS})

    def measure(self) -> Iterator[Result]:
        """Measure, and hand out each result as soon as it is whole."""
        if "cold-build" in self.figures:
            yield self._cold_builds()
        if self.sides("bump", "edit", "repull"):
            yield from self._rebuilds()
        sides = self.sides("size", "pull", "start", "import") or (Side.PLAIN, Side.OURS)
        self._build_missing(sides)
        if "size" in self.figures:
            yield self._each("size", lambda side: measure.compressed_size(self._layout(side)), runs=1)
        yield from self._running(sides)

    def _cold_builds(self) -> Result:
        result = Result(figure="cold-build")
        for side in self._in_turn(self.runs, "cold-build"):
            with self._engine() as engine:
                built = self._make(side, engine)
            result.add(side, built.seconds)
            result.phases[side] = built.phases
        return result

    def _rebuilds(self) -> Iterator[Result]:
        with self._engine() as engine:
            for side in self.sides("bump", "edit", "repull"):
                say(f"{side}: building it to fill the caches")
                self._make(side, engine)
            if self.sides("bump", "repull"):
                yield from self._bumps(engine)
            if "edit" in self.figures:
                result = Result(figure="edit")
                for count, side in enumerate(self._in_turn(self.runs, "edit")):
                    with self._changed(engine):
                        self.subject.edit(f"edit {count}")
                        result.add(side, self._make_again(side, engine).seconds)
                yield result

    def _bumps(self, engine: OwnEngine) -> Iterator[Result]:
        bump, repull = Result(figure="bump"), Result(figure="repull")
        # The bytes are the same each time.
        for side in self._in_turn(self.runs if "bump" in self.figures else 1, "bump", "repull"):
            with self._changed(engine):
                self.subject.bump(BUMPS[len(bump.samples.get(side, ()))])
                bump.add(side, self._make_again(side, engine).seconds)
                if side not in repull.samples:
                    repull.add(side, measure.pulled_again(self._layout(side), self.work / "changed"))
        yield from (result for result in (bump, repull) if result.figure in self.figures)

    def _make_again(self, side: Side, engine: OwnEngine) -> Built:
        return self.subject.make(side, engine, self.work / "changed", before=self._layout(side))

    @contextlib.contextmanager
    def _changed(self, engine: OwnEngine) -> Iterator[None]:
        """Lend the checkout for a change, and put it and the build cache back as they were."""
        files, cached = self.subject.save(), engine.cached()
        yield
        self.subject.restore(files)
        engine.forget(cached)

    def _running(self, sides: tuple[Side, ...]) -> Iterator[Result]:
        with self._engine() as engine:
            for side in sides:
                say(f"{side}: loading it")
                engine.load(self._layout(side), _reference(side))
            self._compare(engine, sides)
            if "pull" in self.figures:
                yield self._pulls(engine)
            if "start" in self.figures:
                yield self._each("start", lambda side: measure.start_to_status(engine, _reference(side)), warm_up=True)
            if "import" in self.figures:
                modules = [module for name, module in MODULES.items() if name in {p.name for p in self.subject.pins}]
                yield self._each(
                    "import", lambda side: measure.imports(engine, _reference(side), modules), warm_up=True
                )

    def _pulls(self, engine: OwnEngine) -> Result:
        result = Result(figure="pull")
        with _registry(self.work / "registry") as registry:
            references = {side: f"{registry.host}/bench/{_name(side)}" for side in self.sides("pull")}
            for side, reference in references.items():
                say(f"{side}: pushing it to the registry")
                engine.docker("tag", _reference(side), reference)
                engine.docker("push", "--quiet", reference)
            for side in self._in_turn(self.runs, "pull"):
                with self._engine() as empty:
                    result.add(side, measure.pull(empty, references[side]))
        shutil.rmtree(self.work / "registry")
        return result

    def _compare(self, engine: OwnEngine, sides: tuple[Side, ...]) -> None:
        """See that all sides have the same content.

        :raises BuildError: with what differs.
        """
        locked = {pin.name for pin in self.subject.pins}
        found = {side: measure.contents(engine, _reference(side), PACKAGES) for side in {*sides, Side.OURS}}
        ours = found[Side.OURS]
        for side in sides:
            for kind, all_theirs in found[side].items():
                theirs = frozenset(p for p in all_theirs if p in ours[kind] or not _by_venv(p, locked))
                if theirs != ours[kind]:
                    raise BuildError(
                        f"{self.subject.build.spec.id}: the images do not have the same {kind} packages, so they cannot "
                        f"be compared: only {side}: {_few(theirs - ours[kind])}; only ours: {_few(ours[kind] - theirs)}"
                    )

    def _each(self, name: str, take: Callable[[Side], float], *, runs: int = 0, warm_up: bool = False) -> Result:
        if warm_up:  # each file has been read once, so the page cache is as warm for one side as for the other
            for side in self.sides(name):
                say(f"{name}: warming up, {side}")
                take(side)
        result = Result(figure=name)
        for side in self._in_turn(runs or self.runs, name):
            result.add(side, take(side))
        return result

    def _in_turn(self, runs: int, *names: str) -> Iterator[Side]:
        for run in range(runs):
            for side in self.sides(*names):
                say(f"{' and '.join(names)}: run {run + 1} of {runs}, {side}")
                yield side

    def _engine(self) -> contextlib.AbstractContextManager[OwnEngine]:
        return own_engine(self.work, self.bridge)

    def _layout(self, side: Side) -> Path:
        return self.layouts / _name(side)

    def _build_missing(self, sides: tuple[Side, ...]) -> None:
        missing = [side for side in sides if not self._stamped(side)]
        if missing:
            with self._engine() as engine:
                for side in missing:
                    say(f"{side}: building it")
                    self._make(side, engine)

    def _make(self, side: Side, engine: OwnEngine) -> Built:
        """Build a side from the checkout as it is; its stamp says that the layout is whole, and of what it is."""
        stamp = self._layout(side).with_suffix(".stamp")
        stamp.unlink(missing_ok=True)
        built = self.subject.make(side, engine, self._layout(side))
        stamp.write_text(self._inputs(side), encoding="utf-8")
        return built

    def _stamped(self, side: Side) -> bool:
        stamp = self._layout(side).with_suffix(".stamp")
        return stamp.exists() and stamp.read_text(encoding="utf-8") == self._inputs(side)

    def _inputs(self, side: Side) -> str:
        """A hash over what a side is built from."""
        build, parts = self.subject.build, []
        if side is not Side.OURS:
            files = [HERE / DOCKERFILES[side], *(self.subject.root / "scripts/image" / name for name in FILES)]
            parts = [*(path.read_bytes() for path in files), repr(render_requirements(self.subject.pins)).encode()]
        digest = hashlib.sha256(f"{side} {build.recipe_hash} {build.base_digest}".encode())
        for part in parts:
            digest.update(part)
        return digest.hexdigest()


@contextlib.contextmanager
def _registry(folder: Path) -> Iterator[RealRegistry]:
    with contextlib.ExitStack() as stack:
        try:
            registry = stack.enter_context(serve_registry(folder))
        except AssertionError as error:  # its way to say what is missing, to tests
            raise BuildError(str(error)) from error
        yield registry


def _name(side: Side) -> str:
    """A side as the name of a directory or a repository can have it."""
    return side.replace(", ", "-")


def _reference(side: Side) -> str:
    return f"localhost/bench/{_name(side)}:latest"


def _by_venv(package: str, locked: set[str]) -> bool:
    """Whether ``python -m venv`` put it into the plain image: before Python 3.12 it does so unasked."""
    return package.partition("==")[0] in {"pip", "setuptools"} - locked


def _few(items: frozenset[str]) -> str:
    return ", ".join(sorted(items)[:8]) or "nothing"

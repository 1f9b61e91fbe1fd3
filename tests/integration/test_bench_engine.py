"""The benchmark's own engine: empty, apart from the machine's, and gone afterwards whatever happens."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.errors import BuildError
from tests.bench.building import run_buildx
from tests.bench.engine import PREFIX, OwnEngine, own_bridge, own_engine, run, work_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine
NAME = "localhost/bench/tiny:latest"
SPACE = 500_000_000


def build(engine: OwnEngine, work: Path, dockerfile: str) -> Path:
    (work / "context").mkdir(exist_ok=True)
    (work / "context" / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    words = ["build", "--provenance=false", f"--output=type=oci,tar=false,dest={work / 'layout'}"]
    run_buildx([*words, str(work / "context")], engine, cwd=work, record=work / "log")
    return work / "layout"


def left_of(work: Path) -> list[str]:
    """What mentions the directory: processes, mounts, and itself."""
    processes = [path.read_bytes().replace(b"\0", b" ").decode() for path in Path("/proc").glob("[0-9]*/cmdline")]
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [line for line in (*processes, *mounts, *map(str, work.parent.iterdir())) if str(work) in line]


@pytest.fixture
def place() -> Iterator[tuple[Path, str]]:
    with work_directory(SPACE) as work, own_bridge() as bridge:
        yield work, bridge


def test_it_is_empty_each_time_and_apart_from_the_machines(place: tuple[Path, str]) -> None:
    work, _ = place
    with own_engine(*place) as engine:
        assert engine.docker("image", "ls", "--quiet") == ""
        engine.load(build(engine, work, "FROM scratch\nCOPY Dockerfile /\n"), NAME)
        assert engine.docker("image", "ls", "--quiet", NAME) != ""
        assert run(["docker", "image", "ls", "--quiet", NAME]) == ""
    with own_engine(*place) as engine:
        assert engine.docker("image", "ls", "--quiet") == ""
        assert engine.cached() == frozenset()


def test_its_build_cache_can_be_put_back_as_it_was(place: tuple[Path, str]) -> None:
    work, _ = place
    with own_engine(*place) as engine:
        build(engine, work, "FROM scratch\nCOPY Dockerfile /\n")
        before = engine.cached()
        build(engine, work, "FROM scratch\nCOPY Dockerfile /\nCOPY Dockerfile /again\n")
        assert engine.cached() > before
        engine.forget(before)
        assert engine.cached() == before


def test_nothing_is_left_of_it_after_an_error() -> None:
    def fail() -> None:
        with work_directory(SPACE) as work, own_bridge() as bridge, own_engine(work, bridge) as engine:
            found.append((work, bridge))
            engine.load(build(engine, work, "FROM scratch\nCOPY Dockerfile /\n"), NAME)
            assert left_of(work)
            assert Path("/sys/class/net", bridge).exists()
            raise BuildError("as Ctrl-C does")

    found: list[tuple[Path, str]] = []
    with pytest.raises(BuildError, match="as Ctrl-C does"):
        fail()
    ((work, bridge),) = found
    assert left_of(work) == []
    assert f"{PREFIX}{os.getpid()}" not in run(["docker", "network", "ls", "--format", "{{.Name}}"]).split()
    assert not Path("/sys/class/net", bridge).exists()


def test_a_build_that_fails_shows_what_its_step_said(place: tuple[Path, str]) -> None:
    with own_engine(*place) as engine:
        with pytest.raises(BuildError) as caught:
            build(engine, place[0], "FROM scratch\nCOPY missing /\n")
        assert str(caught.value).startswith("docker buildx build failed with 1:\n")
        assert '"/missing": not found' in str(caught.value)

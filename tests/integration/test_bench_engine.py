"""The benchmark's own engine: empty, apart from the machine's, and gone afterwards whatever happens."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts.errors import BuildError
from tests.bench.building import run_buildx
from tests.bench.engine import OwnEngine, own_bridge, own_engine, run, work_directory

pytestmark = pytest.mark.engine
NAME = "localhost/bench/tiny:latest"
BUILD = ("build", "--provenance=false")


def build(engine: OwnEngine, work: Path, dockerfile: str) -> Path:
    (work / "context").mkdir(exist_ok=True)
    (work / "context" / "Dockerfile").write_text(dockerfile, encoding="utf-8")
    words = [*BUILD, f"--output=type=oci,tar=false,dest={work / 'layout'}", str(work / "context")]
    run_buildx(words, engine, cwd=work, record=work / "log")
    return work / "layout"


def left_of(work: Path) -> list[str]:
    """What mentions the directory: processes, mounts, and itself."""
    processes = [path.read_bytes().replace(b"\0", b" ").decode() for path in Path("/proc").glob("[0-9]*/cmdline")]
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return [line for line in (*processes, *mounts, *map(str, work.parent.iterdir())) if str(work) in line]


def test_an_own_engine_is_empty_apart_and_removed_after_an_error_too() -> None:
    with pytest.raises(BuildError, match="no such thing"), work_directory() as work, own_bridge() as bridge:
        with own_engine(work, bridge) as engine:
            assert engine.docker("image", "ls", "--quiet") == ""
            engine.load(build(engine, work, "FROM scratch\nCOPY Dockerfile /\n"), NAME)
            assert engine.docker("image", "ls", "--quiet", NAME) != ""
            assert run(["docker", "image", "ls", "--quiet", NAME]) == ""
            assert left_of(work)
        with own_engine(work, bridge) as engine:
            assert engine.docker("image", "ls", "--quiet") == ""
            raise BuildError("no such thing")
    assert left_of(work) == []
    assert run(["docker", "network", "ls", "--quiet", "--filter", f"name={bridge}"]) == ""
    assert subprocess.run(["ip", "link", "show", bridge], capture_output=True, check=False).returncode == 1


def test_a_build_that_fails_shows_what_its_step_said() -> None:
    with work_directory() as work, own_bridge() as bridge, own_engine(work, bridge) as engine:
        with pytest.raises(BuildError) as caught:
            build(engine, work, "FROM scratch\nCOPY missing /\n")
        assert str(caught.value).startswith("docker buildx build failed with 1:\n")
        assert '"/missing": not found' in str(caught.value)

"""Whether a build fits: the disk it needs, what is said where it does not, and how many rows go at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build import engine, room
from scripts.build.layout import Record, load_record
from scripts.build.room import available_memory, batches, need_of, require_room, rows_at_once
from scripts.build.settings import Settings, load_settings
from scripts.errors import BuildError, UsageError
from scripts.recipe.matrix import expand_all, load_families

from .conftest import DIGEST, ROOT, VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.recipe.matrix import ImageSpec

    from .conftest import Docker, Tasks

IMAGES = {spec.id: spec for spec in expand_all(load_families(ROOT))}
CPU, CUDA, TORCH = IMAGES["python:3.11"], IMAGES["cuda:12.1"], IMAGES["torch:2.3.1-cuda12.1"]
ESTIMATES = {False: 10_000, True: 25_000}
GB = 1_000_000_000


def settings(tmp_path: Path, **chosen: Any) -> Settings:
    return Settings(**{"root": tmp_path, "out": tmp_path / "out", "cache": tmp_path, "registry": "r", **chosen})


def built(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    record = Record(id="x", digest="", size=size, recipe={}, base="", stand_in=False, commit="", epoch=0)
    monkeypatch.setattr(room, "load_record", lambda *_: record)


def test_a_first_build_needs_the_estimate_and_a_later_one_what_the_last_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [need_of(spec, settings(tmp_path), ESTIMATES) for spec in (CPU, TORCH)] == [10_000, 25_000]
    built(monkeypatch, 500)
    assert need_of(CPU, settings(tmp_path), ESTIMATES) == 5500
    built(monkeypatch, 90_000)
    assert need_of(CPU, settings(tmp_path), ESTIMATES) == 10_000


def test_a_build_that_fits_is_let_start(tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "free_space", lambda _: 35_000)
    require_room([CPU, CUDA, TORCH], settings(tmp_path), ESTIMATES)
    assert docker.calls("info")


def test_a_build_that_does_not_fit_is_refused_with_what_could_go(
    tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "free_space", lambda _: 34 * GB)
    monkeypatch.setattr(room, "freed", lambda items: len(items) * 1_500_000_000)
    monkeypatch.setattr(room, "plan_prune", lambda *_, every: [1] * (1 + every))
    with pytest.raises(BuildError) as caught:
        require_room([CPU, CUDA, TORCH], settings(tmp_path, root=ROOT), {False: 10 * GB, True: 25 * GB})
    assert str(caught.value) == (
        f"no space for the build: python:3.11, cuda:12.1, torch:2.3.1-cuda12.1 needs about 35.0 GB in {tmp_path}/out, "
        "34.0 GB free (`invoke prune` frees up to 1.5 GB, with --all 3.0 GB, or move out/ to another disk)"
    )
    assert docker.calls("info")


def test_an_engine_on_another_disk_is_asked_for_its_part(
    tmp_path: Path, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_one_disk", lambda *_: False)
    asked: list[str] = []

    def free_space(path: Path) -> int:
        asked.append(str(path))
        return 9000

    monkeypatch.setattr(engine, "free_space", free_space)
    require_room([CPU], settings(tmp_path), ESTIMATES)
    assert asked == [str(tmp_path / "out"), "/no/such/directory"]
    monkeypatch.setattr(engine, "free_space", lambda path: 9000 if path == tmp_path / "out" else 8999)
    with pytest.raises(BuildError, match=r"needs about 0\.0 GB in /no/such/directory"):
        require_room([CPU], settings(tmp_path), ESTIMATES)
    assert docker.calls("info")


@pytest.mark.parametrize(
    ("cores", "memory", "free", "rows"),
    [
        (2, 24, 100, 1),
        (1, 24, 100, 1),
        (16, 64, 1000, 8),
        (16, 10, 1000, 3),
        (16, 64, 60, 6),
        (16, 64, 0, 1),
        (64, 1, 9, 1),
    ],
)
def test_rows_at_once_are_what_cores_memory_and_disk_carry(
    tmp_path: Path, cores: int, memory: int, free: int, rows: int
) -> None:
    found = rows_at_once(settings(tmp_path), 10 * GB, cores=cores, memory=memory * GB, free=free * GB)
    assert found == rows
    assert rows_at_once(settings(tmp_path, parallel=4), 10 * GB, cores=cores, memory=memory * GB, free=free * GB) == 4


def test_the_images_of_a_row_are_built_together(tmp_path: Path) -> None:
    def names(**chosen: Any) -> list[list[str]]:
        found = batches([CPU, CUDA, TORCH], _same, settings(tmp_path, **chosen), GB)
        return [[spec.id for spec in batch] for batch in found]

    assert names(parallel=1) == [["python:3.11"], ["cuda:12.1", "torch:2.3.1-cuda12.1"]]
    assert names(parallel=2) == [["python:3.11", "cuda:12.1", "torch:2.3.1-cuda12.1"]]
    assert names(builder="far") == names(parallel=2)
    assert names(builder="far", parallel=1) == names(parallel=1)


def test_two_families_with_the_same_version_are_two_rows(tmp_path: Path) -> None:
    other = replace(CPU, family="else", id="else:1")
    assert len(batches([CPU, other], _same, settings(tmp_path, parallel=1), GB)) == 2


def _same(spec: ImageSpec) -> ImageSpec:
    return spec


def test_memory_is_told_by_this_machine() -> None:
    assert 10_000_000 < available_memory() < 10**15


@pytest.mark.parametrize("value", ["-1", "many", "1.5", "[2]"])
def test_a_setting_that_is_no_number_of_rows_is_refused(value: str) -> None:
    configured = type(
        "C", (), {"parallel": value, "cache": "c", "index_url": "", "registry": "r", "builder": "", "out": ""}
    )
    configured.cache_to = configured.cache_from = configured.source = configured.wheels = configured.ca_bundle = ""  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"images\.parallel: expected a number of rows, got"):
        load_settings(ROOT, configured, {}, {})


def test_rows_are_built_one_after_the_other_and_one_that_fails_does_not_keep_the_others_from_it(
    tasks: Tasks, docker: Docker
) -> None:
    row = '[[image]]\nversion = "2"\nbase = "python:3.11"\npython = "3.11"\n'
    tasks.repository.family(versions=VERSIONS + row)
    docker.answer(registry={"python:3.11": DIGEST}, bake="app_1")
    done = tasks.run("build", "fam", "--all", INVOKE_IMAGES_PARALLEL="1")
    assert (done.returncode, len(docker.calls("buildx", "bake"))) == (3, 2)
    assert done.stderr.splitlines()[-1].startswith("app:1: the build failed")
    assert load_record(tasks.out, "app:2")
    assert load_record(tasks.out, "app:1") is None

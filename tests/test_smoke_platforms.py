"""The smoke test of an image of several platforms: each that the engine runs, and a word about the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.build import carry_out
from scripts.build.layout import load_record as load_build
from scripts.build.plan import plan_builds
from scripts.build.settings import Settings
from scripts.recipe.matrix import expand_all, load_families
from scripts.smoke.platforms import why_not_run
from scripts.smoke.record import load_record
from tests.conftest import DIGEST, GOOD_ENGINE
from tests.test_index import AMD64, ARM64, TWO
from tests.toy_checks import NAME, Toy, make_toy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Docker, Repository

HANDLER = "enabled\ninterpreter /usr/bin/qemu-aarch64-static\nflags: F\n"


@pytest.fixture
def handlers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "handlers"
    folder.mkdir()
    monkeypatch.setattr("scripts.smoke.platforms.HANDLERS", folder)
    return folder


@pytest.fixture
def toy(repository: Repository, docker: Docker, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A repository with an image of two platforms, which is built."""
    monkeypatch.setattr("scripts.build.build.SPACE", {False: 0, True: 0})
    made = make_toy(repository, monkeypatch)
    repository.family(versions=TWO)
    docker.answer(registry={"python:3.11": DIGEST})
    root = repository.root
    settings = Settings(root=root, out=root / "out", cache=cache, registry="r", progress="plain")
    carry_out(plan_builds(expand_all(load_families(root)), settings), settings, lambda _: None)
    return made


def seen(toy: Toy) -> dict[str, str]:
    """Platform to the name under which it was tested."""
    build = load_build(toy.out, "app:1")
    assert build is not None
    found = {image.platform: load_record(toy.out, image.digest) for image in build.images}
    return {platform: record.reference for platform, record in found.items() if record}


def test_what_the_engine_runs_is_its_own_platform_and_what_is_emulated(handlers: Path, docker: Docker) -> None:
    assert why_not_run(AMD64) == ""
    assert why_not_run(ARM64) == "the engine here is of linux/amd64, and does not emulate linux/arm64"
    (handlers / "qemu-aarch64").write_text("disabled\n")
    assert why_not_run(ARM64)
    (handlers / "qemu-aarch64").write_text(HANDLER)
    assert why_not_run(ARM64) == ""
    # What this machine's kernel does says nothing of an engine elsewhere.
    client: Any = GOOD_ENGINE["ClientInfo"]
    docker.answer(info={**GOOD_ENGINE, "ClientInfo": {**client, "Context": "far"}})
    assert why_not_run(ARM64)


def test_each_platform_that_runs_is_tested_and_the_others_are_said(
    handlers: Path, toy: Toy, capfd: pytest.CaptureFixture[str]
) -> None:
    assert toy.smoke("app:1") == 0
    assert seen(toy) == {AMD64: f"{NAME}.linux-amd64"}
    out, err = capfd.readouterr()
    assert "PASS: 2 PASS, 1 SKIP" in out
    assert f"app:1 (linux/arm64): NOT TESTED: {why_not_run(ARM64)}\n" in err
    (handlers / "qemu-aarch64").write_text(HANDLER)
    assert toy.smoke("app:1") == 0
    assert seen(toy) == {AMD64: f"{NAME}.linux-amd64", ARM64: f"{NAME}.linux-arm64"}
    assert "app:1 (linux/amd64): sha256:" in capfd.readouterr().err


def test_one_platform_may_be_asked_for(handlers: Path, toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    assert toy.smoke("app:1", "--platform", ARM64) == 5
    assert "NOT TESTED: app:1: no platform of it runs here" in capfd.readouterr().err
    assert toy.smoke("app:1", "--platform", "linux/s390x") == 2
    complaint = 'app:1 has no platform "linux/s390x"; it has linux/amd64, linux/arm64'
    assert complaint in capfd.readouterr().err
    (handlers / "qemu-aarch64").write_text(HANDLER)
    assert toy.smoke("app:1", "--platform", ARM64) == 0
    assert list(seen(toy)) == [ARM64]

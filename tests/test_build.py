"""Carrying out plans against a docker that only pretends: what is asked of it, and what is left when it fails."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build import baking
from scripts.build import build as builds
from scripts.build.baking import run_foreground
from scripts.build.bases import STAND_INS, StandIn
from scripts.build.build import build_images, carry_out, prepare, provide_bases, refuse_stale_lock
from scripts.build.layout import directory_of, load_record
from scripts.build.plan import Action, Step, plan_builds
from scripts.build.settings import Settings
from scripts.errors import BuildError, UsageError
from scripts.recipe.lock import Pin
from scripts.recipe.matrix import expand_all, load_families

from .conftest import DIGEST, VERSIONS

if TYPE_CHECKING:
    from .conftest import Docker, Repository

STAND_IN = next(iter(STAND_INS))


@pytest.fixture
def settings(repository: Repository, docker: Docker, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A repository with one image, whose base is in its registry, and disk enough for it."""
    repository.family()
    docker.answer(registry={"python:3.11": DIGEST})
    monkeypatch.setattr(builds, "SPACE", {False: 0, True: 0})
    return Settings(root=repository.root, out=repository.root / "out", cache=cache, registry="r", progress="plain")


def planned(settings: Settings) -> tuple[Step, ...]:
    specs = expand_all(load_families(settings.root))
    return plan_builds(specs, settings)


def built(settings: Settings) -> list[str]:
    """Carry out the plan; what was said."""
    said: list[str] = []
    carry_out(planned(settings), settings, said.append)
    return said


def refusal(settings: Settings) -> str:
    with pytest.raises(BuildError) as caught:
        built(settings)
    assert caught.value.exit_code == 3
    return str(caught.value)


def test_a_plan_is_built_to_a_layout_with_its_record(settings: Settings) -> None:
    (step,) = planned(settings)
    assert built(settings) == ["app:1: building: never built here"]
    record = load_record(settings.out, "app:1")
    assert record is not None
    assert (record.id, record.base, record.stand_in, record.recipe) == ("app:1", DIGEST, False, step.recipe.parts)
    assert record.size > 0
    assert [path.name for path in settings.out.iterdir()] == ["app_1"]


def test_what_was_built_is_not_built_again(settings: Settings, docker: Docker) -> None:
    built(settings)
    (said,) = built(settings)
    assert said.startswith("app:1: nothing to build: recipe, lock and base are those of sha256:")
    assert len(docker.calls("buildx", "bake")) == 1
    assert len(built(replace(settings, force="forced: --force"))) == 1
    assert len(docker.calls("buildx", "bake")) == 2


def test_bake_is_told_the_definition_on_stdin_and_the_options(settings: Settings, docker: Docker) -> None:
    built(replace(settings, builder="kube", overrides=("args.X=1", "pull=true"), no_cache=True))
    (words,) = docker.calls("buildx", "bake")
    metadata = words.pop(words.index("--metadata-file") + 1)
    assert not Path(metadata).exists()
    assert words == [
        "buildx", "bake", "--file", "-", "--metadata-file", "--progress=plain", "--builder", "kube",
        "--set", "app_1.args.X=1", "--set", "app_1.pull=true",
    ]  # fmt: skip
    (target,) = docker.baked["target"].values()
    assert target["no-cache"] is True
    assert target["contexts"]["python:3.11"] == f"docker-image://python:3.11@{DIGEST}"


def test_a_failed_step_leaves_the_build_before_as_it_was(settings: Settings, docker: Docker) -> None:
    built(settings)
    before = load_record(settings.out, "app:1")
    docker.answer(bake="fail")
    assert refusal(replace(settings, force="forced")) == (
        "app:1: the build failed; the failing step and the end of its output are above"
    )
    assert load_record(settings.out, "app:1") == before
    assert [path.name for path in settings.out.iterdir()] == ["app_1"]


def test_a_failed_build_on_a_full_disk_says_how_much_is_left(
    settings: Settings, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.answer(bake="fail")
    monkeypatch.setattr(baking, "free_space", lambda _: 120_000_000)
    assert refusal(settings) == (
        f"app:1: the build failed (no space left: 0.1 GB free in {settings.out}); "
        "the failing step and the end of its output are above"
    )


def test_too_little_space_is_said_before_anything_is_built(
    settings: Settings, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "SPACE", {False: 10**18})
    assert refusal(settings).startswith(
        f"no space for the build: app:1 needs about 1000000000.0 GB in {settings.out}, "
    )
    assert docker.calls("buildx", "bake") == []
    assert not settings.out.exists()


def test_a_layout_that_is_not_what_buildkit_says_it_made_does_not_count(settings: Settings, docker: Docker) -> None:
    docker.answer(told=DIGEST)
    assert refusal(settings).endswith(f", BuildKit made {DIGEST}")
    assert load_record(settings.out, "app:1") is None
    assert list(settings.out.iterdir()) == []


def test_an_image_that_cannot_be_built_stops_all_before_any_is(
    settings: Settings, docker: Docker, repository: Repository
) -> None:
    repository.family("other", VERSIONS.replace('"app"', '"other"').replace("python:3.11", "python:none"))
    docker.answer(complaint="no such host")
    assert refusal(settings) == "other:1: python:none: base not resolvable, and no stand-in: no such host"
    assert docker.calls("buildx", "bake") == []


def test_a_stand_in_is_announced_once_and_its_digest_is_part_of_the_recipe(
    settings: Settings, docker: Docker, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = StandIn(reference=STAND_IN, layout=settings.out / "layout", digest=DIGEST)
    monkeypatch.setattr("scripts.build.sources.make_stand_in", lambda *_, **__: made)
    docker.answer(complaint="no such host")
    for name in ("fam", "other"):
        repository.family(name, VERSIONS.replace('"app"', f'"{name}"').replace("python:3.11", STAND_IN))
    said: list[str] = []
    steps = provide_bases(planned(settings), settings, said.append)
    assert said == [f"{STAND_IN}: USING A STAND-IN BASE: the real one could not be resolved: no such host"]
    assert [(step.base.digest, step.recipe.parts["base"], step.action) for step in steps] == [
        (DIGEST, DIGEST, Action.BUILD)
    ] * 2


def test_the_engines_copy_of_a_base_is_announced(settings: Settings, docker: Docker) -> None:
    docker.answer(registry={}, images={"python:3.11": DIGEST}, complaint="no such host")
    assert built(settings)[0] == ("python:3.11: using the engine's copy: its registry did not answer: no such host")


def test_wheels_of_torch_from_a_folder_are_announced_and_take_the_place_of_the_index(
    settings: Settings, docker: Docker, repository: Repository, tmp_path: Path
) -> None:
    versions = VERSIONS.replace("lock = false\n", 'torch_index = "http://127.0.0.1:9"\n[layers]\nall = ["*"]\n')
    directory = repository.family(
        versions=versions + 'packages = { torch = "2.13.0" }\n',
        dockerfile="ARG ROW=1\nFROM python:3.11 AS app\nCOPY fam/locks/${ROW}/all.txt /lock/\n",
    )
    (directory / "locks" / "1").mkdir(parents=True)
    (directory / "locks" / "1" / "all.txt").write_text("torch==2.13.0+cpu\n")
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    said = built(replace(settings, wheels=(str(tmp_path),)))
    line = f"app:1: wheels of torch from {tmp_path}: http://127.0.0.1:9 can't be reached (connection failed)"
    assert line in said
    (target,) = docker.baked["target"].values()
    assert (target["contexts"]["wheels"], target["args"]["TORCH_INDEX"]) == (str(tmp_path), "")


def test_a_lock_with_another_version_than_the_tag_promises_is_refused(settings: Settings) -> None:
    (step,) = planned(settings)
    spec = replace(step.spec, packages={"torch": "2.13.0", "torchvision": "0.28.0"})
    refuse_stale_lock(spec, [])
    refuse_stale_lock(spec, [Pin(name="torch", version="2.13.0+cpu"), Pin(name="torchvision", version="0.28.0")])
    with pytest.raises(UsageError) as caught:
        refuse_stale_lock(spec, [Pin(name="torch", version="2.12.0+cpu")])
    assert str(caught.value) == (
        "fam/locks/1: torch 2.13.0 is asked for, 2.12.0 is locked, torchvision 0.28.0 is asked for, none is locked: "
        "run `invoke lock fam --version 1`"
    )


def test_a_build_is_given_the_whole_blobs_of_the_one_before_and_keeps_its_own(
    settings: Settings,
) -> None:
    built(settings)
    blobs = settings.out / "app_1" / "blobs" / "sha256"
    first = {path.name: path.stat().st_ino for path in blobs.iterdir()}
    (layer,) = [path for path in blobs.iterdir() if path.read_bytes() == b"layer"]
    built(replace(settings, force="again", source="https://example.com/other"))
    assert layer.stat().st_ino == first[layer.name]
    layer.write_bytes(b"damaged")
    built(replace(settings, force="again"))
    assert layer.read_bytes() == b"layer"
    assert len(list(blobs.iterdir())) == 3  # the manifest, the config and the layer, and none of a build before


def test_an_interrupted_command_has_ended_when_the_interruption_goes_on(tmp_path: Path) -> None:
    program = (
        "import pathlib, signal, sys, time\n"
        "def stop(*_): time.sleep(0.3); pathlib.Path('end').touch(); sys.exit(1)\n"
        "signal.signal(signal.SIGINT, stop); pathlib.Path('start').touch(); time.sleep(60)\n"
    )

    def interrupt() -> None:
        while not (tmp_path / "start").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_foreground([sys.executable, "-IS", "-c", program], "", cwd=tmp_path, environment={})
    thread.join()
    assert (tmp_path / "end").exists()


def test_a_command_gets_the_text_and_the_environment_and_its_exit_code_is_kept(tmp_path: Path) -> None:
    program = "import os, sys; open('got', 'w').write(sys.stdin.read() + os.environ['X']); sys.exit(7)"
    command = [sys.executable, "-IS", "-c", program]
    assert run_foreground(command, "text ", cwd=tmp_path, environment={"X": "x"}) == 7
    assert (tmp_path / "got").read_text() == "text x"


def test_the_parts_of_a_build_are_made_without_building(settings: Settings, docker: Docker, tmp_path: Path) -> None:
    found: tuple[Any, ...] = prepare(
        planned(settings), replace(settings, index_url="http://127.0.0.1:9"), tmp_path, pytest.fail
    )
    (build,) = found
    assert (build.output, build.commit, build.args) == (directory_of(settings.out, "app:1"), "", {})
    assert [secret.id for secret in build.secrets] == ["uv-config"]
    assert docker.calls("buildx", "bake") == []


def test_a_build_of_several_images_is_one_run_of_bake(
    settings: Settings, docker: Docker, repository: Repository, tmp_path: Path
) -> None:
    repository.family("other", VERSIONS.replace('"app"', '"other"'))
    steps = planned(settings)
    made = prepare(steps, settings, tmp_path, pytest.fail)
    records = build_images(made, {step.spec.id: step.recipe.parts for step in steps}, settings)
    assert [record.id for record in records] == ["app:1", "other:1"]
    assert len(docker.calls("buildx", "bake")) == 1
    assert json.loads((settings.out / "other_1" / "build.json").read_text())["id"] == "other:1"

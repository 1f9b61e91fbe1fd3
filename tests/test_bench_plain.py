"""The plain image of the benchmark: that it has just what ours has."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.errors import UsageError
from scripts.recipe.dockerfile import load_dockerfile
from scripts.recipe.inputs import context_files, is_lock
from scripts.recipe.lock import Pin, parse_layer
from scripts.recipe.matrix import expand_all, load_families
from tests.bench.plain import BUMPS, FILES, PACKAGES, PROGRAMS, STEPS, bumped, render_requirements, write_context
from tests.bench.sides import HERE, copy_checkout

if TYPE_CHECKING:
    from scripts.recipe.matrix import ImageSpec

ROOT = Path(__file__).resolve().parents[1]
SPECS = {spec.id: spec for spec in expand_all(load_families(ROOT))}
IMAGES = ["python:3.11", "python:3.13", "torch:2.3.1-cuda12.1"]
PLAIN = ["Dockerfile", "Dockerfile.sorted"]


def locked(spec: ImageSpec) -> tuple[Pin, ...]:
    files = context_files(ROOT, spec, load_dockerfile(spec.dockerfile))
    return tuple(pin for path in files if is_lock(ROOT, path) for pin in parse_layer(path.read_text("utf-8")))


def apt_packages(text: str, command: str) -> set[str]:
    found = re.search(rf"{re.escape(command)}((?: | \\\n +)[a-z0-9 \\\n.-]+?)(?: &&|\n\n)", text)
    assert found, f"no {command}"
    return set(found[1].replace("\\", " ").split())


@pytest.mark.parametrize("image", IMAGES)
def test_the_lists_together_are_the_lock_each_distribution_once(image: str) -> None:
    pins = locked(SPECS[image])
    assert len(pins) > 100
    lines = [line for text in render_requirements(pins).values() for line in text.splitlines()]
    assert sorted(line.partition(" ; ")[0] for line in lines) == sorted(f"{pin.name}=={pin.version}" for pin in pins)


def test_a_marker_of_a_pin_is_kept() -> None:
    pins = [Pin(name="torch", version="2", marker="platform_machine == 'x86_64'"), Pin(name="pip", version="1")]
    lists = render_requirements(pins)
    assert (lists["torch"], lists["jupyter"]) == ("torch==2 ; platform_machine == 'x86_64'\n", "pip==1\n")


@pytest.mark.parametrize("family", ["cpu", "cuda"])
def test_the_files_of_ours_are_those_of_the_plain_image(family: str) -> None:
    stage = load_dockerfile(ROOT / family / "Dockerfile").stage("files")
    assert stage
    assert {Path(name).name for name in stage.context_paths} == set(FILES)


def test_each_framework_is_in_its_step() -> None:
    lists = render_requirements(locked(SPECS["python:3.11"]))
    for step, name in (("torch", "torch"), ("tensorflow", "tensorflow-cpu"), ("science", "tqdm"), ("jupyter", "pip")):
        assert re.search(f"^{name}==", lists[step], re.MULTILINE)


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_dockerfile_installs_every_list_and_every_file(name: str) -> None:
    text = (HERE / name).read_text("utf-8")
    assert sorted(re.findall(r"^COPY (\w+)\.txt", text, re.MULTILINE)) == sorted(STEPS)
    assert sorted(re.findall(r"-r /tmp/requirements/(\w+)\.txt", text)) == sorted(STEPS)
    assert all(re.search(rf"^COPY .*\b{re.escape(file)}\b", text, re.MULTILINE) for file in FILES)


def test_the_two_plain_dockerfiles_differ_in_the_order_only() -> None:
    first, second = (
        sorted(line for line in (HERE / name).read_text("utf-8").splitlines() if line and not line.startswith("#"))
        for name in PLAIN
    )
    assert first == second


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("family", ["cpu", "cuda"])
def test_a_plain_dockerfile_has_the_debian_packages_of_ours(name: str, family: str) -> None:
    ours = apt_packages((ROOT / family / "Dockerfile").read_text("utf-8"), "/build/make-system")
    assert ours == set(PACKAGES)
    assert apt_packages((HERE / name).read_text("utf-8"), "--no-install-recommends") == ours


@pytest.mark.parametrize("name", PLAIN)
def test_a_plain_dockerfile_starts_as_ours_does(name: str) -> None:
    ours, plain = ((path).read_text("utf-8") for path in (ROOT / "cpu/Dockerfile", HERE / name))
    for word in ("EXPOSE", "ENTRYPOINT", "CMD"):
        (line,) = re.findall(rf"^{word}.*$", ours, re.MULTILINE)
        assert line in plain.splitlines()


def test_a_bump_moves_one_pin_and_keeps_the_others() -> None:
    pins = locked(SPECS["python:3.11"])
    moved = bumped(pins, BUMPS[0])
    assert {pin for pin in moved if pin not in pins} == {BUMPS[0]}
    assert [pin.name for pin in moved] == [pin.name for pin in pins]


def test_every_bump_is_another_version_than_any_that_is_locked() -> None:
    assert len({pin.version for pin in BUMPS}) == len(BUMPS)
    for image in IMAGES:
        for pin in BUMPS:
            bumped(locked(SPECS[image]), pin)


def test_a_bump_of_what_the_lock_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^the lock has no tqdm that could be moved to 4\.67\.1"):
        bumped([Pin(name="numpy", version="2")], BUMPS[0])
    with pytest.raises(UsageError, match=r"^the lock has no tqdm that could be moved to 4\.67\.1"):
        bumped([BUMPS[0]], BUMPS[0])


def test_the_context_has_the_lists_and_the_files_and_programs_can_be_run(tmp_path: Path) -> None:
    write_context(ROOT, locked(SPECS["python:3.11"]), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*FILES, *(f"{step}.txt" for step in STEPS)}
    assert {path.name for path in tmp_path.iterdir() if path.stat().st_mode & 0o100} == set(PROGRAMS)


def test_a_copy_of_the_checkout_has_what_stands_there_and_can_be_changed_alone(tmp_path: Path) -> None:
    checkout, copy = tmp_path / "checkout", tmp_path / "copy"
    checkout.mkdir()
    subprocess.run(["git", "init", "-q", str(checkout)], check=True)
    for name in ("known", "removed", "unknown"):
        (checkout / name).write_text("as it was\n", encoding="utf-8")
    (checkout / "known").chmod(0o755)
    subprocess.run(["git", "-C", str(checkout), "add", "known", "removed"], check=True)
    (checkout / "known").write_text("not committed\n", encoding="utf-8")
    (checkout / "removed").unlink()
    copy_checkout(checkout, copy)
    assert [path.name for path in copy.iterdir()] == ["known"]
    assert (copy / "known").read_text("utf-8") == "not committed\n"
    assert (copy / "known").stat().st_mode & 0o100
    (copy / "known").write_text("", encoding="utf-8")
    assert (checkout / "known").read_text("utf-8") == "not committed\n"

"""Stand-in bases: what is read from apt, what counts as made, and what is left when making one ends early.

mmdebstrap, docker and uv are small programs put first on PATH, so that the process edge is a real one.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from scripts.build import bases, rootfs
from scripts.build.bases import STAND_INS, StandIn, default_cache, find_stand_in, make_stand_in, recipe_hash
from scripts.errors import BuildError

from .test_rootfs import DEB822

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = "python:3.11-slim-bookworm"
CUDA = "nvcr.io/nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04"
DIGEST = "sha256:" + "a" * 64
# The file's name, then what `docker buildx build`, `mmdebstrap` and `uv pip install` leave that the caller reads.
PROGRAMS = {
    "docker": f"""\
for option; do case $option in --output=*) layout=${{option##*dest=}} ;; esac; done
mkdir -p "$layout"
echo '{{"manifests": [{{"digest": "{DIGEST}"}}]}}' >"$layout/index.json"
""",
    "mmdebstrap": """\
for last; do :; done
work=$(dirname "$last")
cp "$last" "$(dirname "$0")/sources"
: >"$work/rootfs.tar"
echo 3.11.2 >"$work/python-version"
""",
    "uv": 'echo "$UV_DEFAULT_INDEX" >"$(dirname "$0")/index"\n',
}


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    for name, script in PROGRAMS.items():
        write_program(directory, name, script)
    keyring = tmp_path / "keyring.gpg"
    keyring.touch()
    monkeypatch.setattr(rootfs, "KEYRING", str(keyring))
    apt = tmp_path / "system" / "etc" / "apt"
    (apt / "sources.list.d").mkdir(parents=True)
    (apt / "sources.list.d" / "debian.sources").write_text(DEB822)
    monkeypatch.setattr(rootfs, "SYSTEM", tmp_path / "system")
    monkeypatch.setenv("PATH", f"{directory}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "executable", str(directory / "python"))
    return directory


def write_program(directory: Path, name: str, script: str) -> None:
    path = directory / name
    path.write_text(f'#!/bin/sh\necho "{name} $*" >>"$(dirname "$0")/calls"\n{script}')
    path.chmod(0o755)


def calls(programs: Path, name: str) -> list[str]:
    return [line for line in (programs / "calls").read_text().splitlines() if line.startswith(f"{name} ")]


def test_an_unknown_reference_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    assert find_stand_in("python:2.7", tmp_path) is None
    with pytest.raises(BuildError) as raised:
        make_stand_in("python:2.7", tmp_path)
    assert str(raised.value) == (
        "python:2.7: no stand-in base can be made for this reference; there are stand-ins for\n"
        "  python:3.11-slim-bookworm\n"
        "  python:3.13-slim-trixie\n"
        "  nvcr.io/nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04"
    )


def test_a_stand_in_is_made_once_and_found_afterwards(programs: Path, tmp_path: Path) -> None:
    cache, said = tmp_path / "cache", list[str]()
    assert find_stand_in(PYTHON, cache) is None
    made = make_stand_in(PYTHON, cache, say=said.append)
    layout = cache / f"python_3.11-slim-bookworm-{recipe_hash(STAND_INS[PYTHON])}"
    assert made == StandIn(reference=PYTHON, layout=layout, digest=DIGEST)
    assert find_stand_in(PYTHON, cache) == made
    assert make_stand_in(PYTHON, cache) == made
    assert sorted(path.name for path in cache.iterdir()) == [layout.name, f"{layout.name}.lock"]
    assert said == [
        f"stand-in {PYTHON}: installing Debian bookworm with python3.11 and what it needs",
        f"stand-in {PYTHON}: building the image with docker buildx",
        f"stand-in {PYTHON}: made in {said[-1].split()[4]} s: {layout}",
    ]
    assert len(calls(programs, "docker")) == len(calls(programs, "mmdebstrap")) == 1


def test_the_image_is_told_the_python_that_was_measured_and_apt_the_mirror(programs: Path, tmp_path: Path) -> None:
    make_stand_in(PYTHON, tmp_path / "cache", builder="far", say=lambda _: None)
    (build,) = calls(programs, "docker")
    assert "--builder=far --build-arg=PYTHON=3.11 --build-arg=PIP_PACKAGES=pip setuptools wheel" in build
    assert "--build-arg=PYTHON_VERSION=3.11.2 --build-arg=SOURCE_DATE_EPOCH=1767225600" in build
    assert (
        "URIs: http://mirror.example/debian-security\nSuites: bookworm-security" in (programs / "sources").read_text()
    )


def test_progress_goes_to_stderr(programs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_stand_in(PYTHON, tmp_path / "cache")
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 3)
    assert programs.is_dir()


@pytest.mark.parametrize("failing", ["mmdebstrap", "docker"])
def test_a_failure_shows_its_last_lines_and_leaves_nothing(failing: str, programs: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    write_program(programs, failing, "seq 20; echo broken >&2; exit 3\n")
    with pytest.raises(BuildError) as raised:
        make_stand_in(PYTHON, cache, say=lambda _: None)
    tail = "\n".join(f"  {line}" for line in (*range(7, 21), "broken"))
    assert str(raised.value) == f"`{failing}` ended with exit code 3; its last lines:\n{tail}"
    assert find_stand_in(PYTHON, cache) is None
    assert [path.suffix for path in cache.iterdir()] == [".lock"]
    write_program(programs, failing, PROGRAMS[failing])
    assert make_stand_in(PYTHON, cache, say=lambda _: None).digest == DIGEST


def test_an_interrupt_lets_the_program_clean_up_and_leaves_nothing(programs: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    script = 'trap \'touch "$(dirname "$0")/cleaned"; kill $!; exit 1\' TERM; kill -INT $PPID; sleep 30 & wait\n'
    write_program(programs, "mmdebstrap", script)
    with pytest.raises(KeyboardInterrupt):
        make_stand_in(PYTHON, cache, say=lambda _: None)
    assert (programs / "cleaned").exists()
    assert find_stand_in(PYTHON, cache) is None
    assert [path.suffix for path in cache.iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_cleared_away(programs: Path, tmp_path: Path) -> None:
    name = f"python_3.11-slim-bookworm-{recipe_hash(STAND_INS[PYTHON])}"
    for leftover in (f"{name}.part/context", name):
        (tmp_path / leftover).mkdir(parents=True)
        (tmp_path / leftover / "half").touch()
    made = make_stand_in(PYTHON, tmp_path, say=lambda _: None)
    assert [path.name for path in made.layout.iterdir()] == ["index.json"]
    assert len(calls(programs, "docker")) == 1


def test_two_at_once_make_it_once(programs: Path, tmp_path: Path) -> None:
    write_program(programs, "mmdebstrap", PROGRAMS["mmdebstrap"] + "sleep 1\n")
    said = list[str]()
    threads = [threading.Thread(target=make_stand_in, args=(PYTHON, tmp_path / "cache"), kwargs={"say": said.append})]
    threads.append(
        threading.Thread(target=make_stand_in, args=(PYTHON, tmp_path / "cache"), kwargs={"say": said.append})
    )
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said.count(f"stand-in {PYTHON}: another process is making it; waiting") == 1
    assert len(calls(programs, "docker")) == len(calls(programs, "mmdebstrap")) == 1


def test_wheels_come_from_the_index_that_pip_is_set_to(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.example/simple")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    make_stand_in(CUDA, tmp_path / "cache", say=lambda _: None)
    assert (programs / "index").read_text() == "http://index.example/simple\n"
    assert "--require-hashes" in calls(programs, "uv")[0]


def test_cuda_is_refused_on_another_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(BuildError) as raised:
        make_stand_in(CUDA, tmp_path)
    assert str(raised.value) == f"{CUDA}: the stand-in is for x86_64 only, and this machine is aarch64"


def test_missing_mmdebstrap_is_a_sentence_unless_it_can_be_installed(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (programs / "mmdebstrap").unlink()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(BuildError) as raised:
        make_stand_in(PYTHON, tmp_path / "cache", say=lambda _: None)
    assert str(raised.value) == (
        "mmdebstrap or Debian's archive keyring is missing, needed to make a stand-in base: "
        "run `apt-get install mmdebstrap debian-archive-keyring` as root on Debian or Ubuntu"
    )


def test_root_gets_mmdebstrap_installed(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "keyring.gpg").unlink()
    (tmp_path / "system" / "usr" / "sbin").mkdir(parents=True)
    write_program(programs, "apt-get", "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    said = list[str]()
    make_stand_in(PYTHON, tmp_path / "cache", say=said.append)
    assert (
        said[0] == f"stand-in {PYTHON}: installing mmdebstrap and debian-archive-keyring on this machine with apt-get"
    )
    (update, install) = calls(programs, "apt-get")
    assert update == "apt-get update -qq"
    assert install.endswith(" mmdebstrap debian-archive-keyring")


def test_the_recipe_hash_follows_packages_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = STAND_INS[PYTHON]
    before = recipe_hash(recipe)
    assert recipe_hash(dataclasses.replace(recipe, packages=(*recipe.packages, "git"))) != before
    copied = tmp_path / "standin"
    shutil.copytree(bases.STAND_IN, copied)
    monkeypatch.setattr(bases, "STAND_IN", copied)
    assert recipe_hash(recipe) == before
    with (copied / "python" / "Dockerfile").open("a") as file:
        file.write("# changed\n")
    assert recipe_hash(recipe) != before


def test_the_cache_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "images" / "bases"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "images" / "bases"


def test_every_stand_in_is_labelled() -> None:
    for recipe in STAND_INS.values():
        dockerfile = (bases.STAND_IN / recipe.directory / "Dockerfile").read_text()
        assert "\nLABEL ai.vessl.images.base=stand-in\n" in dockerfile, recipe.reference


def test_digests_are_read_from_the_index(tmp_path: Path) -> None:
    layout = tmp_path / f"python_3.11-slim-bookworm-{recipe_hash(STAND_INS[PYTHON])}"
    layout.mkdir()
    (layout / "index.json").write_text(json.dumps({"manifests": [{"digest": DIGEST}]}))
    assert find_stand_in(PYTHON, tmp_path) == StandIn(reference=PYTHON, layout=layout, digest=DIGEST)

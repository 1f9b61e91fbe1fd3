# /// script
# dependencies = ["nox>=2025.2.9", "dockerfile-parse>=2", "pydantic>=2"]
# ///
"""Nox sessions: everything that is checked. ``./scripts/nox`` runs them all, in this order.

Sessions share the maintainers' environment of the wrapper where there is one; a plain ``nox`` makes one a session.
What this file itself imports is named above (PEP 723): a plain ``nox`` makes an environment of it and starts again there.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from scripts.recipe.matrix import ImageSpec

ROOT = Path(__file__).resolve().parent
# The `nox` script, unlike `python -m nox`, does not put the directory of the noxfile on sys.path.
sys.path.insert(0, str(ROOT))

from scripts.errors import ImagesError  # noqa: E402 - after the path is set
from scripts.recipe.family import State  # noqa: E402
from scripts.recipe.matrix import expand_all, load_families  # noqa: E402

try:
    IMAGES = expand_all(load_families(ROOT))
except ImagesError as error:
    sys.exit(str(error))  # no session can be named before the version manifests are mended

nox.needs_version = ">=2025.2.9"
# What `integration` builds is smoke tested with the rest; for all others: nox -s smoke.
nox.options.sessions = [
    "lint",
    "types",
    "tests",
    "site",
    "integration",
    "smoke(python:3.11)",
    "smoke(cuda:12.1)",
    "release",
    "faults",
]
nox.options.error_on_missing_interpreters = True

FAULTS = "tests/integration/test_planted_faults.py"
RELEASE = "tests/integration/test_release_real.py"
PYTHON = ["noxfile.py", "tasks.py", "scripts", "tests"]
SHELL_SHEBANGS = ("#!/bin/sh", "#!/bin/bash", "#!/usr/bin/env bash", "# shellcheck shell=")
# The wrapper's environment has everything, at the versions of requirements.txt; see scripts/setup.
SHARED = "IMAGES_SETUP" in os.environ


def _install(session: nox.Session) -> None:
    if not SHARED:
        session.install("--quiet", "--require-hashes", "--requirement", "requirements.txt")


def _shell_scripts() -> list[str]:
    found = []
    for top in ("scripts", ".ci"):
        for path in sorted((ROOT / top).rglob("*")):
            if path.is_file() and path.suffix in {"", ".sh"}:
                start = path.read_text(encoding="utf-8", errors="replace")[:60]
                if start.startswith(SHELL_SHEBANGS):
                    found.append(path.relative_to(ROOT).as_posix())
    return found


def _need_ssh_client(session: nox.Session) -> None:
    from scripts.smoke.tools import require_ssh_client

    try:
        require_ssh_client(may_install=SHARED, say=session.log)
    except ImagesError as error:
        session.error(str(error))


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def lint(session: nox.Session) -> None:
    """Ruff on Python, hadolint on Dockerfiles, shellcheck on shell scripts; schema and safety of the workflows."""
    _install(session)
    session.run("ruff", "check", *PYTHON)
    session.run("ruff", "format", "--check", "--diff", *PYTHON)
    session.run(
        "hadolint",
        *(
            path.relative_to(ROOT).as_posix()
            for path in sorted(ROOT.glob("*/**/*Dockerfile*"))
            if ".venv" not in path.parts and ".nox" not in path.parts and "out" not in path.parts
        ),
    )
    session.run("shellcheck", "--external-sources", *_shell_scripts())
    workflows = [path.relative_to(ROOT).as_posix() for path in sorted(ROOT.glob(".github/workflows/*.yml"))]
    session.run("check-jsonschema", "--quiet", "--builtin-schema", "vendor.github-workflows", *workflows)
    # Pins by digest, least permissions, no expression inside a command, and what else is known to go wrong.
    session.run("zizmor", "--quiet", "--offline", "--no-progress", "--persona", "pedantic", *workflows)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def types(session: nox.Session) -> None:
    """Mypy, strict, on everything."""
    _install(session)
    session.run("mypy", *PYTHON)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def tests(session: nox.Session) -> None:
    """Unit tests with branch coverage; no engine."""
    _install(session)
    _need_ssh_client(session)
    session.run("pytest", "-n", "2", "-m", "not engine", "--cov", "--cov-branch", "--cov-report=term", *session.posargs)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def site(session: nox.Session) -> None:
    """The catalogue in a real browser (Debian's Chromium), made from a real registry; screenshots are left in out/."""
    _install(session)
    session.run("pytest", "-n", "2", "--dist", "loadfile", "tests/browser", *session.posargs)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def integration(session: nox.Session) -> None:
    """Build the CPU and the CUDA image on a real engine and try them; makes the stand-in bases where needed."""
    _install(session)
    _need_ssh_client(session)
    session.run("invoke", "build", "cpu", "--version", "3.11")
    session.run("invoke", "build", "cuda", "--version", "12.1", "--stage", "cuda")
    session.run("pytest", "-n", "2", "-m", "engine", "tests/integration", *_ignoring(FAULTS, RELEASE), *session.posargs)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
@nox.parametrize(
    "image",
    [
        nox.param(spec, id=spec.id, tags=[spec.family, str(spec.state), *(["gpu"] if spec.gpu else [])])
        for spec in IMAGES
    ],
)
def smoke(session: nox.Session, image: ImageSpec) -> None:
    """Test an image: what its tag says is what is inside. After --: --again, --allow-missing, --gpu, --only, --help."""
    if image.state is not State.ACTIVE and not _asked_for(image):
        session.skip(f'{image.state} since {image.since}: {image.reason} (to test it: nox -s "smoke({image.id})")')
    _install(session)
    _need_ssh_client(session)
    word = Path(session.create_tmp(), "outcome")
    word.unlink(missing_ok=True)
    session.run(
        *("python", "-m", "scripts.smoke", image.id, *session.posargs),
        env={"IMAGES_SMOKE_OUTCOME": str(word)},
        stderr=None,  # nox would mix it into stdout, which is for results
        interrupt_timeout=20,  # seconds in which it removes its containers
        terminate_timeout=20,
    )
    if word.exists() and word.read_text(encoding="utf-8") == "NOT TESTED":
        session.skip("NOT TESTED: there is no such image, and --allow-missing was given")


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def release(session: nox.Session) -> None:
    """Release the images that were tested into a registry on this machine, and pull them again."""
    _install(session)
    _need_ssh_client(session)
    session.run("pytest", "-m", "engine", RELEASE, *session.posargs)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def reproduce(session: nox.Session) -> None:
    """Build an image twice without cache and compare. After --: REPO:TAG (python:3.11), --cold, --keep."""
    _install(session)
    session.run("python", "-m", "scripts.contents.reproduce", *session.posargs)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def faults(session: nox.Session) -> None:
    """Plant faults in images that were built, and see each caught by the smoke check that should."""
    _install(session)
    _need_ssh_client(session)
    session.run("pytest", "-m", "engine", FAULTS, *session.posargs)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def bench(session: nox.Session) -> None:
    """Compare a plain Dockerfile with ours, on this machine (root). After --: --figures, --runs, --docs, --help."""
    _install(session)
    session.run("python", "-m", "tests.bench", *session.posargs)


@nox.session(venv_backend="none" if SHARED else None, reuse_venv=True)
def scale(session: nox.Session) -> None:
    """Measure the tasks with 10, 100 and 1,000 images of 50 revisions. After --: --images, --tasks, --release, --help."""
    _install(session)
    session.run("python", "-m", "tests.scale", *session.posargs)


def _ignoring(*paths: str) -> list[str]:
    return [f"--ignore={path}" for path in paths]


def _asked_for(image: ImageSpec) -> bool:
    """Whether an image that is no longer maintained was asked for by its name or its state, not just with all others."""
    words = [*sys.argv[1:], *os.environ.get("NOXSESSION", "").split(",")]
    return f"smoke({image.id})" in words or str(image.state) in words

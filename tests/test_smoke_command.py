"""``python -m scripts.smoke``: which image is tested, what is recorded, and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from scripts.smoke import __main__ as program
from scripts.smoke.record import Outcome, directory_of, load_record
from tests.conftest import GOOD_ENGINE, VERSIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Docker, Repository

ROOT = Path(__file__).resolve().parent.parent
NAME = "quay.io/vessl-ai/app:1"
DIGEST = "sha256:" + "ab" * 32
OTHER = "sha256:" + "cd" * 32
CONFTEST = """
def pytest_addoption(parser):
    for name in ("--image", "--digest", "--layout"):
        parser.addoption(name)
    for name in ("--stand-in", "--gpu"):
        parser.addoption(name, action="store_true")
"""
CHECKS = """
import pytest

def test_digest(claim, request):
    claim(request.config.getoption("--digest"), "sha256:", ok=True)
    claim.fact("workspace start seconds", 1.2)

def test_id(claim, request):
    claim(request.config.getoption("--image"), "app:1")

def test_gpu(claim, request):
    if not request.config.getoption("--gpu"):
        pytest.skip("no GPU in this engine")
    claim(1, 1)
"""


@pytest.fixture
def checks(repository: Repository) -> Path:
    """A repository with one image and checks of its own."""
    root = repository.root
    repository.family()
    shutil.copy(ROOT / "invoke.yaml", root)
    (root / "tests" / "smoke").mkdir(parents=True)
    (root / "tests" / "smoke" / "conftest.py").write_text(CONFTEST)
    path = root / "tests" / "smoke" / "test_toy.py"
    path.write_text(CHECKS)
    return path


@pytest.fixture
def smoke(repository: Repository, docker: Docker, checks: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, on that repository and a docker that only pretends."""
    assert docker.folder.exists()
    assert checks.exists()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("IMAGES_SETUP", raising=False)
    before = signal.getsignal(signal.SIGTERM)

    def run(*arguments: str) -> int:
        try:
            return program.main([*arguments, "--workers", "1"], repository.root)
        finally:
            signal.signal(signal.SIGTERM, before)

    return run


def test_tests_the_image_in_the_engine_and_records_it(
    smoke: Callable[..., int], docker: Docker, repository: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(images={NAME: DIGEST}, labels={"ai.vessl.images.base": "stand-in"})
    assert smoke("app:1") == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[-4:] == [
        "SKIP toy.gpu: no GPU in this engine",
        f"app:1 (in the engine, {DIGEST}): PASS: 2 PASS, 1 SKIP",
        next(line for line in out.splitlines() if line.startswith("all checks took")),
        "built on a stand-in base: what the base itself claims was not tested",
    ]
    assert f"app:1: testing {NAME} (in the engine, {DIGEST})\n" in err
    record = load_record(repository.root / "out", DIGEST)
    assert record is not None
    assert (record.outcome, record.stand_in, record.gpu) == (Outcome.PASS, True, False)
    measured = {result.check: result.measured for result in record.results}
    assert measured == {"toy.digest": DIGEST, "toy.id": "app:1", "toy.gpu": ""}
    junit = ET.parse(directory_of(repository.root / "out", DIGEST) / "junit.xml").getroot()  # noqa: S314
    (suite,) = junit
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
        "app:1",
        "3",
        "0",
        "1",
    )


def test_what_passed_is_not_tested_again(
    smoke: Callable[..., int],
    docker: Docker,
    repository: Repository,
    checks: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    docker.answer(images={NAME: DIGEST})
    assert smoke("app:1") == 0
    first = load_record(repository.root / "out", DIGEST)
    assert first is not None
    capfd.readouterr()
    assert smoke("app:1") == 0
    out, err = capfd.readouterr()
    assert err == f"app:1: {DIGEST} already passed these checks at {first.started} (--again to repeat them)\n"
    assert "app:1 (in the engine" in out

    def runs(*options: str) -> bool:
        assert smoke("app:1", *options) == 0
        return "testing" in capfd.readouterr().err

    assert runs("--again")
    assert not runs()
    checks.write_text(CHECKS + "\n# changed\n")
    assert runs()
    assert not runs()
    docker.answer(images={NAME: OTHER})
    assert runs()
    repository.family(versions=VERSIONS.replace('python = "3.11"', 'python = "3.12"'))
    assert runs()
    docker.answer(info={**GOOD_ENGINE, "Runtimes": {"nvidia": {}}})
    assert runs()
    assert not runs()
    docker.answer(info=GOOD_ENGINE)
    assert not runs()  # what passed with a GPU passes without
    assert runs("--reference", NAME, "--again")


def test_a_failed_check_is_5_and_is_not_remembered_as_passed(
    smoke: Callable[..., int], docker: Docker, checks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(images={NAME: DIGEST})
    checks.write_text("def test_python(claim):\n    claim('3.12.1', '3.11')\n")
    for _ in range(2):
        assert smoke("app:1", "--format", "json") == 5
        out, err = capfd.readouterr()
        assert "testing" in err
        record = json.loads(out)
        assert (record["outcome"], record["results"][0]["reason"]) == ("FAIL", "measured 3.12.1, expected 3.11")


def test_a_selection_is_not_recorded(
    smoke: Callable[..., int], docker: Docker, repository: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(images={NAME: DIGEST})
    assert smoke("app:1", "--only", "digest") == 0
    out, err = capfd.readouterr()
    assert "1 PASS" in out
    assert err.endswith("app:1: only some checks ran, so this is not recorded\n")
    assert load_record(repository.root / "out", DIGEST) is None
    assert smoke("app:1", "--only", "nothing_like_it") == 5
    assert capfd.readouterr().err.endswith("--only nothing_like_it: no check has this in its name\n")


def test_checks_that_cannot_run_are_no_pass(
    smoke: Callable[..., int], docker: Docker, checks: Path, repository: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(images={NAME: DIGEST})
    checks.write_text("import no_such_module\n")
    assert smoke("app:1") == 5
    assert "FAIL toy: ModuleNotFoundError: No module named 'no_such_module'\n" in capfd.readouterr().out
    checks.with_name("conftest.py").write_text("import no_such_module\n")
    assert smoke("app:1") == 5
    out, err = capfd.readouterr()
    assert out == ""
    assert "app:1: the checks could not run (pytest ended with code 4, its output is above)\n" in err
    assert load_record(repository.root / "out", DIGEST) is not None  # the first one, which failed


@pytest.mark.parametrize("options", [(), ("--allow-missing",)])
def test_an_image_that_is_nowhere_is_not_tested(
    smoke: Callable[..., int],
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    word = tmp_path / "word"
    monkeypatch.setenv("IMAGES_SMOKE_OUTCOME", str(word))
    assert smoke("app:1", "--format", "json", *options) == (0 if options else 5)
    out, err = capfd.readouterr()
    reason = f"app:1: neither built here nor to be had as {NAME}: failed to do request: "
    assert err.splitlines()[0] == f"app:1: not built here: pulling {NAME}"
    assert err.splitlines()[1].startswith(f"NOT TESTED: {reason}")
    assert json.loads(out)["outcome"] == word.read_text() == "NOT TESTED"


def test_pulls_what_is_published(
    smoke: Callable[..., int], docker: Docker, repository: Repository, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(registry={NAME: OTHER})
    assert smoke("app:1") == 0
    record = load_record(repository.root / "out", OTHER)
    assert record is not None
    assert record.source == "pulled"
    assert docker.calls("pull") == [["pull", "--quiet", "--platform", "linux/amd64", NAME]]
    docker.answer(registry={NAME: DIGEST})
    assert smoke("app:1", "--pull") == 0
    assert DIGEST in capfd.readouterr().out


def test_tests_another_image_as_this_one(smoke: Callable[..., int], docker: Docker, repository: Repository) -> None:
    docker.answer(registry={"localhost:5000/app:1-r2": OTHER})
    assert smoke("app:1", "--reference", "localhost:5000/app:1-r2") == 0
    record = load_record(repository.root / "out", OTHER)
    assert record is not None
    assert (record.id, record.source, record.reference) == ("app:1", "given", "localhost:5000/app:1-r2")


def test_tests_what_was_built_here(
    smoke: Callable[..., int], docker: Docker, repository: Repository, environment: dict[str, str]
) -> None:
    from tests.conftest import Tasks

    root = repository.root
    space = "\nimport scripts.build.build\nscripts.build.build.SPACE = {False: 0, True: 0}\n"
    (root / "tasks.py").write_text((ROOT / "tasks.py").read_text() + space)
    (root / "scripts" / "image").mkdir(parents=True)
    (root / "scripts" / "image" / "requirements.txt").touch()
    docker.answer(registry={"python:3.11": DIGEST})
    built = Tasks(repository, environment).run("build", "fam", "--format", "json")
    assert built.returncode == 0, built.stderr
    digest = json.loads(built.stdout)[0]["digest"]
    docker.answer(images={})  # as after a restart with another engine: it is loaded again
    assert smoke("app:1") == 0
    record = load_record(root / "out", digest)
    assert record is not None
    assert record.source == "built here"


def test_a_name_that_is_not_known(smoke: Callable[..., int], capfd: pytest.CaptureFixture[str]) -> None:
    assert smoke("ap:1") == 2
    assert capfd.readouterr().err == 'no image "ap:1", did you mean "app:1"?\n'


def test_no_engine(smoke: Callable[..., int], docker: Docker, capfd: pytest.CaptureFixture[str]) -> None:
    docker.answer(info={**GOOD_ENGINE, "ServerVersion": "", "ServerErrors": ["Cannot connect to the Docker daemon"]})
    assert smoke("app:1") == 3
    assert capfd.readouterr().err.startswith("the Docker engine is not running (systemctl start docker")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(
    docker: Docker, checks: Path, repository: Repository, environment: dict[str, str], number: signal.Signals
) -> None:
    docker.answer(images={NAME: DIGEST})
    started = repository.root / "started"
    checks.write_text(
        f"import pathlib, time\ndef test_long(claim):\n    pathlib.Path({str(started)!r}).touch()\n    time.sleep(60)\n"
    )
    code = f"import pathlib, sys; from scripts.smoke.__main__ import main; sys.exit(main(['app:1', '--workers', '1'], pathlib.Path({str(repository.root)!r})))"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    while not started.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (128 + number, ""), err
    assert err.endswith("interrupted: nothing is recorded\n")
    assert "Traceback" not in err
    assert load_record(repository.root / "out", DIGEST) is None


def test_options_are_the_nox_sessions_own() -> None:
    options = program.parse_options(["app:1", "--gpu", "--workers", "4"])
    assert (options.id, options.gpu, options.workers, options.again) == ("app:1", True, 4, False)
    with pytest.raises(SystemExit) as ended:
        program.parse_options(["app:1", "--agan"])
    assert ended.value.code == 2

"""``python -m scripts.smoke``: how it ends where something fails, is missing, is mistyped or is interrupted."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from scripts.smoke import __main__ as program
from scripts.smoke.checks import ENGINE_LOST
from scripts.smoke.record import load_record
from tests.conftest import GOOD_ENGINE
from tests.toy_checks import CONFTEST, DIGEST, NAME, Toy, make_toy

if TYPE_CHECKING:
    from tests.conftest import Docker, Repository


@pytest.fixture
def toy(repository: Repository, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> Toy:
    assert docker.folder.exists()
    return make_toy(repository, monkeypatch)


def test_a_failed_check_is_5_and_is_not_remembered_as_passed(
    toy: Toy, docker: Docker, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(images={NAME: DIGEST})
    toy.checks.write_text("def test_python(claim):\n    claim('3.12.1', '3.11')\n")
    for _ in range(2):
        assert toy.smoke("app:1", "--format", "json") == 5
        out, err = capfd.readouterr()
        assert "testing" in err
        record = json.loads(out)
        assert (record["outcome"], record["results"][0]["reason"]) == ("FAIL", "measured 3.12.1, expected 3.11")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "toy.digset"], '--only: no check "toy.digset", did you mean "toy.digest"?\n'),
        (["--only", "toy.id,"], '--only: no check ""; known: toy\n'),
        (["--only", ""], '--only: no check ""; known: toy\n'),
        (["--reference", ""], f"--reference: expected an image such as {NAME}, got ''\n"),
        (["--reference", "  "], f"--reference: expected an image such as {NAME}, got '  '\n"),
    ],
)
def test_options_that_name_nothing(
    toy: Toy, docker: Docker, options: list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(images={NAME: DIGEST})
    assert toy.smoke("app:1", *options) == 2
    assert capfd.readouterr() == ("", said)


def test_an_engine_that_goes_away_is_no_fault_of_the_image(
    toy: Toy, docker: Docker, capfd: pytest.CaptureFixture[str]
) -> None:
    """The checks say so by the code that pytest ends with; what was recorded before stays."""
    docker.answer(images={NAME: DIGEST})
    assert toy.smoke("app:1") == 0
    before = load_record(toy.out, DIGEST)
    lost = f"\ndef pytest_sessionfinish(session):\n    session.exitstatus = {ENGINE_LOST}\n"
    toy.checks.with_name("conftest.py").write_text(CONFTEST + lost)
    toy.checks.write_text("def test_fails(claim):\n    claim(1, 2)\n")
    capfd.readouterr()
    assert toy.smoke("app:1") == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert err.endswith("app:1: the checks lost their engine (the reason is above): nothing is recorded\n")
    assert load_record(toy.out, DIGEST) == before
    assert before is not None


def test_checks_that_cannot_run_are_no_pass(toy: Toy, docker: Docker, capfd: pytest.CaptureFixture[str]) -> None:
    docker.answer(images={NAME: DIGEST})
    toy.checks.write_text("import no_such_module\n")
    assert toy.smoke("app:1") == 5
    assert "FAIL toy: ModuleNotFoundError: No module named 'no_such_module'\n" in capfd.readouterr().out
    toy.checks.with_name("conftest.py").write_text("import no_such_module\n")
    assert toy.smoke("app:1") == 5
    out, err = capfd.readouterr()
    assert out == ""
    assert "app:1: the checks could not run (pytest ended with code 4, its output is above)\n" in err
    assert load_record(toy.out, DIGEST) is not None  # the first one, which failed


def test_a_name_that_is_not_known(toy: Toy, capfd: pytest.CaptureFixture[str]) -> None:
    assert toy.smoke("ap:1") == 2
    assert capfd.readouterr().err == 'no image "ap:1", did you mean "app:1"?\n'


def test_no_engine(toy: Toy, docker: Docker, capfd: pytest.CaptureFixture[str]) -> None:
    docker.answer(info={**GOOD_ENGINE, "ServerVersion": "", "ServerErrors": ["Cannot connect to the Docker daemon"]})
    assert toy.smoke("app:1") == 3
    assert capfd.readouterr().err.startswith("the Docker engine is not running (systemctl start docker")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(
    toy: Toy, docker: Docker, repository: Repository, environment: dict[str, str], number: signal.Signals
) -> None:
    docker.answer(images={NAME: DIGEST})
    started = repository.root / "started"
    toy.checks.write_text(
        f"import pathlib, time\ndef test_long(claim):\n    pathlib.Path({str(started)!r}).touch()\n    time.sleep(60)\n"
    )
    code = f"import pathlib, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_DFL); from scripts.smoke.__main__ import main; sys.exit(main(['app:1', '--workers', '1'], pathlib.Path({str(repository.root)!r})))"
    process = subprocess.Popen(  # what nohup would have it ignore is not to be ignored
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
    assert load_record(toy.out, DIGEST) is None


def test_a_reader_that_has_had_enough_changes_nothing(toy: Toy, docker: Docker, environment: dict[str, str]) -> None:
    docker.answer(images={NAME: DIGEST})
    code = "import pathlib, sys; from scripts.smoke.__main__ import main; sys.exit(main(['app:1'], pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(toy.root)]
    near, far = os.pipe()
    os.close(near)
    done = subprocess.run(
        command, env={**os.environ, **environment}, stdout=far, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(far)
    assert (done.returncode, "Broken" in done.stderr) == (0, False), done.stderr
    assert load_record(toy.out, DIGEST) is not None


@pytest.mark.parametrize("number", ["0", "-1", "two", "1.5"])
def test_workers_are_a_number(number: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.parse_options(["app:1", f"--workers={number}"])
    assert ended.value.code == 2
    assert f"argument --workers: expected a number of 1 or more, got '{number}'" in capfd.readouterr().err


@pytest.mark.parametrize("folder", ["out", "out/smoke"])
def test_an_out_that_is_no_folder_is_told_at_once(
    toy: Toy, docker: Docker, folder: str, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(images={NAME: DIGEST})
    path = toy.root / folder
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert toy.smoke("app:1") == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert re.search(rf"^{toy.out}/smoke\S*: (Not a directory|File exists)$", err, re.MULTILINE)
    assert "passed" not in err  # nothing ran


def test_options_are_the_nox_sessions_own() -> None:
    options = program.parse_options(["app:1", "--gpu", "--workers", "4"])
    assert (options.id, options.gpu, options.workers, options.again) == ("app:1", True, 4, False)
    with pytest.raises(SystemExit) as ended:
        program.parse_options(["app:1", "--agan"])
    assert ended.value.code == 2

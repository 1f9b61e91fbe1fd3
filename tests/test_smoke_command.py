"""``python -m scripts.smoke``: which image is tested, and what is recorded of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from scripts.smoke.record import Outcome, directory_of, load_record
from tests.conftest import GOOD_ENGINE, VERSIONS
from tests.toy_checks import CHECKS, DIGEST, NAME, OTHER, ROOT, Toy, make_toy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Docker, Repository


@pytest.fixture
def toy(repository: Repository, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> Toy:
    assert docker.folder.exists()
    return make_toy(repository, monkeypatch)


def test_tests_the_image_in_the_engine_and_records_it(
    toy: Toy, docker: Docker, capfd: pytest.CaptureFixture[str]
) -> None:
    docker.answer(images={NAME: DIGEST}, labels={"ai.vessl.images.base": "stand-in"})
    assert toy.smoke("app:1") == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[-4:] == [
        "SKIP toy.gpu: no GPU in this engine",
        f"app:1 (in the engine, {DIGEST}): PASS: 2 PASS, 1 SKIP",
        next(line for line in out.splitlines() if line.startswith("all checks took")),
        "built on a stand-in base: what the base itself claims was not tested",
    ]
    assert f"app:1: testing {NAME} (in the engine, {DIGEST})\n" in err
    record = load_record(toy.out, DIGEST)
    assert record is not None
    assert (record.outcome, record.stand_in, record.gpu) == (Outcome.PASS, True, False)
    measured = {result.check: result.measured for result in record.results}
    assert measured == {"toy.digest": DIGEST, "toy.id": "app:1", "toy.gpu": ""}
    junit = ET.parse(directory_of(toy.out, DIGEST) / "junit.xml").getroot()  # noqa: S314
    (suite,) = junit
    assert (suite.get("name"), suite.get("tests"), suite.get("failures"), suite.get("skipped")) == (
        "app:1",
        "3",
        "0",
        "1",
    )


def test_what_passed_is_not_tested_again(
    toy: Toy,
    docker: Docker,
    repository: Repository,
    capfd: pytest.CaptureFixture[str],
) -> None:
    docker.answer(images={NAME: DIGEST})
    assert toy.smoke("app:1") == 0
    first = load_record(toy.out, DIGEST)
    assert first is not None
    capfd.readouterr()
    assert toy.smoke("app:1") == 0
    out, err = capfd.readouterr()
    assert err == f"app:1: {DIGEST} already passed these checks at {first.started} (--again to repeat them)\n"
    assert "app:1 (in the engine" in out

    def runs(*options: str) -> bool:
        assert toy.smoke("app:1", *options) == 0
        return "testing" in capfd.readouterr().err

    assert runs("--again")
    assert not runs()
    toy.checks.write_text(CHECKS + "\n# changed\n")
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


def test_a_selection_is_not_recorded(toy: Toy, docker: Docker, capfd: pytest.CaptureFixture[str]) -> None:
    docker.answer(images={NAME: DIGEST})
    assert toy.smoke("app:1", "--only", "toy.digest") == 0
    out, err = capfd.readouterr()
    assert "1 PASS" in out
    assert err.endswith("app:1: only some checks ran, so this is not recorded\n")
    assert toy.smoke("app:1", "--only", " toy.id,toy.gpu") == 0
    assert "1 PASS, 1 SKIP" in capfd.readouterr().out
    assert load_record(toy.out, DIGEST) is None


@pytest.mark.parametrize("options", [(), ("--allow-missing",)])
def test_an_image_that_is_nowhere_is_not_tested(
    toy: Toy,
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    word = tmp_path / "word"
    monkeypatch.setenv("IMAGES_SMOKE_OUTCOME", str(word))
    assert toy.smoke("app:1", "--format", "json", *options) == (0 if options else 5)
    out, err = capfd.readouterr()
    reason = f"app:1: neither built here nor to be had as {NAME}: failed to do request: "
    assert err.splitlines()[0] == f"app:1: not built here: pulling {NAME}"
    assert err.splitlines()[1].startswith(f"NOT TESTED: {reason}")
    assert json.loads(out)["outcome"] == word.read_text() == "NOT TESTED"


def test_pulls_what_is_published(toy: Toy, docker: Docker, capfd: pytest.CaptureFixture[str]) -> None:
    docker.answer(registry={NAME: OTHER})
    assert toy.smoke("app:1") == 0
    record = load_record(toy.out, OTHER)
    assert record is not None
    assert record.source == "pulled"
    assert docker.calls("pull") == [["pull", "--quiet", "--platform", "linux/amd64", NAME]]
    docker.answer(registry={NAME: DIGEST})
    assert toy.smoke("app:1", "--pull") == 0
    assert DIGEST in capfd.readouterr().out


def test_tests_another_image_as_this_one(toy: Toy, docker: Docker) -> None:
    docker.answer(registry={"localhost:5000/app:1-r2": OTHER})
    assert toy.smoke("app:1", "--reference", "localhost:5000/app:1-r2") == 0
    record = load_record(toy.out, OTHER)
    assert record is not None
    assert (record.id, record.source, record.reference) == ("app:1", "given", "localhost:5000/app:1-r2")


def test_tests_what_was_built_here(
    toy: Toy,
    docker: Docker,
    repository: Repository,
    environment: dict[str, str],
    capfd: pytest.CaptureFixture[str],
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
    assert toy.smoke("app:1") == 0
    record = load_record(root / "out", digest)
    assert record is not None
    assert record.source == "built here"
    blob = root / "out" / "app_1" / "blobs" / "sha256" / digest.removeprefix("sha256:")
    blob.write_bytes(b"x" * blob.stat().st_size)
    capfd.readouterr()
    assert toy.smoke("app:1") == 5
    found = hashlib.sha256(blob.read_bytes()).hexdigest()
    out, err = capfd.readouterr()
    assert out == ""  # not even what passed before
    assert f"{digest} is damaged: its content is sha256:{found}\n" in err
    assert err.endswith("app:1: build it again with --force: what is damaged is not tested\n")

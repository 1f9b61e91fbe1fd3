"""What the documents say of the code, compared with it: variables, versions, exit codes, settings, messages."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING

import pytest
from invoke import Config

from scripts import errors
from scripts.build.bases import STAND_INS
from scripts.build.engine import Lack
from scripts.build.settings import INDEX_VARIABLES
from scripts.build.wanted import Evidence, Scan
from scripts.contents.drivers import LOWEST
from scripts.doctor import ENGINE_FIXES
from scripts.recipe.lock import asked_names
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.scan_policy import Policy
from scripts.smoke.__main__ import parse_options
from tests.pages import ROOT, load_pages

if TYPE_CHECKING:
    from pathlib import Path

PAGES = load_pages()
IMAGE = ROOT / "scripts" / "image"
START_WORKSPACE = (IMAGE / "start-workspace").read_text()


def cells(page: str, section: str, column: int = 0) -> list[str]:
    """A column of the first table below a heading, without its head and without the marks of code."""
    rows = [line for _, line in PAGES[page].section(section).prose if line.startswith("|")]
    return [row.strip("|").split("|")[column].strip().strip("`") for row in rows[2:]]


def blocks(page: str, language: str) -> list[str]:
    return [block.text for block in PAGES[page].blocks if block.language == language]


def test_the_variables_are_those_of_the_workspace() -> None:
    declared = re.findall(r"^  ((?:VESSL|JUPYTER)_\w+) ", START_WORKSPACE, re.MULTILINE)
    assert len(declared) > 10
    assert sorted(cells("docs/running.md", "A workspace")) == sorted(declared)


def test_messages_are_those_of_the_image() -> None:
    """Up to what differs from case to case."""
    texts = "".join((IMAGE / name).read_text() for name in ("entrypoint", "start-workspace", "prepare-sshd"))
    told = cells("docs/running.md", "When it does not start")
    parts = [
        "JupyterLab needs a token", "no such command: ", "is a private key", "cannot be written to, and neither can ",
    ]  # fmt: skip
    assert len(told) == len(parts)
    for message, part in zip(told, parts, strict=True):
        assert part in message
        assert part in texts


def test_the_drivers_are_those_that_images_are_judged_by() -> None:
    found = dict(zip(cells("docs/choosing.md", "Which one"), cells("docs/choosing.md", "Which one", 1), strict=True))
    assert {int(cuda): driver for cuda, driver in found.items() if cuda.isdecimal()} == LOWEST


def test_what_every_image_has_is_what_every_image_asks_for() -> None:
    asked = asked_names((IMAGE / "requirements.txt").read_text(), ())
    said = {"README.md": "The images", "docs/choosing.md": "What is in every image"}
    words = {"jupyterlab-git": "git extension", "ipywidgets": "widgets", "pip": ""}
    for name, heading in said.items():
        text = " ".join(PAGES[name].section(heading).text.lower().split())
        for package in asked if name == "docs/choosing.md" else asked - words.keys():
            assert words.get(package, package) in text, f"{name}: {package}"


def test_what_the_doctor_refers_to_is_there() -> None:
    page = ENGINE_FIXES[Lack.STORE].rpartition(" ")[2]
    assert '`{"features": {"containerd-snapshotter": true}}`' in PAGES[page].text


def test_stand_ins_are_those_that_there_are() -> None:
    assert cells("docs/offline.md", "Stand-in bases") == list(STAND_INS)


def test_exit_codes_are_those_of_the_errors() -> None:
    text = PAGES["docs/maintaining.md"].text
    (sentence,) = re.findall(r"Exit\s+codes: 0 done, ([^.]+)\.", text)
    codes = {
        item.exit_code
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, errors.ImagesError)
    }
    assert {int(number) for number in re.findall(r"\d", sentence)} == codes - {errors.ImagesError.exit_code}


def test_options_of_smoke_tests_are_there() -> None:
    for cell in cells("docs/maintaining.md", "Test"):
        for option in cell.replace("`", "").split(", "):
            assert parse_options(["python:3.11", *option.replace("REF", "python:3.11").split()]), option


def settings_in(folder: Path) -> set[str]:
    """The names of the settings in the invoke.yaml of a folder."""
    config = Config(project_location=folder)
    config.load_project()
    return set(config.images.keys())


def test_settings_that_are_named_are_those_of_invoke_yaml(tmp_path: Path) -> None:
    settings = settings_in(ROOT)
    examples = [text for name in PAGES for text in blocks(name, "yaml") if text.startswith("images:")]
    assert examples
    for text in examples:
        (tmp_path / "invoke.yaml").write_text(text)
        assert settings_in(tmp_path) <= settings, text
    for name in ("registry", "index_url", "wheels", "ca_bundle", "cache", "cache_to", "cache_from"):
        assert name in settings
        assert any(f"`{name}`" in page.text for page in PAGES.values()), name
    known = {f"evidence.{item.name}" for item in fields(Evidence)} | {f"scan.{item.name}" for item in fields(Scan)}
    said = {match for page in PAGES.values() for match in re.findall(r"`((?:evidence|scan)\.\w+)", page.text)}
    assert said - {"scan.toml"} <= known
    assert {"UV_DEFAULT_INDEX", "INVOKE_IMAGES_REGISTRY"} <= set(re.findall(r"\w+", PAGES["docs/offline.md"].text))
    assert "UV_DEFAULT_INDEX" in INDEX_VARIABLES


def test_the_example_of_a_scan_policy_is_one() -> None:
    (text,) = blocks("docs/security.md", "toml")
    assert Policy.model_validate(tomllib.loads(text)).allow[0].package == "libfoo1"


@pytest.fixture
def cuda_of_the_page(tmp_path: Path) -> Path:
    """The family cuda with the row of the page."""
    (text,) = blocks("docs/maintaining.md", "toml")
    (tmp_path / "cuda").mkdir()
    (tmp_path / "cuda" / "Dockerfile").write_text((ROOT / "cuda" / "Dockerfile").read_text())
    (tmp_path / "cuda" / "versions.toml").write_text((ROOT / "cuda" / "versions.toml").read_text() + "\n" + text)
    return tmp_path


def test_the_example_of_a_row_is_a_good_one_that_is_not_there_yet(cuda_of_the_page: Path) -> None:
    new = {spec.id for spec in expand_all(load_families(cuda_of_the_page))}
    old = {spec.id for spec in expand_all(load_families(ROOT)) if spec.family == "cuda"}
    assert new - old == {"torch:2.5.1-cuda12.4"}

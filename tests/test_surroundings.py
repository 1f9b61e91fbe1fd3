"""The environment of the checks: what a developer has set for other work changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.errors import BuildError
from scripts.smoke.surroundings import surroundings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that a pretended docker answers from when it is asked for the endpoint of its context."""
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\n[ "$1 $2" = "context inspect" ] && cat {tmp_path}/endpoint\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "endpoint"


def test_settings_of_pytest_do_not_choose_the_checks(context: Path) -> None:
    assert not context.exists()
    told = surroundings({"PYTEST_ADDOPTS": "-k numpy"})
    assert (told["PYTEST_ADDOPTS"], told["PYTEST_PLUGINS"]) == ("", "")
    assert "DOCKER_HOST" not in told


def test_no_proxy_is_asked_for_this_machine(context: Path) -> None:
    assert not context.exists()
    assert surroundings({})["NO_PROXY"] == "127.0.0.1,localhost"
    assert surroundings({"no_proxy": ".example"})["no_proxy"] == ".example,127.0.0.1,localhost"


def test_the_engine_of_the_context(context: Path) -> None:
    context.write_text("unix:///run/user/1000/docker.sock\n")
    assert surroundings({})["DOCKER_HOST"] == "unix:///run/user/1000/docker.sock"
    assert surroundings({"DOCKER_HOST": "tcp://127.0.0.1:2375"})["DOCKER_HOST"] == "tcp://127.0.0.1:2375"


@pytest.mark.parametrize("engine", ["ssh://ann@build.example", "tcp://10.0.0.1:2375", "tcp://localhost.example:2375"])
def test_an_engine_elsewhere_is_refused(context: Path, engine: str) -> None:
    context.write_text(engine + "\n")
    said = f"the smoke tests need an engine on this machine, whose ports they can reach, not {engine}"
    for environment in ({}, {"DOCKER_HOST": engine}):
        with pytest.raises(BuildError) as caught:
            surroundings(environment)
        assert str(caught.value) == said

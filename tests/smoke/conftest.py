"""What the checks work on: the image that ``scripts.smoke`` found, what is declared of it, and one container at rest."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
import requests

from scripts.recipe.matrix import ImageSpec, expand_all, load_families
from scripts.smoke.checks import ENGINE_LOST
from scripts.smoke.report import START_SECONDS
from tests.containers import LABEL, PLATFORM, RUN, Container, create, remove_left, remove_orphans
from tests.reaper import Reaper
from tests.workspaces import ENVIRONMENT, HEADERS, PORTS, make_key, public

if TYPE_CHECKING:
    from docker.models.images import Image

START_LIMIT = 60
"""Seconds after which a workspace counts as one that does not start."""

MORE_STARTS = 2
"""How many more are tried where the first took too long."""

ROOT = Path(__file__).resolve().parents[2]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--image", required=True, metavar="ID", help="id of the image in the version manifests")
    parser.addoption("--digest", required=True, help="the image in the engine, by its digest")
    parser.addoption("--platform", default="", help="its platform, where its image has several")
    parser.addoption("--layout", metavar="DIR", help="its OCI layout, where there is one")
    scans = ROOT / "out" / "smoke" / "layers"
    parser.addoption("--scans", metavar="DIR", default=str(scans), help="where scans of layers are kept")
    parser.addoption("--stand-in", action="store_true", help="its base is a stand-in")
    parser.addoption("--gpu", action="store_true", help="there has to be a GPU")


def pytest_configure(config: pytest.Config) -> None:
    # Here and not as a fixture: containers are made in many places. Workers of xdist have the option too.
    if platform := config.getoption("--platform"):
        os.environ[PLATFORM] = platform
    config.addinivalue_line("markers", "needs(what): only for images with this package, or with cuda")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the checks that are for images of another kind: they are no part of this image's promise."""
    spec = spec_of(config)
    have = {name_of(package) for package in spec.packages} | ({"cuda"} if spec.cuda else set())
    items[:] = [item for item in items if all(mark.args[0] in have for mark in item.iter_markers("needs"))]


def spec_of(config: pytest.Config) -> ImageSpec:
    """What is declared of the image under test."""
    wanted = config.getoption("--image")
    (found,) = (spec for spec in expand_all(load_families(ROOT)) if spec.id == wanted)
    platform = config.getoption("--platform")
    return replace(found, platforms=(platform,)) if platform else found


def name_of(package: str) -> str:
    """What a package is imported as: ``tensorflow-cpu`` is ``tensorflow``."""
    return package.removesuffix("-cpu")


def start(workspace: Container) -> float:
    """Start a workspace that was made; seconds until it answered.

    Without those that its processes waited for a CPU while others had it (proc(5), schedstat): they start one another.
    """
    began = time.monotonic()
    workspace.start()
    workspace.wait_for_http("/api/status", 8888, HEADERS, seconds=START_LIMIT)
    took = time.monotonic() - began
    waited = workspace.exec("sh", "-c", "cat /proc/[0-9]*/schedstat").stdout.splitlines()
    return round(took - sum(int(line.split()[1]) for line in waited) / 1e9, 2)


class Stage:
    """What is started once for all workers: a container at rest, and a workspace.

    The workspace is started before there are workers, so nothing else runs while its start is timed.
    """

    def __init__(self, image: str, folder: Path) -> None:
        self.image = image
        self.folder = folder
        self.seconds = 0.0
        self.fault = ""
        self.client = client = docker.from_env(timeout=180)
        # Not through the entrypoint, nor with a network: what a command finds is the image's own, whatever is broken.
        # And no import writes bytecode, as other checks look whether it is there.
        self.rest = client.containers.create(
            image,
            ["infinity"],
            entrypoint=["sleep"],
            environment={"PYTHONDONTWRITEBYTECODE": "1"},
            network_mode="none",
            init=True,
            labels={LABEL: RUN},
            platform=os.environ.get(PLATFORM),
        )
        Container(self.rest).start()
        make_key(folder / "key")
        self.workspace = create(
            image, ports=PORTS, environment={**ENVIRONMENT, "VESSL_SSH_PUBLIC_KEY": public(folder / "key")}
        )
        try:
            self.seconds = start(self.workspace)
            for _ in range(MORE_STARTS):
                if self.seconds > START_SECONDS:  # the machine may have been busy for a moment: the best one counts
                    other = create(image, ports=PORTS, environment=ENVIRONMENT)
                    self.seconds = min(self.seconds, start(other))
                    other.engine.remove(force=True, v=True)
        except (AssertionError, docker.errors.APIError) as error:
            self.fault = str(error)

    @property
    def told(self) -> dict[str, Any]:
        """What a worker has to know."""
        return {
            "rest": self.rest.id,
            "workspace": self.workspace.engine.id,
            "seconds": self.seconds,
            "fault": self.fault,
            "folder": str(self.folder),
        }

    def lost(self) -> str:
        """What went away that no check removes, so that whatever failed since says nothing of the image; empty: nothing."""
        try:
            self.client.images.get(self.image)
            self.rest.reload()
        except docker.errors.NotFound as error:
            return f"somebody removed what was being tested: {error.explanation}"
        except (docker.errors.DockerException, requests.RequestException) as error:
            return f"the engine does not answer: {error}"
        return "" if self.rest.status == "running" else "the engine, or somebody, stopped the container of the checks"

    @pytest.hookimpl
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Whether a failure is the image's, or whether there is nothing left to test it with."""
        if report.failed and (reason := self.lost()):
            pytest.exit(reason, returncode=ENGINE_LOST)

    @pytest.hookimpl
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of xdist."""
        node.workerinput["stage"] = self.told


def pytest_sessionstart(session: pytest.Session) -> None:
    """Set the stage, before xdist starts its workers."""
    config = session.config
    if hasattr(config, "workerinput") or config.getoption("--collect-only"):
        return
    folder = tempfile.TemporaryDirectory(prefix="images-smoke-")
    config.add_cleanup(folder.cleanup)
    config.add_cleanup(Reaper(Path(folder.name)).dismiss)
    config.add_cleanup(_remove_all)
    try:
        remove_orphans()
        config.pluginmanager.register(Stage(config.getoption("--digest"), Path(folder.name)), "smoke-stage")
    except docker.errors.APIError as error:
        code = 4 if error.is_client_error() and not isinstance(error, docker.errors.NotFound) else ENGINE_LOST
        pytest.exit(f"no container of the image starts: {error.explanation}", returncode=code)
    except (docker.errors.DockerException, requests.RequestException) as error:
        pytest.exit(f"the engine does not answer: {error}", returncode=ENGINE_LOST)


def _remove_all() -> None:
    """Remove the containers of the stage, and those of a worker that was killed."""
    with suppress(docker.errors.DockerException, requests.RequestException):  # then the next run does
        remove_left()


@pytest.fixture(scope="session")
def stage(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the controller has started."""
    own = request.config.pluginmanager.get_plugin("smoke-stage")
    return dict(own.told if own else request.config.workerinput["stage"])  # type: ignore[attr-defined] # xdist's


@pytest.fixture(scope="session")
def rest(stage: dict[str, Any]) -> Container:
    """The container at rest: run commands in it with ``exec`` and ``read``, but change nothing."""
    return Container(docker.from_env(timeout=180).containers.get(stage["rest"]))


@pytest.fixture(scope="session")
def shared(stage: dict[str, Any]) -> tuple[Container, str]:
    """A workspace with ssh, and its address, for all checks that only look."""
    if stage["fault"]:
        pytest.fail(f"no workspace: {stage['fault']}", pytrace=False)
    container = Container(docker.from_env(timeout=180).containers.get(stage["workspace"]))
    return container, f"http://127.0.0.1:{container.port(8888)}/"


@pytest.fixture(scope="session")
def key(stage: dict[str, Any]) -> Path:
    """The key that may log in."""
    return Path(stage["folder"], "key")


@pytest.fixture(scope="session")
def spec(request: pytest.FixtureRequest) -> ImageSpec:
    """What is declared of the image."""
    return spec_of(request.config)


@pytest.fixture(scope="session")
def template(spec: ImageSpec) -> str:
    """The template that the image's tag is made from, such as ``{torch}-cuda{cuda}``."""
    (family,) = (family for family in load_families(ROOT) if family.name == spec.family)
    return family.manifest.stages[spec.stage].tag


@pytest.fixture(scope="session")
def image(request: pytest.FixtureRequest) -> str:
    """The image's digest, which starts containers as a name would."""
    return str(request.config.getoption("--digest"))


@pytest.fixture(scope="session")
def inspected(image: str) -> dict[str, Any]:
    """What the engine says of the image (``docker image inspect``)."""
    found: Image = docker.from_env(timeout=180).images.get(image)
    return dict(found.attrs)


@pytest.fixture(scope="session")
def layout(request: pytest.FixtureRequest) -> Path | None:
    """The image's OCI layout, where it was built here."""
    given = request.config.getoption("--layout")
    return Path(given) if given else None


@pytest.fixture(scope="session")
def scans(request: pytest.FixtureRequest) -> Path:
    """Where scans of layers are kept, by the digest of the layer."""
    return Path(request.config.getoption("--scans"))


@pytest.fixture(scope="session")
def stand_in(request: pytest.FixtureRequest) -> bool:
    """Whether the base is a stand-in, so that what the base claims cannot be measured."""
    return bool(request.config.getoption("--stand-in"))


@pytest.fixture(scope="session")
def gpu(request: pytest.FixtureRequest) -> bool:
    """Whether there has to be a GPU."""
    return bool(request.config.getoption("--gpu"))

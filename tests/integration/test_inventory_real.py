"""Inventories compared with what dpkg, pip and the engine say of the running image: nothing missing, nothing extra."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from scripts.contents.inventory import Inventory, parse_inventory
from scripts.release.commands import connect
from scripts.release.registry import get_manifest
from tests.containers import running
from tests.integration.conftest import ROOT
from tests.integration.test_builds import invoke
from tests.inventories import attach_inventory
from tests.registries import serve_registry
from tests.structure import run_structure, structure_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.containers import Container

pytestmark = pytest.mark.engine

DISTRIBUTIONS = """
import importlib.metadata as m, json, os, sys
found = []
for path in map(os.path.realpath, sys.path):
    if os.path.isdir(path):
        found += [[path, item.metadata["Name"], item.version] for item in m.distributions(path=[path])]
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Pair:
    """An inventory, and the image it is of in a container."""

    content: str
    inventory: Inventory
    container: Container
    row: dict[str, Any]


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    row = request.getfixturevalue(request.param)
    done = invoke("inventory", row["id"], "--format", "json")
    assert done.returncode == 0, done.stderr
    with running(row["reference"], "sleep", "600") as container:
        yield Pair(done.stdout, parse_inventory(done.stdout.encode(), row["id"]), container, row)


def test_every_package_of_dpkg_and_no_other(pair: Pair) -> None:
    listed = pair.container.read("env", "COLUMNS=400", "dpkg", "-l").splitlines()
    rows = [line.split()[:4] for line in listed if line[1:2] == "i" and line[2:3] == " "]
    expected = {(name.partition(":")[0], version, architecture) for _, name, version, architecture in rows}
    assert len(expected) > 100
    assert {(item.name, item.version, item.architecture) for item in pair.inventory.apt} == expected


def test_every_distribution_of_every_place_that_python_looks_into(pair: Pair) -> None:
    found = {tuple(item) for item in json.loads(pair.container.read("python", "-c", DISTRIBUTIONS))}
    assert len(found) > 100
    ours = {
        (directory, item.name, item.version)
        for place in pair.inventory.python.environments
        for directory in place.directories
        for item in place.distributions
    }
    assert ours == found


def test_what_pip_lists_and_nothing_else(pair: Pair) -> None:
    listed = json.loads(pair.container.read("python", "-m", "pip", "list", "--format", "json"))
    path = json.loads(pair.container.read("python", "-c", "import json, sys; print(json.dumps(sys.path))"))
    places = {directory: place for place in pair.inventory.python.environments for directory in place.directories}
    seen: dict[str, str] = {}
    for directory in path:  # the first that Python finds is the one that it imports
        for item in places[directory].distributions if directory in places else ():
            seen.setdefault(canonicalize_name(item.name), item.version)
    assert seen == {canonicalize_name(item["name"]): item["version"] for item in listed}


def test_interpreter_and_distribution(pair: Pair) -> None:
    inventory = pair.inventory
    assert inventory.python.interpreter
    assert pair.container.read("sh", "-c", "command -v python").strip() == inventory.python.interpreter.path
    assert pair.container.read("python", "-V").split() == ["Python", inventory.python.interpreter.version]
    assert inventory.system
    assert inventory.system.name in pair.container.read("cat", "/etc/os-release")


def test_what_was_asked_for_directly(pair: Pair) -> None:
    asked = {
        canonicalize_name(item.name)
        for place in pair.inventory.python.environments
        for item in place.distributions
        if item.direct
    }
    assert {"numpy", "jupyterlab", "vessl", "tqdm"} < asked
    assert ("torch" in asked) == (pair.row["id"] == "python:3.11")
    assert len(asked) < 20


def test_cuda_and_cudnn_of_the_cuda_image(pair: Pair) -> None:
    found = {item.name: item.version for item in pair.inventory.gpu.libraries}
    if pair.row["id"] == "python:3.11":
        assert found == {}
        return
    assert f"release {'.'.join(found['CUDA'].split('.')[:2])}," in pair.container.read("nvcc", "--version")
    header = pair.container.read("cat", "/usr/include/cudnn_version.h")
    for name, number in zip(("MAJOR", "MINOR", "PATCHLEVEL"), found["cuDNN"].split("."), strict=True):
        assert f"#define CUDNN_{name} {number}\n" in header


def test_the_config_is_what_the_engine_says(pair: Pair) -> None:
    command = ["docker", "image", "inspect", pair.row["reference"]]
    (raw,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    config, engine = pair.inventory.config, raw["Config"]
    assert pair.inventory.image.digest == raw["Id"] == pair.row["digest"]
    assert [f"{name}={value}" for name, value in config.env.items()] == sorted(engine["Env"])
    assert (list(config.entrypoint or ()), list(config.command or ())) == (engine["Entrypoint"], engine["Cmd"])
    assert (set(config.ports), config.labels) == (set(engine["ExposedPorts"]), engine["Labels"])
    # The engine does not tell by which blobs it knows layers: only how many there are.
    assert len(pair.inventory.layers) == len(raw["RootFS"]["Layers"])


def test_container_structure_test_finds_the_same(pair: Pair, tmp_path: Path) -> None:
    expected = structure_of(pair.inventory)
    report = run_structure(tmp_path, expected, "--image", pair.row["reference"])
    failed = [result for result in report["Results"] if not result["Pass"]]
    assert (failed, report["Fail"]) == ([], 0)
    names = [result["Name"] for result in report["Results"]]
    assert sum("every" in name for name in names) == 2, names
    # One package and one variable that are not there: it looks at what it is given.
    packages = expected["commandTests"][0]["expectedOutput"]
    packages.append("(?m)^no-such-package\t1$")
    expected["metadataTest"]["envVars"].append({"key": "NO_SUCH", "value": "1"})
    assert run_structure(tmp_path, expected, "--image", pair.row["reference"])["Fail"] == 2


def test_the_engine_registry_and_layout_have_the_same_inventory(cpu: dict[str, Any], tmp_path: Path) -> None:
    layout = invoke("inventory", "python:3.11", "--format", "json").stdout
    engine = invoke("inventory", f"engine:{cpu['reference']}", "--format", "json")
    assert engine.stdout == layout, engine.stderr
    with serve_registry(tmp_path / "registry") as registry, connect(print) as transport:
        published = f"{registry.host}/vessl-ai/python:3.11"
        ledger = invoke(
            "push", "cpu", "--version", "3.11", "--registry", f"{registry.host}/vessl-ai", "--unsafe-skip-smoke"
        )
        try:
            assert ledger.returncode == 0, ledger.stderr
            first = invoke("inventory", published, "--format", "json", "--reread")
            assert first.stdout == layout, first.stderr
            assert f"reading {len(json.loads(layout)['layers'])} layers" in first.stderr
            repository = registry.repository("vessl-ai/python")
            manifest = get_manifest(transport, repository.tag("3.11"))
            attach_inventory(transport, repository, manifest, layout.encode())
            second = invoke("inventory", published, "--format", "json")
            assert (second.stdout, second.stderr) == (layout, "")
            diff = invoke("diff", published, f"{published}-r1")
            assert (diff.stdout.splitlines()[0], diff.stderr) == ("nothing a user can see.", "")
        finally:
            folder = registry.host.replace(":", "_")
            shutil.rmtree(ROOT / "out" / "ledgers" / folder, ignore_errors=True)

"""What the images promise (DESIGN §1 and §9) as far as it takes a container or a layer to see it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from tests.integration.conftest import ROOT
from tests.integration.containers import run

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.engine

# 1980-01-01: the time of every file that our Dockerfiles make.
EPOCH = 315532800
USES = {
    "numpy": "import numpy as m; assert m.linalg.solve([[2., 0.], [0., 4.]], [2., 8.]).tolist() == [1., 2.]",
    "scipy": "from scipy import optimize as m; assert abs(m.brentq(lambda x: x * x - 2, 0, 2) - 2 ** .5) < 1e-9",
    "pandas": "import pandas as m, io; f = m.DataFrame({'a': [1, 2]}); "
    "assert m.read_csv(io.StringIO(f.to_csv(index=False))).equals(f)",
    "matplotlib": "import matplotlib; matplotlib.use('Agg'); import matplotlib.pyplot as m, io; m.plot([0, 1]); "
    "b = io.BytesIO(); m.savefig(b, format='png'); assert b.getvalue()[:4] == b'\\x89PNG'",
    "sklearn": "from sklearn.linear_model import LinearRegression as M; "
    "assert abs(M().fit([[0.], [1.]], [1., 3.]).predict([[2.]])[0] - 5) < 1e-9",
    "cv2": "import cv2 as m, numpy; i = numpy.full((8, 8, 3), 7, numpy.uint8); "
    "assert (m.imdecode(m.imencode('.png', i)[1], m.IMREAD_COLOR) == i).all()",
    "seaborn": "import matplotlib; matplotlib.use('Agg'); import seaborn as m; assert m.lineplot(x=[0, 1], y=[0, 1]).lines",
    "tqdm": "from tqdm import tqdm as m; assert sum(m(range(4), disable=True)) == 6",
}
CPU_USES = {
    "torch": "import torch as m; x = m.ones(2, requires_grad=True); (x * x).sum().backward(); "
    "assert x.grad.tolist() == [2., 2.] and m.version.cuda is None",
    "tensorflow": "import tensorflow as m; assert m.matmul(m.ones((2, 3)), m.ones((3, 2))).numpy().tolist() == [[3., 3.]] * 2",
}


@pytest.mark.parametrize("name", [*USES, *CPU_USES])
def test_cpu_image_computes_with(cpu: dict[str, Any], name: str) -> None:
    done = run(cpu["reference"], "python", "-W", "ignore", "-c", {**USES, **CPU_USES}[name], seconds=120)
    assert done.code == 0, done.stderr


@pytest.mark.parametrize("name", USES)
def test_cuda_image_computes_with(cuda: dict[str, Any], name: str) -> None:
    done = run(cuda["reference"], "python", "-W", "ignore", "-c", USES[name], seconds=120)
    assert done.code == 0, done.stderr


def test_cuda_image_has_the_cuda_and_cudnn_of_its_tag(cuda: dict[str, Any]) -> None:
    assert "release 12.1" in run(cuda["reference"], "nvcc", "--version").stdout
    header = run(cuda["reference"], "cat", "/usr/include/cudnn_version.h").stdout
    assert "#define CUDNN_MAJOR 8\n" in header


@pytest.mark.parametrize("family", ["cpu", "cuda"])
def test_tools_are_there(family: str, request: pytest.FixtureRequest) -> None:
    reference = request.getfixturevalue(family)["reference"]
    script = "set -e; python --version; vessl --version; curl --version; git --version; git lfs version; jupyter lab --version; "
    done = run(reference, "bash", "-c", script + "command -v sshd tini", seconds=60)
    assert done.code == 0, done.stderr
    assert done.stdout.startswith("Python 3.11.")


@pytest.mark.parametrize("family", ["cpu", "cuda"])
def test_text_is_utf_8(family: str, request: pytest.FixtureRequest) -> None:
    done = run(request.getfixturevalue(family)["reference"], "locale", "charmap")
    assert done.stdout == "UTF-8\n", done.stderr


def test_pip_does_not_replace_what_the_tag_promises(cpu: dict[str, Any]) -> None:
    for package in ("torch!=2.13.0", "tensorflow-cpu<2.21", "numpy<2"):
        done = run(cpu["reference"], "python", "-m", "pip", "install", "--no-index", package)
        assert done.code == 1, package
        assert "The user requested (constraint)" in done.stdout + done.stderr


@pytest.mark.parametrize("family", ["cpu", "cuda"])
def test_importing_writes_no_bytecode(family: str, request: pytest.FixtureRequest) -> None:
    script = (
        "touch /tmp/start; python -c 'import numpy, scipy.stats, pandas, sklearn, jupyterlab, json, asyncio, sqlite3'; "
        "find / -xdev -name '*.pyc' -newer /tmp/start ! -path '/proc/*'"
    )
    done = run(request.getfixturevalue(family)["reference"], "bash", "-c", script, seconds=120)
    assert (done.code, done.stdout) == (0, ""), done.stderr


def layers(row: dict[str, Any]) -> list[dict[str, Any]]:
    layout = Path(row["layout"])
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return list(json.loads(blob(layout, entry["digest"]).read_text())["layers"])


def blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")


def entries(row: dict[str, Any], layer: dict[str, Any]) -> Iterator[tarfile.TarInfo]:
    path = blob(Path(row["layout"]), layer["digest"])
    with zstandard.open(path, "rb") as plain, tarfile.open(fileobj=plain, mode="r|") as archive:
        yield from archive


def own_layers(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The layers above the base's, which the stand-in's own layout tells."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "images" / "bases"
    record = json.loads((Path(row["layout"]) / "build.json").read_text())
    base = next(path for path in cache.iterdir() if (path / "blobs" / record["base"].replace(":", "/")).exists())
    below = json.loads(blob(base, record["base"]).read_text())["layers"]
    return layers(row)[len(below) :]


@pytest.mark.parametrize("family", ["cpu", "cuda"])
def test_layers_hold_no_time_of_their_build_and_nothing_that_must_not_be_there(
    family: str, request: pytest.FixtureRequest
) -> None:
    row = request.getfixturevalue(family)
    began = time.time() - 30 * 86400
    own = own_layers(row)
    assert len(own) >= 5
    for layer in own:
        assert layer["mediaType"].endswith("tar+zstd")
        for entry in entries(row, layer):
            assert entry.mtime < began, f"{entry.name} has the time of the build: {entry.mtime}"
            name = "/" + entry.name.removeprefix("./")
            assert not name.startswith(("/etc/ssh/ssh_host_", "/root/.cache", "/run/secrets", "/var/cache/uv")), name
            assert not (name.startswith(("/tmp/", "/var/cache/apt/", "/var/lib/apt/lists/")) and entry.isfile()), name
            assert not (name.startswith("/var/log/") and entry.size), name
            assert not name.endswith("/uv_cache.json"), f"{name} holds the time its wheel was written"


def test_a_layout_holds_what_its_digests_say(cpu: dict[str, Any]) -> None:
    layout = Path(cpu["layout"])
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert entry["digest"] == cpu["digest"]
    for path in (layout / "blobs" / "sha256").iterdir():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name


@pytest.mark.parametrize("family", ["cpu", "cuda"])
def test_labels_say_what_is_inside_and_that_the_base_is_a_stand_in(family: str, request: pytest.FixtureRequest) -> None:
    row = request.getfixturevalue(family)
    shown = subprocess.run(["docker", "inspect", row["reference"]], capture_output=True, text=True, check=True).stdout
    (image,) = json.loads(shown)
    labels = image["Config"]["Labels"]
    assert labels["ai.vessl.images.id"] == row["id"]
    assert labels["ai.vessl.images.python"] == "3.11"
    assert len(labels["ai.vessl.images.recipe"]) == 64
    if row["stand-in"]:
        assert labels["ai.vessl.images.base"] == "stand-in"
    # From the layout: Engine 26's `docker history` fails once a container has run.
    layout = Path(row["layout"])
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    config = json.loads(blob(layout, entry["digest"]).read_text())["config"]["digest"]
    history = json.dumps(json.loads(blob(layout, config).read_text())["history"])
    assert "://" not in history, "an address of an index or a mirror is left"
    assert "CERT" not in json.dumps(image["Config"]["Env"])


def invoke(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("invoke")), *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.usefixtures("cpu")
def test_a_second_build_does_nothing_and_says_why() -> None:
    began = time.monotonic()
    done = invoke("build", "cpu", "--version", "3.11")
    assert time.monotonic() - began < 5
    assert done.returncode == 0, done.stderr
    assert "python:3.11: nothing to build: recipe, lock and base are those of sha256:" in done.stderr


@pytest.mark.usefixtures("cpu")
def test_another_registry_is_another_name_and_not_another_build(cpu: dict[str, Any]) -> None:
    done = invoke("build", "cpu", "--version", "3.11", "--registry", "localhost:5000/x", "--format", "json")
    try:
        assert done.returncode == 0, done.stderr
        assert "nothing to build" in done.stderr
        (row,) = json.loads(done.stdout)
        assert (row["reference"], row["digest"]) == ("localhost:5000/x/python:3.11", cpu["digest"])
    finally:
        subprocess.run(["docker", "image", "rm", "localhost:5000/x/python:3.11"], capture_output=True, check=False)


def test_real_bases_only_refuses_a_base_that_cannot_be_resolved(cpu: dict[str, Any]) -> None:
    assert cpu["stand-in"], "this test is for machines without the registry"
    done = invoke("build", "cpu", "--version", "3.11", "--real-bases")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("python:3.11-slim-bookworm: could not be resolved, and --real-bases was given: ")


def test_a_wheel_index_out_of_reach_is_said_before_anything_is_built() -> None:
    done = invoke("build", "cpu", "--version", "3.13")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1].startswith(
        "python:3.13: the wheel index https://download.pytorch.org/whl/cpu can't be reached ("
    )

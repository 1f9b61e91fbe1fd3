"""container-structure-test on the facts of an inventory: it agrees, and does not with a fact that is changed."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.images import DEBIAN, Layout, make_image, package, wheel
from tests.inventories import apt, inventory
from tests.structure import run_structure, structure_of
from tests.test_inventory_read import take
from tests.test_named import PYTHON

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = {
    "Env": ["PATH=/opt/venv/bin:/bin", "EMPTY=", "ODD=a$b \\ =c"],
    "Entrypoint": ["tini", "--"],
    "Cmd": ["start-workspace"],
    "ExposedPorts": {"8888/tcp": {}},
    "WorkingDir": "/home",
    "User": "1000",
    "Labels": {"ai.vessl.images.id": "app:1"},
}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    base = {"etc/os-release": DEBIAN, "var/lib/dpkg/status": package("libssl3", "3.0.1-1", "openssl")}
    return make_image(tmp_path / "image", base, wheel("numpy", "2.4.5"), PYTHON, **CONFIG)


def save(layout: Layout, path: Path) -> str:
    """The image as ``docker save`` writes it, which needs no engine to be looked at; gives the path."""
    manifest = json.loads(
        layout.path(json.loads((layout.folder / "index.json").read_text())["manifests"][0]["digest"]).read_text()
    )
    digests = [item["digest"] for item in (manifest["config"], *manifest["layers"])]
    names = [digest.replace(":", "-") for digest in digests]
    listed = [{"Config": names[0], "RepoTags": ["app:1"], "Layers": names[1:]}]
    with tarfile.open(path, "w") as archive:
        files = {name: layout.path(digest).read_bytes() for name, digest in zip(names, digests, strict=True)}
        for name, data in {**files, "manifest.json": json.dumps(listed).encode()}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return str(path)


def test_it_agrees_with_an_inventory(layout: Layout, tmp_path: Path) -> None:
    expected = structure_of(take(layout.folder), commands=False)
    report = run_structure(tmp_path, expected, "--driver", "tar", "--image", save(layout, tmp_path / "image.tar"))
    assert (report["Fail"], report["Pass"]) == (0, 4), json.dumps(report)[:3000]


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("metadataTest", "envVars", 0, "value"), "/bin"),
        (("metadataTest", "labels", 0, "value"), "app:2"),
        (("metadataTest", "entrypoint"), []),
        (("metadataTest", "cmd"), ["bash"]),
        (("metadataTest", "exposedPorts"), ["22"]),
        (("metadataTest", "workdir"), "/"),
        (("metadataTest", "user"), "root"),
        (("fileContentTests", 0, "expectedContents"), ["Ubuntu"]),
        (("fileExistenceTests", 0, "path"), "/usr/bin/python"),
    ],
)
def test_a_fact_that_is_changed_is_found(
    layout: Layout, tmp_path: Path, place: tuple[str | int, ...], value: Any
) -> None:
    expected = structure_of(take(layout.folder), commands=False)
    part: Any = expected
    for key in place[:-1]:
        part = part[key]
    assert part[place[-1]] != value
    part[place[-1]] = value
    report = run_structure(tmp_path, expected, "--driver", "tar", "--image", save(layout, tmp_path / "image.tar"))
    assert report["Fail"] == 1, report


def test_what_is_run_in_the_image_expects_every_package_and_distribution() -> None:
    found = structure_of(inventory(apt=apt(("libstdc++6", "12.2.0-14"), ("zlib1g", "1:1.2.13"))))
    dpkg, version, distributions = found["commandTests"]
    assert dpkg["expectedOutput"] == [
        "(?m)^libstdc\\+\\+6(:amd64)?\t12\\.2\\.0\\-14$",
        "(?m)^zlib1g(:amd64)?\t1:1\\.2\\.13$",
    ]
    assert (version["command"], version["expectedOutput"]) == ("/opt/venv/bin/python", [r"(?m)^Python\ 3\.11\.2$"])
    assert distributions["expectedOutput"] == []

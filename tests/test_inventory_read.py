"""From an image to its inventory: layouts of every kind, the engine's stream, and damage."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.contents import inventory_read
from scripts.contents.inventory import Inventory, render_inventory
from scripts.contents.inventory_read import find_image, read_engine, read_layout, take_inventory
from scripts.contents.layers import LayerError
from scripts.errors import BuildError, UsageError
from tests.images import DEBIAN, INDEX, Layout, inventory_of, make_image, package, wheel

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

BASE = {"etc/os-release": DEBIAN, "var/lib/dpkg/status": package("bash", "5.2-1")}
CONFIG: Mapping[str, Any] = {
    "Env": ["PATH=/bin", "EMPTY=", "EQUALS=a=b"],
    "Entrypoint": ["tini", "--"],
    "Cmd": ["start"],
    "User": "app",
    "WorkingDir": "/srv",
    "ExposedPorts": {"8888/tcp": {}, "22/tcp": {}},
    "Labels": {"ai.vessl.images.id": "app:1"},
}


def take(layout: Path, platform: str | None = None) -> Inventory:
    image = find_image(layout, platform, lambda _: None)
    known: dict[str, Any] = {}
    read_layout(layout, image, known, workers=2)
    return take_inventory(image, known)


@pytest.mark.parametrize("kind", ["tar", "gzip", "zstd"])
def test_an_inventory_of_a_layout(tmp_path: Path, kind: str) -> None:
    layout = Layout(tmp_path)
    entry = layout.image(
        BASE, wheel("numpy", "2.4.5"), {"var/lib/dpkg/status": package("bash", "5.2-2")}, kind=kind, **CONFIG
    )
    layout.index(entry)
    found = take(tmp_path)
    assert found.image.model_dump() == {"digest": entry["digest"], "platform": "linux/amd64", "id": "app:1"}
    assert [(item.name, item.version) for item in found.apt] == [("bash", "5.2-2")]
    assert found.system is not None
    assert found.system.version == "12"
    assert found.python.environments[0].distributions[0].name == "numpy"
    assert [layer.made_by for layer in found.layers] == ["RUN step 0", "RUN step 1", "RUN step 2"]
    assert [layer.distributions for layer in found.layers] == [(), ("numpy",), ()]
    assert all(layer.size == layout.path(layer.digest).stat().st_size for layer in found.layers)
    assert {layer.unpacked for layer in found.layers} == {10240}  # what tar pads such small archives to


def test_every_part_of_the_config(tmp_path: Path) -> None:
    assert inventory_of(tmp_path, BASE, **CONFIG).config.model_dump() == {
        "env": {"PATH": "/bin", "EMPTY": "", "EQUALS": "a=b"},
        "entrypoint": ("tini", "--"),
        "command": ("start",),
        "user": "app",
        "working_dir": "/srv",
        "ports": ("22/tcp", "8888/tcp"),
        "labels": {"ai.vessl.images.id": "app:1"},
    }


def test_an_image_of_another_project_says_what_it_cannot_know(tmp_path: Path) -> None:
    found = inventory_of(tmp_path, {"hello": "x"})
    assert (found.image.id, found.system, found.apt, found.conda) == (None, None, (), ())
    assert (found.python.interpreter, found.python.environments, found.python.asked_by) == (None, (), None)
    assert (found.gpu.libraries, found.gpu.architectures, found.gpu.lowest_driver) == ((), None, None)
    assert (found.config.entrypoint, found.config.command, found.config.user) == (None, None, "")


@pytest.mark.parametrize("config", [{"Env": [1]}, {"Entrypoint": "sh -c x"}, {"Labels": [1]}, {"ExposedPorts": 5}])
def test_a_config_that_is_none_is_said(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(LayerError, match=r"^sha256:.*: its config is malformed$"):
        inventory_of(tmp_path, BASE, **config)


def test_what_else_is_malformed_is_said(tmp_path: Path) -> None:
    with pytest.raises(
        LayerError, match=r"^sha256:\w+: malformed: LayerFacts.made_by: input should be a valid string$"
    ):
        inventory_of(tmp_path, BASE, made_by=5)


def test_of_several_platforms_one_is_taken(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    entries = []
    for number, architecture in enumerate(("arm64", "amd64")):
        entry = layout.image(BASE, platform=f"linux/{architecture}", Env=[f"A={number}"])
        entries.append({**entry, "platform": {"os": "linux", "architecture": architecture}})
    nested = layout.add(json.dumps({"manifests": entries}).encode(), INDEX)
    for top in (entries, [nested]):
        layout.index(*top)
        assert take(tmp_path).image.platform == "linux/amd64"
        assert take(tmp_path, "linux/arm64").image.platform == "linux/arm64"
        with pytest.raises(UsageError, match="no image for linux/s390x, there: linux/amd64, linux/arm64"):
            take(tmp_path, "linux/s390x")


def test_one_image_of_another_platform_than_asked_for_is_said(tmp_path: Path) -> None:
    make_image(tmp_path, BASE)
    assert take(tmp_path, "linux/amd64").image.platform == "linux/amd64"
    with pytest.raises(UsageError, match="is of platform linux/amd64, not linux/arm64"):
        take(tmp_path, "linux/arm64")


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("oci-layout", None, "not an OCI layout: it has no file oci-layout"),
        ("index.json", None, "not a whole OCI layout: .*index.json: No such file or directory"),
        ("index.json", "{", "not an OCI layout: its index is malformed"),
        ("index.json", "[]", "not an OCI layout: its index is malformed"),
        ("index.json", '{"manifests": [1]}', "not an OCI layout: its index is malformed"),
        ("index.json", '{"manifests": [{"digest": "sha256:1"}]}', "sha256:1 cannot be read: No such file"),
        ("index.json", '{"manifests": [{"digest": "sha256:1", "mediaType": "application/vnd.oci.image.index.v1+json"}]}',
         "sha256:1 cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_what_is_no_layout_is_said(tmp_path: Path, name: str, content: str | None, sentence: str) -> None:
    make_image(tmp_path, BASE)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_text(content)
    with pytest.raises(BuildError, match=sentence) as caught:
        take(tmp_path)
    assert caught.value.exit_code == 3


def test_a_layer_that_is_cut_off_or_missing_is_said(tmp_path: Path) -> None:
    layout = make_image(tmp_path, BASE, {"a": "b" * 5000})
    path = layout.path(take(tmp_path).layers[1].digest)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(LayerError, match=r"^sha256:\w+: a layer is damaged: "):
        take(tmp_path)
    path.unlink()
    with pytest.raises(LayerError, match=r"^sha256:\w+: cannot be read: No such file or directory$"):
        take(tmp_path)


def test_a_manifest_or_config_that_was_changed_is_damaged(tmp_path: Path) -> None:
    layout = make_image(tmp_path, BASE)
    digest = take(tmp_path).image.digest
    config = json.loads(layout.path(digest).read_bytes())["config"]["digest"]
    for name in (config, digest):
        layout.path(name).write_bytes(layout.path(name).read_bytes() + b" ")
        with pytest.raises(BuildError, match=rf"{name} is damaged: its bytes are sha256:"):
            take(tmp_path)


def test_a_layer_that_is_known_is_not_read_again(tmp_path: Path) -> None:
    layout = make_image(tmp_path, BASE, {"a": "1"})
    image = find_image(tmp_path, None, print)
    known: dict[str, Any] = {}
    read_layout(tmp_path, image, known)
    for layer in image.layers:
        layout.path(layer.digest).unlink()
    read_layout(tmp_path, image, known)
    assert take_inventory(image, known).apt[0].name == "bash"


class Engine:
    """An engine that has one image, given by a layout, and saves its blobs in an order of the test's."""

    def __init__(self, layout: Layout, digest: str | None) -> None:
        self.layout = layout
        self.digest = digest
        self.lost = ""

    def saved(self, _: str) -> Any:
        blobs = sorted((self.layout.folder / "blobs" / "sha256").iterdir(), reverse=True)
        for path in blobs:
            if path.name != self.lost:
                with path.open("rb") as file:
                    yield f"sha256:{path.name}", file


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    layout = make_image(tmp_path, BASE, wheel("a", "1"))
    made = Engine(layout, json.loads((tmp_path / "index.json").read_text())["manifests"][0]["digest"])
    monkeypatch.setattr(inventory_read, "engine_digest", lambda _: made.digest)
    monkeypatch.setattr(inventory_read, "saved", made.saved)
    return made


def from_engine(platform: str | None = None) -> Inventory:
    known: dict[str, Any] = {}
    return take_inventory(read_engine("app:1", platform, known, lambda _: None), known)


def test_an_image_of_the_engine_is_the_same_as_in_a_layout(engine: Engine) -> None:
    assert render_inventory(from_engine()) == render_inventory(take(engine.layout.folder))


def test_an_image_of_the_engine_may_go_by_its_index_or_its_config(engine: Engine) -> None:
    expected = take(engine.layout.folder)
    manifest = json.loads(engine.layout.path(expected.image.digest).read_bytes())
    engine.digest = manifest["config"]["digest"]
    assert from_engine() == expected
    entry = {"digest": expected.image.digest, "platform": {"os": "linux", "architecture": "amd64"}}
    engine.digest = engine.layout.add(json.dumps({"mediaType": INDEX, "manifests": [entry]}).encode(), INDEX)["digest"]
    assert from_engine() == expected
    with pytest.raises(UsageError, match="app:1: no image for linux/arm64, there: linux/amd64"):
        from_engine("linux/arm64")


def test_what_the_engine_has_not_or_lost_is_said(engine: Engine) -> None:
    layers = take(engine.layout.folder).layers
    engine.lost = layers[0].digest.removeprefix("sha256:")
    with pytest.raises(LayerError, match=f"^app:1: the engine did not save {layers[0].digest}$"):
        from_engine()
    engine.lost = str(engine.digest).removeprefix("sha256:")
    with pytest.raises(LayerError, match=f"^the engine did not save {engine.digest}$"):
        from_engine()
    engine.digest = None
    with pytest.raises(UsageError, match=r"^app:1: the engine has no such image$"):
        from_engine()

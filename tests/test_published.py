"""A published image, read from its layers: as its layout is, and what a registry may do wrong."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scripts.contents.inventory_read import find_image, read_layout
from scripts.errors import RegistryError, UsageError
from scripts.release.published import find_digest, load_published, read_published
from scripts.release.refusal import CorruptError, NotFoundError
from scripts.release.registry import OCI_INDEX, OCI_MANIFEST, Manifest
from tests.faulty_registry import FaultyRegistry, connect
from tests.images import LAYERS, REPOSITORY, Layout, make_image, publish
from tests.memory_registry import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.reference import Digest, Repository
    from scripts.release.transport import Transport


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def transport() -> Iterator[Transport]:
    with connect() as client:
        yield client.transport


@pytest.fixture
def repository(registry: FaultyRegistry) -> Repository:
    return registry.repository(REPOSITORY)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return make_image(tmp_path / "layout", *LAYERS)


@pytest.fixture
def image(registry: FaultyRegistry, layout: Layout) -> Manifest:
    return publish(registry, layout, "1", "1-r1")


def read(transport: Transport, place: Digest) -> dict[str, Any]:
    """What is read of the layers of a published image, by digest."""
    known: dict[str, Any] = {}
    read_published(transport, place, load_published(transport, place, None), known, lambda _: None)
    return known


def test_a_published_image_reads_as_its_layout_does(
    transport: Transport, repository: Repository, image: Manifest, layout: Layout
) -> None:
    place = find_digest(transport, repository.tag("1-r1"), None, print)
    assert place == repository.digest(image.digest) == find_digest(transport, place, None, print)
    local: dict[str, Any] = {}
    read_layout(layout.folder, find_image(layout.folder, None, print), local)
    assert read(transport, place) == local


def test_layers_that_are_known_are_not_asked_for(
    registry: FaultyRegistry, transport: Transport, repository: Repository, image: Manifest
) -> None:
    place = repository.digest(image.digest)
    known = read(transport, place)
    before = len(registry.requests)
    read_published(transport, place, load_published(transport, place, None), known, pytest.fail)
    assert [str(seen) for seen in registry.requests[before:] if "/blobs/" in seen.path] == [
        f"GET /v2/{REPOSITORY}/blobs/{json.loads(image.content)['config']['digest']}"
    ]


def test_no_file_is_left_behind(
    transport: Transport, repository: Repository, image: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(work))
    read(transport, repository.digest(image.digest))
    assert list(work.iterdir()) == []


def test_of_an_index_the_image_of_a_platform_is_found(
    registry: FaultyRegistry, transport: Transport, repository: Repository, tmp_path: Path
) -> None:
    entries = []
    for architecture in ("amd64", "arm64"):
        made = publish(registry, make_image(tmp_path / architecture, *LAYERS, platform=f"linux/{architecture}"))
        platform = {"os": "linux", "architecture": architecture}
        entries.append({"mediaType": OCI_MANIFEST, "digest": made.digest, "size": 1, "platform": platform})
    registry.put(json.dumps({"mediaType": OCI_INDEX, "manifests": entries}).encode(), OCI_INDEX, "1", name=REPOSITORY)
    said: list[str] = []
    assert find_digest(transport, repository.tag("1"), None, said.append).value == entries[0]["digest"]
    assert said == [f"{repository}:1: has 2 platforms, taking linux/amd64 (--platform takes another)"]
    arm = find_digest(transport, repository.tag("1"), "linux/arm64", said.append)
    assert arm.value == entries[1]["digest"]
    with pytest.raises(UsageError, match="is of platform linux/arm64, not linux/amd64"):
        load_published(transport, arm, "linux/amd64")
    registry.put(json.dumps({"mediaType": OCI_INDEX, "manifests": [1]}).encode(), OCI_INDEX, "2", name=REPOSITORY)
    with pytest.raises(RegistryError, match=f"^{repository}:2: its index is malformed"):
        find_digest(transport, repository.tag("2"), None, print)


def test_what_is_not_there_or_no_image_is_said(
    registry: FaultyRegistry, transport: Transport, repository: Repository
) -> None:
    with pytest.raises(NotFoundError, match="check the name, and that it was pushed"):
        find_digest(transport, repository.tag("2"), None, print)
    digest = registry.put(b'{"mediaType": "application/vnd.oci.image.manifest.v1+json"}', OCI_MANIFEST, name=REPOSITORY)
    with pytest.raises(RegistryError, match="not an image of OCI's or Docker's kind") as caught:
        load_published(transport, repository.digest(digest), None)
    assert caught.value.exit_code == 4


def test_a_layer_that_comes_damaged_or_not_at_all_is_said(
    registry: FaultyRegistry, transport: Transport, repository: Repository, image: Manifest
) -> None:
    place = repository.digest(image.digest)
    layer = json.loads(image.content)["layers"][0]["digest"]
    content = registry.blobs[REPOSITORY][layer]
    registry.blobs[REPOSITORY][layer] = content[:-9]
    with pytest.raises(CorruptError, match=f"{layer}: what the registry sent, {len(content) - 9} bytes, is "):
        read(transport, place)
    del registry.blobs[REPOSITORY][layer]
    with pytest.raises(NotFoundError, match=layer):
        read(transport, place)


def test_a_layer_that_was_published_damaged_is_said(
    registry: FaultyRegistry, transport: Transport, repository: Repository, image: Manifest
) -> None:
    raw = json.loads(image.content)
    broken = registry.blobs[REPOSITORY][raw["layers"][0]["digest"]][:-9]
    raw["layers"][0]["digest"] = registry.put_blob(broken, REPOSITORY)
    place = repository.digest(registry.put(json.dumps(raw).encode(), OCI_MANIFEST, name=REPOSITORY))
    with pytest.raises(RegistryError, match=f"^{repository}: {sha256(broken)}: a layer is damaged: ") as caught:
        read(transport, place)
    assert caught.value.exit_code == 4

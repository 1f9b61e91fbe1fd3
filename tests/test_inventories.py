"""Inventories beside published images: attached once, found again, and not believed where they do not fit."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.build.layout import Descriptor
from scripts.contents.inventory import MEDIA_TYPE, Inventory, render_inventory
from scripts.release.artifacts import EMPTY, make_artifact
from scripts.release.inventories import find_inventory
from scripts.release.registry import OCI_MANIFEST, Manifest
from tests.faulty_registry import FaultyRegistry, connect, edit, say
from tests.images import LAYERS, REPOSITORY, Layout, make_image, publish
from tests.inventories import attach_inventory
from tests.memory_registry import sha256
from tests.test_inventory_read import take

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.reference import Repository
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


@pytest.fixture
def inventory(layout: Layout) -> Inventory:
    return take(layout.folder)


@pytest.mark.parametrize("api", [True, False])
def test_what_is_attached_is_found(
    registry: FaultyRegistry,
    transport: Transport,
    repository: Repository,
    image: Manifest,
    inventory: Inventory,
    *,
    api: bool,
) -> None:
    registry.referrers_api = api
    said: list[str] = []
    place = repository.digest(image.digest)
    assert find_inventory(transport, place, said.append) is None
    stored = attach_inventory(transport, repository, image, render_inventory(inventory))
    assert stored
    assert find_inventory(transport, place, said.append) == inventory
    assert said == []
    raw = json.loads(registry.manifests[REPOSITORY][stored.digest][1])
    assert raw["artifactType"] == MEDIA_TYPE == raw["layers"][0]["mediaType"]
    assert raw["subject"]["digest"] == image.digest
    assert registry.blobs[REPOSITORY][raw["layers"][0]["digest"]] == render_inventory(inventory)
    assert registry.blobs[REPOSITORY][raw["config"]["digest"]] == EMPTY


@pytest.mark.parametrize("api", [True, False])
def test_attached_twice_it_is_there_once(
    registry: FaultyRegistry,
    transport: Transport,
    repository: Repository,
    image: Manifest,
    inventory: Inventory,
    *,
    api: bool,
) -> None:
    registry.referrers_api = api
    first, second = (attach_inventory(transport, repository, image, render_inventory(inventory)) for _ in "12")
    assert first == second
    made = [content for media, content in registry.manifests[REPOSITORY].values() if media == OCI_MANIFEST]
    assert len(made) == 2


def test_several_that_differ_are_not_believed(
    registry: FaultyRegistry, transport: Transport, repository: Repository, image: Manifest, inventory: Inventory
) -> None:
    content = render_inventory(inventory)
    plant(registry, image, content)
    plant(registry, image, content.replace(b"2.4.5", b"6.6.6"))
    said: list[str] = []
    assert find_inventory(transport, repository.digest(image.digest), said.append) is None
    (line,) = said
    assert line.endswith(": 2 inventories are attached to it, which differ: none is used; reading the layers")


def plant(registry: FaultyRegistry, subject: Manifest, content: bytes, *, name: str = "") -> str:
    """Attach anything as somebody might who may push; gives the blob's digest."""
    digest = registry.put_blob(content, REPOSITORY)
    document = Descriptor(media_type=MEDIA_TYPE, digest=name or digest, size=len(content))
    artifact = make_artifact(MEDIA_TYPE, {}, subject.descriptor, document)
    registry.put(artifact.content, OCI_MANIFEST, name=REPOSITORY)
    return digest


def test_a_tampered_document_is_not_believed(
    registry: FaultyRegistry, transport: Transport, repository: Repository, image: Manifest, inventory: Inventory
) -> None:
    content = render_inventory(inventory)
    digest = plant(registry, image, content)
    registry.blobs[REPOSITORY][digest] = content.replace(b"2.4.5", b"6.6.6")
    registry.fail("GET", f"blobs/{digest}", edit(Docker_Content_Digest=digest), times=9)
    said: list[str] = []
    assert find_inventory(transport, repository.digest(image.digest), said.append) is None
    (line,) = said
    assert line.startswith(f"{repository}@{image.digest}: the inventory attached to it is not used: ")
    assert "what the registry sent" in line
    assert line.endswith("; reading the layers")


@pytest.mark.parametrize("case", ["of another image", "no inventory", "a version of tomorrow", "not there", "two"])
def test_what_does_not_fit_is_not_believed_and_why_is_said(
    registry: FaultyRegistry,
    transport: Transport,
    repository: Repository,
    image: Manifest,
    inventory: Inventory,
    case: str,
) -> None:
    content = render_inventory(inventory)
    other = content.replace(image.digest.encode(), sha256(b"x").encode())
    planted = {
        "of another image": (other, f"it is the inventory of {sha256(b'x')}, not of {image.digest}"),
        "no inventory": (b"{}", "not an inventory: expected JSON"),
        "a version of tomorrow": (content.replace(b'"version":1}', b'"version":2}'), "an inventory of version 2"),
        "not there": (content, "404"),
        "two": (content, "not an artifact with a subject and one document"),
    }
    text, why = planted[case]
    digest = plant(registry, image, text)
    if case == "not there":
        del registry.blobs[REPOSITORY][digest]
    if case == "two":
        for own, (kind, manifest) in list(registry.manifests[REPOSITORY].items()):
            raw = json.loads(manifest)
            if raw.get("subject"):
                del registry.manifests[REPOSITORY][own]
                registry.put(json.dumps({**raw, "layers": raw["layers"] * 2}).encode(), kind, name=REPOSITORY)
    said: list[str] = []
    assert find_inventory(transport, repository.digest(image.digest), said.append) is None
    (line,) = said
    assert why in line
    assert line.endswith("; reading the layers")


def test_a_list_of_referrers_that_lies_about_the_subject_is_not_believed(
    registry: FaultyRegistry,
    transport: Transport,
    repository: Repository,
    image: Manifest,
    inventory: Inventory,
    tmp_path: Path,
) -> None:
    other = publish(registry, make_image(tmp_path / "other", *LAYERS, {"a": "1"}))
    plant(registry, other, render_inventory(inventory))
    listed = registry._referrers(None, REPOSITORY, other.digest)  # type: ignore[arg-type]
    registry.fail("GET", "referrers/", edit(body=listed.body))
    said: list[str] = []
    assert find_inventory(transport, repository.digest(image.digest), said.append) is None
    assert f"its subject is {other.digest}" in said[0]


def test_the_first_that_fits_is_taken_and_those_before_are_told_of(
    registry: FaultyRegistry, transport: Transport, repository: Repository, image: Manifest, inventory: Inventory
) -> None:
    plant(registry, image, b"{}")
    plant(registry, image, render_inventory(inventory))
    said: list[str] = []
    assert find_inventory(transport, repository.digest(image.digest), said.append) == inventory
    assert len(said) == 1


def test_a_registry_that_lists_no_referrers_has_none(
    registry: FaultyRegistry, transport: Transport, repository: Repository, image: Manifest
) -> None:
    registry.fail("GET", "referrers/", say(403), times=9)
    said: list[str] = []
    assert find_inventory(transport, repository.digest(image.digest), said.append) is None
    assert "403" in said[0]
    assert said[0].endswith("; reading the layers")

"""The client against a registry that others wrote: Debian's docker-registry, with and without login and deletion."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from scripts.errors import RegistryError
from scripts.release.credentials import Credential
from scripts.release.download import copy_blob, get_blob
from scripts.release.patience import Patience
from scripts.release.referrers import attach, list_referrers
from scripts.release.refusal import DeniedError, UnsupportedError
from scripts.release.registry import (
    MEDIA_TYPES,
    OCI_INDEX,
    OCI_MANIFEST,
    Manifest,
    delete_manifest,
    digest_of,
    get_manifest,
    has_blob,
    head_manifest,
    list_tags,
    put_manifest,
    retag,
)
from scripts.release.session import start
from scripts.release.transport import Transport
from scripts.release.upload import Blob, Outcome, upload_blob, upload_blobs
from tests.registries import LOGIN, RealRegistry, serve_registry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.release.reference import Repository

pytestmark = pytest.mark.engine

CONFIG = b'{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[RealRegistry]:
    with serve_registry(tmp_path / "registry", delete=True) as found:
        yield found


@pytest.fixture
def transport() -> Iterator[Transport]:
    with Transport(credentials=lambda _: None, patience=Patience(first=0.05)) as found:
        yield found


def make(folder: Path, content: bytes) -> Blob:
    path = folder / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    return Blob(digest=f"sha256:{path.name}", size=len(content), path=path)


@dataclass(frozen=True)
class Image:
    """An image of two blobs, as it is in a layout."""

    manifest: Manifest
    blobs: tuple[Blob, ...]

    def push(self, transport: Transport, repository: Repository, tag: str) -> dict[str, Outcome]:
        found = upload_blobs(transport, repository, self.blobs)
        put_manifest(transport, repository.tag(tag), self.manifest)
        return dict(found)


def make_image(folder: Path, layer: bytes, media_type: str = OCI_MANIFEST) -> Image:
    config, data = make(folder, CONFIG), make(folder, layer)
    docker = "docker" in media_type
    kinds = (
        ("application/vnd.docker.container.image.v1+json", "application/vnd.docker.image.rootfs.diff.tar.gzip")
        if docker
        else ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+zstd")
    )
    entries = [
        {"mediaType": kind, "digest": blob.digest, "size": blob.size}
        for kind, blob in zip(kinds, (config, data), strict=True)
    ]
    content = {"schemaVersion": 2, "mediaType": media_type, "config": entries[0], "layers": entries[1:]}
    return Image(Manifest(media_type=media_type, content=json.dumps(content, indent=1).encode()), (config, data))


def test_an_image_goes_in_and_comes_out_byte_for_byte(
    registry: RealRegistry, transport: Transport, tmp_path: Path
) -> None:
    repository = registry.repository()
    assert list_tags(transport, repository) == ()
    assert head_manifest(transport, repository.tag("1")) is None
    image = make_image(tmp_path, os.urandom(5_000_000))
    assert set(image.push(transport, repository, "1-r1").values()) == {Outcome.SENT}
    assert set(image.push(transport, repository, "1-r1").values()) == {Outcome.PRESENT}
    assert retag(transport, repository.tag("1-r1"), repository.tag("1")) == image.manifest.descriptor
    assert list_tags(transport, repository) == ("1", "1-r1")
    for reference in (repository.tag("1"), repository.digest(image.manifest.digest)):
        assert head_manifest(transport, reference) == image.manifest.descriptor
        assert get_manifest(transport, reference) == image.manifest
    layer = image.blobs[1]
    assert has_blob(transport, repository.digest(layer.digest), size=layer.size)
    assert get_blob(transport, repository.digest(layer.digest)) == layer.path.read_bytes()


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_a_manifest_of_each_kind(registry: RealRegistry, transport: Transport, tmp_path: Path, media_type: str) -> None:
    repository = registry.repository()
    docker = "docker" in media_type
    image = make_image(tmp_path, b"layer", MEDIA_TYPES[3] if docker else OCI_MANIFEST)
    image.push(transport, repository, "1")
    manifest = image.manifest
    if media_type in {OCI_INDEX, MEDIA_TYPES[2]}:
        entry = {"mediaType": manifest.media_type, "digest": manifest.digest, "size": len(manifest.content)}
        platform = {"architecture": "amd64", "os": "linux"}
        content = {"schemaVersion": 2, "mediaType": media_type, "manifests": [{**entry, "platform": platform}]}
        manifest = Manifest(media_type=media_type, content=json.dumps(content).encode())
        put_manifest(transport, repository.tag("1"), manifest)
    assert get_manifest(transport, repository.tag("1")) == manifest
    assert head_manifest(transport, repository.tag("1")) == manifest.descriptor


@pytest.mark.parametrize("size", [0, 1, 999, 3_000_000])
@pytest.mark.parametrize("chunk", [None, 1_000_000])
def test_a_blob_of_any_size_whole_or_in_chunks(
    registry: RealRegistry, transport: Transport, tmp_path: Path, size: int, chunk: int | None
) -> None:
    blob = make(tmp_path, os.urandom(size))
    assert upload_blob(transport, registry.repository(), blob, chunk=chunk) is Outcome.SENT
    with (tmp_path / "back").open("wb") as file:
        assert copy_blob(transport, registry.repository().digest(blob.digest), file) == size
    assert digest_of((tmp_path / "back").read_bytes()) == blob.digest


def test_a_blob_is_mounted(registry: RealRegistry, transport: Transport, tmp_path: Path) -> None:
    blob = make(tmp_path, b"shared" * 1000)
    upload_blob(transport, registry.repository("base"), blob)
    sources = [registry.repository("none"), registry.repository("base")]
    assert upload_blob(transport, registry.repository(), blob, sources=sources) is Outcome.MOUNTED
    assert has_blob(transport, registry.repository().digest(blob.digest), size=blob.size)


def test_an_upload_is_asked_how_far_it_is_and_goes_on(
    registry: RealRegistry, transport: Transport, tmp_path: Path
) -> None:
    content = os.urandom(2_000_000)
    blob = make(tmp_path, content)
    target = registry.repository().digest(blob.digest)
    session = start(transport, target)
    session.send_chunk(content[:1_500_000])
    session.offset = None
    assert session.ask()
    assert session.offset == 1_500_000
    session.send_chunk(content[1_500_000:])
    session.finish()
    assert has_blob(transport, target, size=blob.size)


def test_an_upload_that_is_given_up_is_forgotten(registry: RealRegistry, transport: Transport, tmp_path: Path) -> None:
    blob = make(tmp_path, b"x" * 1000)
    session = start(transport, registry.repository().digest(blob.digest))
    session.send_chunk(b"x" * 500)
    session.cancel()
    assert not session.ask()


def test_what_points_to_nothing_is_refused(registry: RealRegistry, transport: Transport, tmp_path: Path) -> None:
    image = make_image(tmp_path, b"never sent")
    with pytest.raises(RegistryError) as caught:
        put_manifest(transport, registry.repository().tag("1"), image.manifest)
    unknown = "MANIFEST_BLOB_UNKNOWN: blob unknown to registry"
    assert str(caught.value) == (
        f"{registry.repository()}: storing manifest 1: got 400 Bad Request ({unknown}; {unknown})"
    )


@pytest.mark.parametrize("chunk", [None, 1_000_000])
def test_a_connection_that_breaks_in_the_middle_of_an_upload(
    registry: RealRegistry, transport: Transport, tmp_path: Path, chunk: int | None
) -> None:
    blob = make(tmp_path, os.urandom(5_000_000))
    breaks = [2_500_000, 1_500_000]

    def cut(_: Blob, sent: int, outcome: Outcome | None) -> None:
        if breaks and sent > breaks[-1] and outcome is None:
            breaks.pop()
            raise ConnectionResetError

    assert upload_blob(transport, registry.repository(), blob, chunk=chunk, progress=cut) is Outcome.SENT
    assert breaks == []
    assert get_blob(transport, registry.repository().digest(blob.digest)) == blob.path.read_bytes()


def test_what_is_attached_is_listed_by_tag_where_there_is_no_api(
    registry: RealRegistry, transport: Transport, tmp_path: Path
) -> None:
    repository = registry.repository()
    image = make_image(tmp_path, b"layer")
    image.push(transport, repository, "1")
    subject = repository.digest(image.manifest.digest)
    assert list_referrers(transport, subject) == ()
    empty = make(tmp_path, b"{}")
    upload_blob(transport, repository, empty)
    entry = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty.digest, "size": empty.size}
    content = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": "application/vnd.x", "config": entry}
    content |= {"layers": [entry], "subject": {"mediaType": OCI_MANIFEST, "digest": subject.value, "size": 1}}
    stored = attach(transport, repository, Manifest(media_type=OCI_MANIFEST, content=json.dumps(content).encode()))
    (found,) = list_referrers(transport, subject, "application/vnd.x")
    assert found.descriptor == stored
    assert list_tags(transport, repository) == ("1", subject.value.replace(":", "-"))


def test_a_digest_is_deleted_with_its_tags(registry: RealRegistry, transport: Transport, tmp_path: Path) -> None:
    repository = registry.repository()
    image = make_image(tmp_path, b"layer")
    image.push(transport, repository, "1")
    delete_manifest(transport, repository.digest(image.manifest.digest))
    assert head_manifest(transport, repository.tag("1")) is None


def test_a_registry_that_does_not_delete_says_so(transport: Transport, tmp_path: Path) -> None:
    with serve_registry(tmp_path / "registry") as registry:
        repository = registry.repository()
        image = make_image(tmp_path, b"layer")
        image.push(transport, repository, "1")
        with pytest.raises(UnsupportedError) as caught:
            delete_manifest(transport, repository.digest(image.manifest.digest))
        assert str(caught.value) == (
            f"{repository}: deletion of {image.manifest.digest}: got 405 Method Not Allowed (UNSUPPORTED: The operation "
            "is unsupported.): this registry does not do that, or is set up not to"
        )
        assert head_manifest(transport, repository.tag("1")) == image.manifest.descriptor


def test_a_login_is_needed_and_found(tmp_path: Path) -> None:
    image = make_image(tmp_path, os.urandom(100_000))
    wrong = Credential(username=LOGIN.username, password=f"not-{LOGIN.password}")
    with serve_registry(tmp_path / "registry", login=True) as registry:
        for credential in (None, wrong):
            with Transport(credentials={registry.host: credential}.get) as transport:
                began = time.monotonic()
                with pytest.raises(DeniedError) as caught:
                    list_tags(transport, registry.repository())
                assert time.monotonic() - began < 2
                assert str(caught.value) == (
                    f"{registry.repository()}: list of its tags: got 401 Unauthorized (UNAUTHORIZED: authentication "
                    f"required): log in with `docker login {registry.host}`"
                )
        with Transport(credentials={registry.host: LOGIN}.get) as transport:
            image.push(transport, registry.repository(), "1")
            assert get_manifest(transport, registry.repository().tag("1")) == image.manifest

"""Layers as streams: every compression, damage of every kind, and the engine's own order of blobs."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from scripts.contents.layers import LayerError, entries, image_of, load_image, open_layer, plain
from scripts.contents.leftovers import Kind, Markers
from scripts.contents.scan import Cache, scan_engine, scan_layout
from tests.smoke import test_layers as checks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

AMD64 = "linux/amd64"
PACK: Mapping[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar+gzip": lambda data: gzip.compress(data, mtime=0),
    "tar+zstd": lambda data: zstandard.ZstdCompressor().compress(data),
}


def tar(**files: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "/"))
            info.size = len(text)
            info.mtime = 1000 + len(files)
            archive.addfile(info, io.BytesIO(text.encode()))
    return data.getvalue()


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def write_layout(folder: Path, layers: list[tuple[bytes, str]], *, diff_ids: list[str] | None = None) -> str:
    """An OCI layout of these tar archives, each with the end of its media type; gives the digest of the manifest."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def add(data: bytes) -> dict[str, Any]:
        (blobs / sha(data).removeprefix("sha256:")).write_bytes(data)
        return {"digest": sha(data), "size": len(data)}

    packed = [
        add(PACK[kind](data)) | {"mediaType": f"application/vnd.oci.image.layer.v1.{kind}"} for data, kind in layers
    ]
    steps = ["ADD base", "RUN make"][: len(layers)]
    history = [{"created_by": "ENV A=b", "empty_layer": True}, *({"created_by": step} for step in steps)]
    ids = diff_ids or [sha(data) for data, _ in layers]
    config = {"rootfs": {"diff_ids": ids}, "history": history, "config": {"Env": ["A=b"]}}
    manifest = {"config": add(json.dumps(config).encode()), "layers": packed}
    return str(add(json.dumps(manifest).encode())["digest"])


@pytest.mark.parametrize("kind", PACK)
def test_reads_every_compression(tmp_path: Path, kind: str) -> None:
    digest = write_layout(tmp_path, [(tar(etc__a="1", etc__b="22"), kind), (tar(opt__c="333"), kind)])
    image = load_image(tmp_path, digest)
    assert [layer.created_by for layer in image.layers] == ["ADD base", "RUN make"]
    assert image.config["config"] == {"Env": ["A=b"]}
    with open_layer(tmp_path, image.layers[0]) as stream:
        assert [(entry.name, read()) for entry, read in entries(stream)] == [("etc/a", b"1"), ("etc/b", b"22")]
        assert stream.digest() == image.layers[0].diff_id


def test_the_digest_is_of_all_bytes_also_of_those_behind_the_archive() -> None:
    data = tar(a="1") + b"\0" * 30000
    stream = plain(io.BytesIO(data))
    assert [entry.name for entry, _ in entries(stream)] == ["a"]
    assert stream.digest() == sha(data)


@pytest.mark.parametrize("kind", PACK)
def test_a_layer_that_is_cut_off_is_damaged(tmp_path: Path, kind: str) -> None:
    digest = write_layout(tmp_path, [(tar(a="x" * 100_000, b="y" * 100_000), kind)])
    (layer,) = load_image(tmp_path, digest).layers
    path = tmp_path / "blobs" / layer.digest.replace(":", "/")
    path.write_bytes(path.read_bytes()[: layer.size // 3])
    with pytest.raises(LayerError, match=r"^a layer is damaged: "), open_layer(tmp_path, layer) as stream:
        list(entries(stream))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    digest = write_layout(tmp_path, [(tar(a="1"), "tar")])
    (layer,) = load_image(tmp_path, digest).layers
    (tmp_path / "blobs" / layer.digest.replace(":", "/")).unlink()
    with (
        pytest.raises(LayerError, match=rf"{layer.digest} cannot be read: No such file"),
        open_layer(tmp_path, layer),
    ):
        pass
    with pytest.raises(LayerError, match=r"sha256:12 cannot be read: No such file"):
        load_image(tmp_path, "sha256:12")


@pytest.mark.parametrize("content", [b"{}", b"[]", b"not JSON", b'{"config": {"digest": "sha256:x"}, "layers": []}'])
def test_what_is_no_image_is_said(content: bytes) -> None:
    with pytest.raises(LayerError, match=r"^sha256:m: not an image of OCI's or Docker's kind: "):
        image_of("sha256:m", lambda name: content if name == "sha256:m" else b"{}")


def cache(folder: Path) -> Cache:
    return Cache(folder / "cache", Markers())


@pytest.mark.parametrize("workers", [1, 2])
def test_scan(tmp_path: Path, workers: int) -> None:
    layers = [(tar(tmp__wheel="1", etc__a="22"), "tar+zstd"), (tar(opt__c="333"), "tar+gzip")]
    digest = write_layout(tmp_path, layers)
    image, scans = scan_layout(tmp_path, digest, cache(tmp_path), workers=workers)
    assert [(scan.entries, scan.size, scan.newest, scan.newest_path) for scan in scans] == [
        (2, 3, 1002, "tmp/wheel"),
        (1, 3, 1001, "opt/c"),
    ]
    assert [scan.diff_id for scan in scans] == [layer.diff_id for layer in image.layers]
    assert [[(item.kind, item.path) for item in scan.findings] for scan in scans] == [
        [(Kind.LEFTOVER, "/tmp/wheel")],
        [],
    ]


def test_a_scan_is_kept_and_is_for_what_was_looked_for(tmp_path: Path) -> None:
    digest = write_layout(tmp_path, [(tar(etc__a="at packages.example"), "tar")])
    _, first = scan_layout(tmp_path, digest, cache(tmp_path))
    (layer,) = load_image(tmp_path, digest).layers
    (tmp_path / "blobs" / layer.digest.replace(":", "/")).unlink()
    assert scan_layout(tmp_path, digest, cache(tmp_path))[1] == first
    with pytest.raises(LayerError):  # what else is looked for was not looked for then
        scan_layout(tmp_path, digest, Cache(tmp_path / "cache", Markers(indexes=(b"packages.example",))))


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"findings": [{"kind": "unknown"}]}'])
def test_a_kept_scan_that_is_damaged_is_made_again(tmp_path: Path, damage: str) -> None:
    digest = write_layout(tmp_path, [(tar(etc__a="1"), "tar")])
    first = scan_layout(tmp_path, digest, cache(tmp_path))
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text(damage)
    assert scan_layout(tmp_path, digest, cache(tmp_path)) == first


def test_a_layer_that_is_not_what_the_config_says(tmp_path: Path) -> None:
    """The fault of the smoke check `layers.intact`, which no engine takes: it unpacks layers, and compares."""
    claims: list[tuple[Any, ...]] = []

    def claim(*said: Any, ok: bool) -> None:
        claims.append((*said, ok))

    data = tar(etc__a="1")
    for diff_id in (sha(data), sha(b"something else")):
        digest = write_layout(tmp_path, [(data, "tar")], diff_ids=[diff_id])
        checks.test_intact(scan_layout(tmp_path, digest, cache(tmp_path)), claim)  # type: ignore[arg-type] # stands for it
    assert claims == [
        ("1 layers", "as the config says", True),
        (f"{sha(data)} is damaged", "as the config says", False),
    ]


@pytest.fixture
def saves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Path]], None]:
    """A docker whose `image save` writes these files of a layout, in this order."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    def answer(paths: list[Path]) -> None:
        names = " ".join(str(path.relative_to(tmp_path)) for path in paths)
        program.write_text(
            f"#!/bin/sh\n[ '{names}' ] || {{ echo 'No such image' >&2; exit 1; }}\ntar -C {tmp_path} -c {names}\n"
        )
        program.chmod(0o755)

    return answer


def test_the_engine_saves_blobs_in_any_order(tmp_path: Path, saves: Callable[[list[Path]], None]) -> None:
    layers = [(tar(tmp__x="1"), "tar+gzip"), (tar(etc__a="1"), "tar")]
    digest = write_layout(tmp_path, layers)
    expected = scan_layout(tmp_path, digest, cache(tmp_path))
    paths = sorted((tmp_path / "blobs" / "sha256").iterdir())
    for number, order in enumerate((paths, paths[::-1])):
        saves(order)
        assert scan_engine("app:1", digest, Cache(tmp_path / str(number), Markers()), AMD64) == expected
        assert scan_engine("app:1", digest, Cache(tmp_path / str(number), Markers()), AMD64) == expected


def write_index(folder: Path, *images: tuple[str, str]) -> str:
    """An index of images, given as digest and platform."""
    entries = [
        {"digest": digest, "platform": dict(zip(("os", "architecture"), platform.split("/"), strict=True))}
        for digest, platform in images
    ]
    data = json.dumps({"manifests": entries}).encode()
    (folder / "blobs" / sha(data).replace(":", "/")).write_bytes(data)
    return sha(data)


def test_an_index_is_looked_through_for_one_platform(tmp_path: Path, saves: Callable[[list[Path]], None]) -> None:
    """As buildx pushes them: for several platforms, or with an attestation of platform unknown."""
    digest = write_layout(tmp_path, [(tar(etc__a="1"), "tar+gzip")])
    expected = scan_layout(tmp_path, digest, cache(tmp_path))
    other = write_layout(tmp_path, [(tar(etc__b="1"), "tar")])
    both = write_index(tmp_path, (other, "unknown/unknown"), (digest, AMD64))
    none = write_index(tmp_path, (other, "linux/arm64"))
    saves(sorted((tmp_path / "blobs" / "sha256").iterdir()))
    assert scan_engine("app:1", both, Cache(tmp_path / "new", Markers()), AMD64) == expected
    with pytest.raises(LayerError, match=rf"^{none}: an index without an image for linux/amd64$"):
        scan_engine("app:1", none, cache(tmp_path), AMD64)


def test_a_folder_of_scans_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    digest = write_layout(tmp_path, [(tar(etc__a="1"), "tar")])
    (tmp_path / "file").touch()
    assert scan_layout(tmp_path, digest, Cache(tmp_path / "file", Markers())) == scan_layout(
        tmp_path, digest, cache(tmp_path)
    )


def test_an_engine_that_cannot_save(tmp_path: Path, saves: Callable[[list[Path]], None]) -> None:
    digest = write_layout(tmp_path, [(tar(a="1"), "tar")])
    saves([])
    with pytest.raises(LayerError, match=r"^app:1: the engine cannot save the image: No such image$"):
        scan_engine("app:1", digest, cache(tmp_path), AMD64)
    (layer,) = load_image(tmp_path, digest).layers
    saves([path for path in (tmp_path / "blobs" / "sha256").iterdir() if path.name not in layer.digest])
    with pytest.raises(LayerError, match=rf"^{layer.digest}: the layer was not there to look through$"):
        scan_engine("app:1", digest, cache(tmp_path), AMD64)

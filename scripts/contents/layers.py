"""The layers of an image, read as streams: from an OCI layout, or out of the engine; nothing is unpacked to disk.

https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import zstandard

from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

BUFFER = 1 << 20
RECORDS = 1 << 15
"""Bytes that tar reads at a time: it copies what is left of them at every entry."""
ZSTD, GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"


class LayerError(BuildError):
    """An image's layers cannot be read: what was built, or came, is damaged or no image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: as it is stored, and what its content is to be."""

    digest: str
    size: int
    """Bytes, compressed."""
    media_type: str
    diff_id: str
    """Digest of the uncompressed tar archive, in the config's words."""
    created_by: str
    """What made it, from the history; empty where that does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image's config (image-spec, config.md) and its layers, lowest first."""

    digest: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]


class Raw(io.RawIOBase):
    """A stream that can only be read, such as a member of a tar archive, as what ``io.BufferedReader`` takes."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; gives how many bytes."""
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class Tail(Raw):
    """A stream that takes the digest of what is read from it, as tar does not read an archive to its very end."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        super().__init__(stream)
        self._hash = hashlib.sha256()

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; gives how many bytes."""
        count = super().readinto(buffer)
        self._hash.update(buffer[:count])
        return count

    def digest(self) -> str:
        """Read what is left, and give the digest of all."""
        while data := self._stream.read(BUFFER):
            self._hash.update(data)
        return f"sha256:{self._hash.hexdigest()}"


def choose_image(digest: str, blob: Callable[[str], bytes], platform: str) -> str:
    """The digest of the image for a platform where ``digest`` is that of an index (image-spec, image-index.md).

    :raises LayerError: if it has none.
    """
    try:
        document = json.loads(blob(digest))
        if "manifests" not in document:
            return digest
        for entry in document["manifests"]:
            found = entry.get("platform") or {}
            if f"{found.get('os')}/{found.get('architecture')}" == platform:
                return str(entry["digest"])
    except (KeyError, ValueError, TypeError) as error:
        raise LayerError(f"{digest}: not an image of OCI's or Docker's kind: {error!r}") from error
    raise LayerError(f"{digest}: an index without an image for {platform}")


def image_of(digest: str, blob: Callable[[str], bytes]) -> Image:
    """Put an image together from its manifest and config.

    :param blob: gives the content of a small blob by its digest.
    :raises LayerError: if one of them is not what it should be.
    """
    try:
        manifest = json.loads(blob(digest))
        config = json.loads(blob(manifest["config"]["digest"]))
        diff_ids = config["rootfs"]["diff_ids"]
        made = [item.get("created_by", "") for item in config.get("history", ()) if not item.get("empty_layer")]
        if len(made) != len(diff_ids):
            made = [""] * len(diff_ids)  # some tools write no history, or one that leaves layers out
        layers = tuple(
            Layer(
                digest=item["digest"],
                size=item["size"],
                media_type=item["mediaType"],
                diff_id=diff_id,
                created_by=created_by,
            )
            for item, diff_id, created_by in zip(manifest["layers"], diff_ids, made, strict=True)
        )
    except (KeyError, ValueError, TypeError) as error:
        raise LayerError(f"{digest}: not an image of OCI's or Docker's kind: {error!r}") from error
    return Image(digest=digest, config=config, layers=layers)


def load_image(layout: Path, digest: str) -> Image:
    """An image of an OCI layout.

    :raises LayerError: if a blob is missing or the image is not well formed.
    """
    return image_of(digest, lambda name: _read(layout, name))


@contextmanager
def open_layer(layout: Path, layer: Layer) -> Iterator[Tail]:
    """The uncompressed tar archive of a layer of an OCI layout.

    :raises LayerError: if the blob is missing.
    """
    try:
        with path_of(layout, layer.digest).open("rb") as blob:
            yield plain(blob)
    except OSError as error:
        raise LayerError(f"{layout}: {layer.digest} cannot be read: {error.strerror or error}") from error


def path_of(layout: Path, digest: str) -> Path:
    """Where a layout keeps a blob."""
    return layout / "blobs" / digest.replace(":", "/")


def plain(blob: IO[bytes]) -> Tail:
    """What a blob is uncompressed, with the digest of that."""
    return Tail(decompress(blob))


def decompress(blob: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    """What a blob is uncompressed, by its own first bytes: zstd, gzip, or as it is."""
    buffered = io.BufferedReader(blob, BUFFER) if isinstance(blob, io.RawIOBase) else blob
    start = buffered.peek(4)[:4] if isinstance(buffered, io.BufferedReader) else b""
    if start == ZSTD:
        return zstandard.ZstdDecompressor().stream_reader(buffered, read_across_frames=True)
    return gzip.GzipFile(fileobj=buffered) if start[:2] == GZIP else buffered


def entries(stream: Raw) -> Iterator[tuple[tarfile.TarInfo, Callable[[], bytes]]]:
    """Every entry of a layer, whiteouts too, with a function that reads a file's content; to be used one by one.

    :raises LayerError: if the archive is damaged or cut off.
    """
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=RECORDS) as archive:
            for entry in archive:
                yield entry, lambda entry=entry: _content(archive, entry)  # type: ignore[misc]
    except (tarfile.TarError, zstandard.ZstdError, EOFError, OSError) as error:
        raise LayerError(f"a layer is damaged: {error}") from error


def saved(reference: str) -> Iterator[tuple[str, IO[bytes]]]:
    """Digest and content of each blob of an image that the engine has, as ``docker save`` writes them: in any order.

    :raises LayerError: if the engine cannot.
    """
    command = ["docker", "image", "save", reference]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout  # noqa: S101 - it was asked for
        assert process.stderr  # noqa: S101
        try:
            with tarfile.open(fileobj=process.stdout, mode="r|", bufsize=BUFFER) as archive:
                for entry in archive:
                    folder, _, name = entry.name.rpartition("/")
                    if folder.startswith("blobs/") and (file := archive.extractfile(entry)):
                        yield f"{folder.removeprefix('blobs/')}:{name}", file
        except tarfile.TarError as error:
            said = process.stderr.read().decode(errors="replace").strip()
            raise LayerError(f"{reference}: the engine cannot save the image: {said or error}") from error
        finally:
            process.kill()


def _content(archive: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(entry)
    return file.read() if file else b""


def _read(layout: Path, digest: str) -> bytes:
    try:
        return path_of(layout, digest).read_bytes()
    except OSError as error:
        raise LayerError(f"{layout}: {digest} cannot be read: {error.strerror}") from error

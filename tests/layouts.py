"""OCI layouts of made-up layers, for the tests of what reads images."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import zstandard

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """An entry of a layer; one with a ``target`` is a link, or a hard link with ``hard``."""

    text: str = ""
    data: bytes = b""
    """In place of a text."""
    mode: int = 0o644
    owner: tuple[int, int] = (0, 0)
    mtime: int = 315532800
    target: str = ""
    hard: bool = False
    folder: bool = False


def archive(entries: Mapping[str, Made]) -> bytes:
    """A tar archive of these paths, in this order."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for path, made in entries.items():
            info = tarfile.TarInfo(path)
            info.mode, info.mtime, (info.uid, info.gid) = made.mode, made.mtime, made.owner
            content = made.data or made.text.encode()
            info.size = len(content)
            if made.folder:
                info.type = tarfile.DIRTYPE
            elif made.target:
                info.type, info.linkname = (tarfile.LNKTYPE if made.hard else tarfile.SYMTYPE), made.target
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def write_layout(
    folder: Path, layers: Sequence[tuple[str, Mapping[str, Made]]], config: Mapping[str, Any] | None = None
) -> str:
    """A layout of an image with these layers, each with what made it; gives the digest of the image."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def add(data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    archives = [archive(entries) for _, entries in layers]
    packed = [
        add(zstandard.ZstdCompressor().compress(data)) | {"mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"}
        for data in archives
    ]
    whole = {
        "rootfs": {"diff_ids": [f"sha256:{hashlib.sha256(data).hexdigest()}" for data in archives]},
        "history": [{"created_by": made_by} for made_by, _ in layers],
        **(config or {}),
    }
    config_type = {"mediaType": "application/vnd.oci.image.config.v1+json"}
    kind = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
    manifest = {**kind, "config": add(json.dumps(whole).encode()) | config_type, "layers": packed}
    described = add(json.dumps(manifest).encode())
    index = {"manifests": [{"mediaType": "application/vnd.oci.image.manifest.v1+json", **described}]}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    return str(described["digest"])

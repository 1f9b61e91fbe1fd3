"""Whether an OCI layout still is what was built: every blob's content against the digest in its name."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def faults_of(layout: Path, digest: str) -> tuple[str, ...]:
    """What is wrong with a layout of the image ``digest``, a sentence each; reads all of it, some seconds a gigabyte.

    https://github.com/opencontainers/image-spec/blob/main/image-layout.md
    """
    return tuple(_faults(layout, digest))


def _faults(layout: Path, digest: str) -> Iterator[str]:
    paths = sorted(path for path in (layout / "blobs" / "sha256").iterdir() if path.is_file())
    with ThreadPoolExecutor(2) as pool:  # hashing lets go of the interpreter's lock
        for path, found in zip(paths, pool.map(_digest_of, paths), strict=True):
            if found != f"sha256:{path.name}":
                yield f"sha256:{path.name} is damaged: its content is {found}"
    there = {f"sha256:{path.name}" for path in paths}
    try:
        named = [entry["digest"] for entry in _json(layout / "index.json")["manifests"]]
        if named != [digest]:
            yield f"index.json names {', '.join(named) or 'nothing'} in place of {digest}"
        manifest = _json(layout / "blobs" / digest.replace(":", "/"))
        wanted = [manifest.get("config"), *manifest.get("layers", ())]
        yield from (f"{item['digest']} is missing" for item in wanted if item and item["digest"] not in there)
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"its index or image manifest cannot be read: {getattr(error, 'strerror', None) or repr(error)}"


def _json(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _digest_of(path: Path) -> str:
    with path.open("rb") as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"

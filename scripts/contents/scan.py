"""Look through every layer of an image once; what was found in one is kept by its digest, as layers are shared."""

from __future__ import annotations

import hashlib
import io
import json
import os
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.contents.layers import (
    Image,
    Layer,
    LayerError,
    Raw,
    Tail,
    choose_image,
    entries,
    image_of,
    load_image,
    open_layer,
    plain,
    saved,
)
from scripts.contents.leftovers import Finding, Kind, Markers, inspect_entry

if TYPE_CHECKING:
    from collections.abc import Iterable

MODULES = ("layers.py", "leftovers.py", "scan.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What is in a layer, as far as somebody looks for it."""

    entries: int
    size: int
    """Bytes of all files, unpacked."""
    diff_id: str
    """Digest of the uncompressed archive, as measured."""
    newest: float
    """The latest time of an entry, in seconds since 1970,"""
    newest_path: str
    """and which has it."""
    findings: tuple[Finding, ...]


def scan_stream(stream: Tail, markers: Markers) -> Scan:
    """Look through a layer.

    :raises LayerError: if it is damaged.
    """
    count = size = 0
    newest, newest_path = 0.0, ""
    findings: list[Finding] = []
    for entry, read in entries(stream):
        count += 1
        size += entry.size
        if entry.mtime > newest:
            newest, newest_path = entry.mtime, entry.name
        findings += inspect_entry(entry, read, markers)
    return Scan(
        entries=count,
        size=size,
        diff_id=stream.digest(),
        newest=newest,
        newest_path=newest_path,
        findings=tuple(findings),
    )


class Cache:
    """Scans by the digest of the layer, what is looked for, and the code that looks."""

    def __init__(self, directory: Path, markers: Markers) -> None:
        here = Path(__file__).parent
        sources = b"".join((here / name).read_bytes() for name in MODULES)
        self.directory = directory
        self.markers = markers
        self._scans: dict[str, Scan] = {}
        self.key = hashlib.sha256(sources + repr(markers).encode()).hexdigest()[:16]

    def load(self, digest: str) -> Scan | None:
        """The scan of a layer, or None where there is none that can be read."""
        if digest in self._scans:
            return self._scans[digest]
        try:
            raw = json.loads(self._path(digest).read_text(encoding="utf-8"))
            findings = tuple(Finding(**{**item, "kind": Kind(item["kind"])}) for item in raw["findings"])
            return Scan(**{**raw, "findings": findings})
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def save(self, digest: str, scan: Scan) -> None:
        """Keep the scan of a layer; on disk too if that can be written to, for the next run."""
        self._scans[digest] = scan
        path = self._path(digest)
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            work = path.with_name(f".{path.name}.{os.getpid()}")
            work.write_text(json.dumps(asdict(scan)), encoding="utf-8")
            work.replace(path)

    def _path(self, digest: str) -> Path:
        return self.directory / f"{digest.replace(':', '-')}.{self.key}.json"


def scan_layout(layout: Path, digest: str, cache: Cache, *, workers: int = 1) -> tuple[Image, tuple[Scan, ...]]:
    """Look through the layers of an image of an OCI layout.

    :param workers: how many layers at a time.
    :raises LayerError: if one is missing or damaged.
    """
    image = load_image(layout, digest)
    missing = [layer for layer in image.layers if cache.load(layer.digest) is None]
    missing.sort(key=lambda layer: -layer.size)  # so that the largest is not the last one to be begun
    if workers > 1 and len(missing) > 1:
        with ProcessPoolExecutor(workers) as pool:
            scans = pool.map(_scan_one, [layout] * len(missing), missing, [cache.markers] * len(missing))
            for layer, scan in zip(missing, scans, strict=True):
                cache.save(layer.digest, scan)
    else:
        for layer in missing:
            cache.save(layer.digest, _scan_one(layout, layer, cache.markers))
    return image, _cached(image.layers, cache)


def scan_engine(reference: str, digest: str, cache: Cache, platform: str) -> tuple[Image, tuple[Scan, ...]]:
    """Look through the layers of an image that only the engine has, in one pass over what it saves.

    :param platform: which image is meant if ``digest`` is that of an index, such as linux/amd64.
    :raises LayerError: if the engine cannot save it, or a layer is damaged.
    """
    documents: dict[str, bytes] = {}
    for name, stream in saved(reference):
        if cache.load(name):
            continue
        buffered = io.BufferedReader(Raw(stream))
        if buffered.peek(1)[:1] == b"{":
            documents[name] = buffered.read()
        else:
            cache.save(name, scan_stream(plain(buffered), cache.markers))

    def blob(name: str) -> bytes:
        if name not in documents:
            raise LayerError(f"{reference}: the engine did not save {name}")
        return documents[name]

    image = image_of(choose_image(digest, blob, platform), blob)
    return image, _cached(image.layers, cache)


def _scan_one(layout: Path, layer: Layer, markers: Markers) -> Scan:
    with open_layer(layout, layer) as stream:
        return scan_stream(stream, markers)


def _cached(layers: Iterable[Layer], cache: Cache) -> tuple[Scan, ...]:
    found = []
    for layer in layers:
        scan = cache.load(layer.digest)
        if scan is None:
            raise LayerError(f"{layer.digest}: the layer was not there to look through")
        found.append(scan)
    return tuple(found)

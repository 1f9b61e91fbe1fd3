"""Images of a few files for tests that read them: OCI layouts with real archives, by what is in each layer."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import zstandard

from scripts.contents.inventory_read import find_image, read_layout, take_inventory
from scripts.release.registry import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.contents.inventory import Inventory
    from tests.memory_registry import MemoryRegistry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
Files = Mapping[str, "str | tuple[str, str] | None"]
"""Content by path; None: a directory; ("symlink" or "link", target)."""

REPOSITORY = "vessl-ai/torch"
"""Where tests publish."""
DEBIAN = 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\n'


def sha(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tar_of(files: Files) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, tuple):
                info.type = tarfile.SYMTYPE if content[0] == "symlink" else tarfile.LNKTYPE
                info.linkname = content[1]
            else:
                info.size = len(content.encode())
            body = content.encode() if isinstance(content, str) else b""
            archive.addfile(info, io.BytesIO(body))
    return data.getvalue()


def pack(data: bytes, kind: str) -> bytes:
    if kind == "zstd":
        return zstandard.ZstdCompressor().compress(data)
    return gzip.compress(data, mtime=0) if kind == "gzip" else data


def package(
    name: str, version: str, source: str = "", *, status: str = "install ok installed", arch: str = "amd64"
) -> str:
    """A paragraph of dpkg's status."""
    lines = [f"Package: {name}", f"Status: {status}", f"Architecture: {arch}", f"Version: {version}"]
    return "\n".join([*lines, *([f"Source: {source}"] if source else []), "Description: some thing", " of use\n\n"])


def wheel(
    name: str, version: str, *, where: str = "opt/venv/lib/python3.11/site-packages", asked: bool = False
) -> dict[str, str]:
    """The files of a distribution that uv installed."""
    info = f"{where}/{name.replace('-', '_').lower()}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nName: not this\n"
    files = {f"{info}/METADATA": metadata, f"{info}/INSTALLER": "uv"}
    return files | ({f"{info}/REQUESTED": ""} if asked else {})


class Layout:
    """An OCI layout that a test puts images into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def add(self, data: bytes, media_type: str) -> dict[str, Any]:
        self.path(sha(data)).write_bytes(data)
        return {"mediaType": media_type, "digest": sha(data), "size": len(data)}

    def path(self, digest: str) -> Path:
        return self.folder / "blobs" / digest.replace(":", "/")

    def image(
        self, *layers: Files, kind: str = "zstd", platform: str = "linux/amd64", made_by: Any = "", **config: Any
    ) -> dict[str, Any]:
        """Add an image; gives its descriptor. ``config`` is what image-spec has under that name: Env, Cmd, ..."""
        archives = [tar_of(files) for files in layers]
        end = f"+{kind}" if kind != "tar" else ""
        blobs = [self.add(pack(data, kind), f"application/vnd.oci.image.layer.v1.tar{end}") for data in archives]
        system, architecture = platform.split("/")
        history = [{"created_by": made_by or f"RUN step {number}"} for number in range(len(layers))]
        raw = {
            "os": system,
            "architecture": architecture,
            "created": "2026-01-01T00:00:00Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [sha(data) for data in archives]},
            "history": [*history, {"created_by": "CMD x", "empty_layer": True}],
        }
        content = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.add(json.dumps(raw).encode(), CONFIG)}
        return self.add(json.dumps({**content, "layers": blobs}).encode(), MANIFEST)

    def index(self, *entries: Mapping[str, Any]) -> None:
        """Make these what the layout is of."""
        content = {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(entries)}
        (self.folder / "index.json").write_text(json.dumps(content))


def make_image(folder: Path, *layers: Files, **config: Any) -> Layout:
    """A layout of one image."""
    layout = Layout(folder)
    layout.index(layout.image(*layers, **config))
    return layout


def inventory_of(
    folder: Path,
    *layers: Files,
    asked: Sequence[str] | None = None,
    facts: Mapping[str, Any] | None = None,
    **config: Any,
) -> Inventory:
    """The inventory of an image of these layers."""
    layout = make_image(folder, *layers, **config)
    image = find_image(layout.folder, None, print)
    known: dict[str, Any] = {}
    read_layout(layout.folder, image, known, workers=1)
    return take_inventory(image, known, asked=None if asked is None else frozenset(asked), facts=facts)


LAYERS: tuple[Files, ...] = (
    {"etc/os-release": DEBIAN, "var/lib/dpkg/status": package("bash", "5.2-1")},
    wheel("numpy", "2.4.5"),
)
"""Of an image with a package and a distribution."""


def publish(registry: MemoryRegistry, layout: Layout, *tags: str, name: str = REPOSITORY) -> Manifest:
    """Put all of a layout of one image into the registry."""
    (entry,) = json.loads((layout.folder / "index.json").read_text())["manifests"]
    content = layout.path(entry["digest"]).read_bytes()
    for path in (layout.folder / "blobs" / "sha256").iterdir():
        registry.put_blob(path.read_bytes(), name)
    registry.put(content, MANIFEST, *tags, name=name)
    return Manifest(media_type=MANIFEST, content=content)

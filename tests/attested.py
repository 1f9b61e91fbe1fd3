"""Builds to attest: a small layout that syft finds something in, its record, and a checkout's settings around it."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from scripts.build.layout import RECORD as BUILD_FILE
from scripts.build.layout import Record as Build
from scripts.build.settings import Settings
from scripts.release.product import Product, load_product
from scripts.release.registry import put_manifest
from scripts.release.upload import upload_blobs
from tests.products import MANIFEST
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.release.reference import Repository
    from scripts.release.transport import Transport
    from scripts.smoke.record import Record as Smoke

BASE = f"sha256:{'ba' * 32}"
COMMIT = "1234567890" * 4
LOCK = "ab" * 32
SOURCE = "https://github.com/vessl-ai/images"
FILES = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "var/lib/dpkg/status": (
        "Package: openssl\nStatus: install ok installed\nMaintainer: A <a@example.com>\nArchitecture: amd64\n"
        "Version: 3.0.16-1~deb12u1\nDescription: a toolkit\n\n"
    ),
    "opt/venv/lib/python3.11/site-packages/numpy-2.4.6.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: numpy\nVersion: 2.4.6\nLicense: BSD-3-Clause\n"
    ),
    "opt/venv/lib/python3.11/site-packages/numpy-2.4.6.dist-info/RECORD": "numpy/__init__.py,,\n",
}

SYFT = """\
import json, pathlib, sys, uuid
words = sys.argv[1:]
if words == ["version"]:
    print("Application: syft\\nVersion:    1.2.3")
    sys.exit()
assert words[:2] == ["scan", "--quiet"], words
name, version = words[words.index("--source-name") + 1], words[words.index("--source-version") + 1]
files = dict(word.split("=", 1) for word in words if "=" in word)
packages = [{"SPDXID": "SPDXRef-b", "name": "b"}, {"SPDXID": "SPDXRef-a", "name": "a"}]
spdx = {
    "spdxVersion": "SPDX-2.3", "name": name, "documentNamespace": str(uuid.uuid4()), "packages": packages,
    "creationInfo": {"created": str(uuid.uuid4()), "creators": ["Tool: syft"]}, "files": [{"SPDXID": "SPDXRef-file"}],
    "relationships": [
        {"spdxElementId": "SPDXRef-a", "relatedSpdxElement": "SPDXRef-b", "relationshipType": "DEPENDENCY_OF"},
        {"spdxElementId": "SPDXRef-a", "relatedSpdxElement": "SPDXRef-file", "relationshipType": "CONTAINS"},
    ],
}
cyclonedx = {
    "bomFormat": "CycloneDX", "serialNumber": f"urn:uuid:{uuid.uuid4()}",
    "metadata": {"timestamp": str(uuid.uuid4()), "component": {"type": "container", "name": name, "version": version}},
    "components": [{"type": "library", "name": "b"}, {"type": "library", "name": "a"}, {"type": "operating-system"}],
}
pathlib.Path(files["spdx-json"]).write_text(json.dumps(spdx))
pathlib.Path(files["cyclonedx-json"]).write_text(json.dumps(cyclonedx))
"""


@dataclass(frozen=True)
class Attested:
    """A build in a checkout of its own, and its smoke test."""

    settings: Settings
    build: Build
    product: Product
    smoke: Smoke

    @property
    def layout(self) -> Path:
        return self.settings.out / self.build.id.replace(":", "_")

    def with_settings(self, **evidence: Any) -> Attested:
        changed = replace(self.settings.evidence, **evidence)
        return replace(self, settings=replace(self.settings, evidence=changed))

    def upload(self, transport: Transport, repository: Repository, *tags: str) -> None:
        upload_blobs(transport, repository, self.product.blobs)
        for tag in tags:
            put_manifest(transport, repository.tag(tag), self.product.manifest)


def make_build(
    root: Path, registry: str = "quay.io/vessl-ai", image: str = "app:1", more: Mapping[str, str] | None = None
) -> Attested:
    """A layout with a Debian package and a Python distribution, and with ``more`` files, below ``root``."""
    out = root / "out"
    layout = out / image.replace(":", "_")
    _make_layout(layout, FILES | dict(more or {}))
    product = load_product(layout)
    build = Build(
        id=image,
        digest=product.manifest.digest,
        size=product.size,
        recipe={
            "base": BASE,
            "platforms": "linux/amd64",
            "setting compression": "zstd",
            "arg BASE_IMAGE": "python:3.11-slim-bookworm",
            "stage app": "cd" * 32,
            "fam/locks/1/common.txt": f"-{LOCK}",
            "scripts/image/entrypoint": f"x{'ef' * 32}",
        },
        base=BASE,
        stand_in=False,
        commit=COMMIT,
        epoch=1_700_000_000,
    )
    (layout / BUILD_FILE).write_text(json.dumps(asdict(build)))
    settings = Settings(root=root, out=out, cache=root / "cache", registry=registry, source=SOURCE)
    return Attested(settings, build, product, replace(RECORD, id=image, digest=build.digest))


def _make_layout(folder: Path, files: Mapping[str, str]) -> None:
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(data: bytes, media_type: str) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    with io.BytesIO() as file:
        with tarfile.open(fileobj=file, mode="w") as archive:
            for name, text in files.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        layer = file.getvalue()
    rootfs = {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]}
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": add(json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": [add(gzip.compress(layer, mtime=0), "application/vnd.oci.image.layer.v1.tar+gzip")],
    }
    index = {"schemaVersion": 2, "manifests": [add(json.dumps(manifest).encode(), MANIFEST)]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def put_syft(folder: Path, program: str = SYFT) -> str:
    """A syft that only pretends: two packages, and other numbers and times at each call."""
    folder.mkdir(exist_ok=True)
    path = folder / "syft"
    path.write_text(f"#!{sys.executable} -IS\n{program}")
    path.chmod(0o755)
    return str(path)

"""Products for tests of publishing: whole OCI layouts of a few bytes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from scripts.build.wanted import Evidence, Need
from scripts.release.product import Product, load_product

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def make_layout(folder: Path, *layers: str) -> Path:
    """A layout of one image with these layers."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(text: str, media_type: str) -> dict[str, Any]:
        data = text.encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": add(json.dumps({"layers": layers}), "application/vnd.oci.image.config.v1+json"),
        "layers": [add(layer, "application/vnd.oci.image.layer.v1.tar") for layer in layers],
    }
    index = {"schemaVersion": 2, "manifests": [add(json.dumps(manifest), MANIFEST)]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


# The layers of products are no archives: there is nothing in them to tell of.
NO_EVIDENCE = Evidence(inventory=Need.OFF, sbom=Need.OFF, provenance=Need.OFF, smoke=Need.OFF, signature=Need.OFF)
NO_EVIDENCE_SETTINGS = {f"INVOKE_IMAGES_EVIDENCE_{item.name.upper()}": "off" for item in fields(Evidence)[:5]}


def make_product(folder: Path, *layers: str) -> Product:
    return load_product(make_layout(folder, *layers))

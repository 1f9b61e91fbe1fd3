"""An image of several platforms: one OCI index, put together from an image of each that was built by itself.

By us and not by BuildKit, so that it has the same bytes whichever builders made its parts, on one machine or on two
(https://github.com/opencontainers/image-spec/blob/main/image-index.md).
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from scripts.build.layout import Descriptor, directory_of_platform, read_descriptor
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MEDIA_TYPE = "application/vnd.oci.image.index.v1+json"


def make_room(work: Path, platforms: Iterable[str]) -> None:
    """Make a layout for each platform below one for all of them; what they hold in common is there once."""
    (work / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
    for platform in platforms:
        directory = directory_of_platform(work, platform)
        directory.mkdir(parents=True)
        (directory / "blobs").symlink_to("../../blobs")


def assemble(work: Path, platforms: Iterable[str], image_id: str) -> Mapping[str, str]:
    """Write the index of the images that were built for ``platforms``; the digest of each, by platform.

    :raises BuildError: if one is not of the platform that it was built for: its base has no image for that.
    """
    entries: list[dict[str, Any]] = []
    for platform in platforms:
        descriptor = read_descriptor(directory_of_platform(work, platform))
        config = _json(work, _json(work, descriptor.digest)["config"]["digest"])
        made = f"{config.get('os')}/{config.get('architecture')}"
        if made != platform:
            raise BuildError(f"{image_id}: what was built for {platform} is of {made}: its base has no other")
        system, _, architecture = platform.partition("/")
        entries.append(
            {
                "mediaType": descriptor.media_type,
                "digest": descriptor.digest,
                "size": descriptor.size,
                "platform": {"architecture": architecture, "os": system},
            }
        )
    content = json.dumps({"schemaVersion": 2, "mediaType": MEDIA_TYPE, "manifests": entries}, indent=2).encode()
    digest = hashlib.sha256(content).hexdigest()
    (work / "blobs" / "sha256" / digest).write_bytes(content)
    own = Descriptor(media_type=MEDIA_TYPE, digest=f"sha256:{digest}", size=len(content))
    index = {"mediaType": own.media_type, "digest": own.digest, "size": own.size}
    (work / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [index]}), encoding="utf-8")
    (work / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}', encoding="utf-8")
    return {entry_platform: entry["digest"] for entry_platform, entry in zip(platforms, entries, strict=True)}


def _json(layout: Path, digest: str) -> dict[str, Any]:
    return dict(json.loads((layout / "blobs" / digest.replace(":", "/")).read_text(encoding="utf-8")))

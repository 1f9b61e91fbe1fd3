"""What scans have found, by digest: kept below ``out``, attached to published images, and found again for a diff."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from scripts.contents.weaknesses import MEDIA_TYPE, Scan, parse_scan, render_scan
from scripts.errors import ImagesError, UsageError
from scripts.release.attestations import find_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scripts.release.reference import Digest
    from scripts.release.transport import Transport

    Say = Callable[[str], None]


def keep_scan(out: Path, scan: Scan) -> Path:
    """Keep what a scan found; the same scanner and database replace what they found before."""
    folder = _folder(out, scan.image)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub(r'[^A-Za-z0-9.]+', '-', f'{scan.scanner} {scan.database}')}.json"
    work = path.with_name(f".{path.name}.{os.getpid()}")
    work.write_bytes(render_scan(scan))
    work.replace(path)
    return path


def kept_scans(out: Path, image: str, say: Say) -> Iterator[Scan]:
    """What is kept of an image; a line for what is damaged."""
    for path in sorted(_folder(out, image).glob("[!.]*.json")):
        try:
            yield _checked(path.read_bytes(), image, str(path))
        except (UsageError, OSError) as error:
            say(f"warning: not used: {error}")


def attached_scans(transport: Transport, image: Digest, say: Say) -> Iterator[Scan]:
    """What is attached to an image; a line for what does not fit, or cannot be had.

    Who made it is for a signature to say.
    """
    try:
        for content in find_documents(transport, image, MEDIA_TYPE):
            try:
                yield _checked(content, image.value, f"{image}: what is attached as a scan")
            except UsageError as error:
                say(f"warning: not used: {error}")
    except ImagesError as error:
        say(f"warning: {image}: no attached scan can be read: {error}")


def _checked(content: bytes, image: str, where: str) -> Scan:
    scan = parse_scan(content, where)
    if scan.image != image:
        raise UsageError(f"{where}: it is of {scan.image}, not of {image}")
    return scan


def newest_scan(out: Path, image: str, say: Say) -> Scan | None:
    """Of what is kept of an image, that with the newest database."""
    return max(kept_scans(out, image, say), key=lambda scan: (scan.database, scan.scanner), default=None)


def _folder(out: Path, image: str) -> Path:
    return out / "scan" / image.replace(":", "-")

"""SBOMs of an image, made by syft from its layout: SPDX and CycloneDX, with the same bytes whenever they are made again.

syft writes a new time and a new number into each; both are taken from the build instead, and so is the name. The list
of files that SPDX has is left out: syft would fill it with checksums of zero, and it is five sixths of the document.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scripts.errors import BuildError
from scripts.release.statements import render_json

if TYPE_CHECKING:
    from collections.abc import Callable

SPDX_TYPE = "application/spdx+json"
CYCLONEDX_TYPE = "application/vnd.cyclonedx+json"
LIMIT = 1800.0
"""Seconds that syft may take for the largest image on a busy machine."""
_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of URLs (RFC 9562, section 6.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What an SBOM says of itself."""

    name: str
    """The image's id."""
    digest: str
    epoch: int
    """Seconds since 1970-01-01 that stand for the time it was made: the recipe's."""
    source: str
    """Address that the document's own name begins with."""

    @property
    def created(self) -> str:
        """The time as both forms have it."""
        return datetime.datetime.fromtimestamp(self.epoch, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @property
    def namespace(self) -> str:
        """A name that only the SBOM of this digest has."""
        return f"{self.source}/sbom/{self.digest.replace(':', '-')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sboms:
    """The SBOMs of an image."""

    spdx: bytes
    cyclonedx: bytes

    @property
    def packages(self) -> int:
        """How many packages they list."""
        return count_packages(self.cyclonedx)


def count_packages(cyclonedx: bytes) -> int:
    """How many packages a CycloneDX document lists: the operating system itself is none."""
    components = json.loads(cyclonedx).get("components", [])
    return sum(item.get("type") not in {"operating-system", "file"} for item in components)


def make_sboms(layout: Path, origin: Origin, out: Path, say: Callable[[str], None]) -> Sboms:
    """The SBOMs of a layout; those of a digest are made once and kept below ``out``.

    :raises BuildError: if syft is missing, fails, or finds no package at all.
    """
    program = find_syft()
    folder = out / "sbom" / f"{origin.digest.replace(':', '-')}.{syft_version(program)}"
    paths = folder / "spdx.json", folder / "cyclonedx.json"
    if all(path.exists() for path in paths):
        return Sboms(spdx=paths[0].read_bytes(), cyclonedx=paths[1].read_bytes())
    say(f"{origin.name}: making the SBOMs of {origin.digest}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".") as name:
        raw = Path(name, "spdx"), Path(name, "cyclonedx")
        _run_syft(program, layout, origin, raw, Path(name))
        made = Sboms(
            spdx=render_spdx(json.loads(raw[0].read_bytes()), origin),
            cyclonedx=render_cyclonedx(json.loads(raw[1].read_bytes()), origin),
        )
        whole = Path(name, "whole")
        whole.mkdir()
        (whole / paths[0].name).write_bytes(made.spdx)
        (whole / paths[1].name).write_bytes(made.cyclonedx)
        if not made.packages:
            raise BuildError(f"{origin.name}: syft found no package in {layout}: an SBOM that says so says nothing")
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)
    return made


def render_spdx(raw: dict[str, Any], origin: Origin) -> bytes:
    """What syft wrote as SPDX, without what is different each time, and without files."""
    files = {item["SPDXID"] for item in raw.get("files", ())}
    kept = {key: value for key, value in raw.items() if key != "files"}
    kept["documentNamespace"] = origin.namespace
    kept["creationInfo"] = {**raw["creationInfo"], "created": origin.created}
    kept["relationships"] = [
        item for item in raw["relationships"] if not {item["spdxElementId"], item["relatedSpdxElement"]} & files
    ]
    for key in ("packages", "relationships", "hasExtractedLicensingInfos"):
        kept[key] = sorted(kept.get(key, ()), key=render_json)
    return render_json({key: value for key, value in kept.items() if value})


def render_cyclonedx(raw: dict[str, Any], origin: Origin) -> bytes:
    """What syft wrote as CycloneDX, without what is different each time."""
    number = uuid.uuid5(_NAMESPACE, origin.namespace)
    kept = {**raw, "serialNumber": f"urn:uuid:{number}", "metadata": {**raw["metadata"], "timestamp": origin.created}}
    for key in ("components", "dependencies"):
        kept[key] = sorted(kept.get(key, ()), key=render_json)
    return render_json({key: value for key, value in kept.items() if value})


def find_syft() -> str:
    """The locked syft beside this Python, else the one on PATH.

    :raises BuildError: if there is none.
    """
    found = shutil.which("syft", path=str(Path(sys.executable).parent)) or shutil.which("syft")
    if found is None:
        raise BuildError("syft is missing, which makes SBOMs: ./scripts/invoke brings it (requirements.txt)")
    return found


def syft_version(program: str) -> str:
    """The version of a syft: another one may see other packages."""
    done = subprocess.run([program, "version"], capture_output=True, text=True, check=False)
    match = re.search(r"^Version:\s*(\S+)$", done.stdout, re.MULTILINE)
    if done.returncode or match is None:
        raise BuildError(f"{program} does not run: {done.stderr.strip() or 'it tells no version'}")
    return match[1]


def _run_syft(program: str, layout: Path, origin: Origin, raw: tuple[Path, Path], work: Path) -> None:
    environment = {
        **os.environ,
        "SYFT_CHECK_FOR_APP_UPDATE": "false",
        "SYFT_FILE_METADATA_SELECTION": "none",
        "TMPDIR": str(work),  # it unpacks every layer
    }
    command = [
        *(program, "scan", "--quiet", f"oci-dir:{layout}"),
        *("--source-name", origin.name, "--source-version", origin.digest),
        *("--output", f"spdx-json={raw[0]}", "--output", f"cyclonedx-json={raw[1]}"),
    ]
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{origin.name}: syft gave no SBOM within {LIMIT:.0f} s") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise BuildError(f"{origin.name}: syft failed: {last}")

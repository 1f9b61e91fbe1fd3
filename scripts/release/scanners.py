"""trivy and grype: what they find in an SBOM, and with which database.

https://trivy.dev/latest/docs/target/sbom/, https://github.com/anchore/grype. Neither says clearly that it had nothing
to look at, or nothing to compare with: whoever asks is told so, and never that nothing was found.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.build.wanted import Severity
from scripts.contents.weaknesses import Weakness
from scripts.errors import AuditError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SCANNERS = ("trivy", "grype")
LIMIT = 900.0
"""Seconds that a scan may take."""


class NotScannedError(AuditError):
    """Nothing was scanned."""

    def __init__(self, why: str) -> None:
        super().__init__(f"NOTHING WAS SCANNED: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a scanner says."""

    scanner: str
    """Name and version."""
    database: str
    """When its database was made, as it says."""
    found: tuple[Weakness, ...]


def find_scanner() -> str:
    """The first of the scanners that is on PATH.

    :raises NotScannedError: if none is.
    """
    for name in SCANNERS:
        if shutil.which(name):
            return name
    raise NotScannedError(f"neither {' nor '.join(SCANNERS)} is on PATH: install one of them")


def scan_sbom(scanner: str, sbom: Path, database: str) -> Report:
    """What a scanner finds in a CycloneDX document.

    :param database: folder of its database, which is taken as it is; empty: its own, brought up to date.
    :raises NotScannedError: if it does not run, has no database, or looked at nothing.
    """
    return (_scan_with_trivy if scanner == "trivy" else _scan_with_grype)(sbom, database)


def _scan_with_trivy(sbom: Path, database: str) -> Report:
    place = ["--cache-dir", database] if database else []
    offline = ["--skip-db-update", "--skip-java-db-update", "--offline-scan"] if database else []
    said = _run(["trivy", "sbom", "--quiet", "--format", "json", "--list-all-pkgs", *place, *offline, str(sbom)])
    about = _run(["trivy", "version", "--format", "json", *place])
    return parse_trivy(said, about)


def _scan_with_grype(sbom: Path, database: str) -> Report:
    extra = {"GRYPE_CHECK_FOR_APP_UPDATE": "false"}
    if database:
        extra |= {"GRYPE_DB_CACHE_DIR": database, "GRYPE_DB_AUTO_UPDATE": "false", "GRYPE_DB_VALIDATE_AGE": "false"}
    return parse_grype(_run(["grype", f"sbom:{sbom}", "--quiet", "--output", "json"], extra))


def parse_trivy(report: str, version: str) -> Report:
    """Read what ``trivy sbom --format json --list-all-pkgs`` and ``trivy version --format json`` print.

    :raises NotScannedError: if it looked at no package, or has no database.
    """
    raw, about = _load(report, "trivy"), _load(version, "trivy")
    results = [item for item in raw.get("Results") or () if isinstance(item, dict)]
    database = str((about.get("VulnerabilityDB") or {}).get("UpdatedAt", ""))
    if not database:
        raise NotScannedError("trivy has no database")
    if not any(item.get("Packages") or item.get("Vulnerabilities") for item in results):
        raise NotScannedError("trivy found no package in the SBOM that it knows anything about")
    try:
        found = tuple(_of_trivy(results))
    except (KeyError, TypeError, AttributeError) as error:
        raise NotScannedError(f"what trivy printed is not its report: {error!r}") from error
    return Report(scanner=f"trivy {about.get('Version', '')}".strip(), database=database, found=_once(found))


def parse_grype(report: str) -> Report:
    """Read what ``grype --output json`` prints; raises as ``parse_trivy`` does."""
    raw = _load(report, "grype")
    tool = raw.get("descriptor") or {}
    status = tool.get("db") or {}
    # Up to 0.87 the facts themselves, from 0.88 under "status".
    database = str((status.get("status") or status).get("built") or "")
    if not database:
        raise NotScannedError("grype has no database")
    try:
        found = tuple(_of_grype(raw["matches"] or ()))
    except (KeyError, TypeError, AttributeError) as error:
        raise NotScannedError(f"what grype printed is not its report: {error!r}") from error
    return Report(scanner=f"grype {tool.get('version', '')}".strip(), database=database, found=_once(found))


def _of_trivy(results: Sequence[Mapping[str, Any]]) -> Iterator[Weakness]:
    for item in results:
        for raw in item.get("Vulnerabilities") or ():
            yield Weakness(
                id=raw["VulnerabilityID"],
                severity=_severity(raw.get("Severity", "")),
                package=raw["PkgName"],
                version=raw.get("InstalledVersion", ""),
                fixed=raw.get("FixedVersion", ""),
            )


def _of_grype(matches: Sequence[Mapping[str, Any]]) -> Iterator[Weakness]:
    for item in matches:
        raw, package = item["vulnerability"], item["artifact"]
        fix = raw.get("fix") or {}
        yield Weakness(
            id=raw["id"],
            severity=_severity(raw.get("severity", "")),
            package=package["name"],
            version=package.get("version", ""),
            fixed=", ".join(fix.get("versions") or ()) if fix.get("state") == "fixed" else "",
            aliases=frozenset(other["id"] for other in item.get("relatedVulnerabilities") or ()),
        )


def _severity(text: str) -> Severity:
    word = text.lower()
    return Severity(word) if word in list(Severity) else Severity.UNKNOWN


def _once(found: Sequence[Weakness]) -> tuple[Weakness, ...]:
    return tuple({(item.id, item.package, item.version): item for item in found}.values())


def _load(text: str, scanner: str) -> dict[str, Any]:
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise NotScannedError(f"what {scanner} printed is not JSON: {error}") from error
    if not isinstance(raw, dict):
        raise NotScannedError(f"what {scanner} printed is not its report")
    return raw


def _run(command: Sequence[str], extra: Mapping[str, str] | None = None) -> str:
    environment = {**os.environ, **(extra or {})}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotScannedError(f"{command[0]} gave no answer within {LIMIT:.0f} s") from error
    except OSError as error:
        raise NotScannedError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise NotScannedError(f"{command[0]} failed: {last}")
    return done.stdout

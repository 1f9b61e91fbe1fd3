"""Tasks of what goes with a published image: attest, verify, scan."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from scripts.console import command, say, show
from scripts.errors import AuditError
from scripts.workplace import here

if TYPE_CHECKING:
    from invoke import Context


@command
def verify(
    c: Context,
    image: str,
    key: str = "",
    platform: str | None = None,
    registry: str | None = None,
    format: str = "table",
) -> None:
    """Say what is proven of a published image, and by whom: REPO:TAG, REPO:TAG-rN or a whole reference."""
    from scripts.release.examine import verify_image
    from scripts.release.findings import sums_up

    images = {spec.id: spec for spec in here(c).images()}
    settings = here(c).settings(c, registry=registry)
    may_install = "IMAGES_SETUP" in os.environ
    found = verify_image(image, key, images, settings, say, may_install=may_install, platform=platform)
    rows = [
        {"what": item.what, "state": str(item.state), "by": item.by, "why": item.why, "needed": item.bad}
        for item in found
    ]
    show(rows, format, {"what": 14, "state": None, "by": 18, "why": 32})
    if why := sums_up(found):
        raise AuditError(f"{image}: {why}")


@command
def scan(
    c: Context,
    image: str,
    severity: str | None = None,
    database: str | None = None,
    platform: str | None = None,
    registry: str | None = None,
    format: str = "table",
) -> None:
    """Look up the packages of an image among known weaknesses; ends with 6 on what FAMILY/scan.toml does not allow."""
    from scripts.release.examine import scan_image

    images = {spec.id: spec for spec in here(c).images()}
    settings = here(c).settings(c, registry=registry)
    judged = scan_image(image, images, settings, say, database=database, severity=severity, platform=platform)
    if judged is None:
        if format == "json":
            print("null")  # not the same as an empty list: nothing was looked up
        return
    rows = [
        {
            "id": item.weakness.id,
            "severity": str(item.weakness.severity),
            "package": item.weakness.package,
            "version": item.weakness.version,
            "fixed": item.weakness.fixed,
            "verdict": str(item.verdict),
            "why": item.why,
        }
        for item in judged
    ]
    told = rows if format == "json" else [row for row, item in zip(rows, judged, strict=True) if item.shown]
    if told or format == "json":
        show(told, format, {"id": None, "severity": None, "package": 14, "verdict": None, "why": 24})
    if bad := sum(item.bad for item in judged):
        raise AuditError(f"{image}: {bad} of {len(judged)} findings not allowed")


@command
def attest(c: Context, image: str, registry: str | None = None, dry_run: bool = False, format: str = "table") -> None:
    """Attach to an image (REPO:TAG) that was built here and is published what it comes with and lacks."""
    from scripts.release.examine import attest_image

    images = {spec.id: spec for spec in here(c).images()}
    settings = here(c).settings(c, registry=registry)
    row = attest_image(image, images, settings, say, may_install="IMAGES_SETUP" in os.environ, dry_run=dry_run)
    show([row], format, {"id": None, "digest": 19, "action": None, "why": 30})


TASKS = (attest, verify, scan)

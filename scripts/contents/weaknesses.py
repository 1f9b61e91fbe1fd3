"""Known weaknesses of an image's packages, as a scanner found them with one database: the document that is kept of it.

The same image, scanner and database give the same bytes: nothing in it depends on when or by whom it was scanned.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from scripts.build.wanted import Severity  # noqa: TC001 - pydantic reads the annotations
from scripts.errors import UsageError

NAME = "ai.vessl.images.scan"
VERSION = 1
MEDIA_TYPE = "application/vnd.vessl.images.scan.v1+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """A known weakness of a package, as a scanner found it."""

    id: str
    severity: Severity
    package: str
    version: str
    fixed: str = ""
    """The first version without it; empty: there is none."""
    aliases: frozenset[str] = frozenset()
    """Its other names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a scanner said of an image."""

    image: str
    """Digest of the image."""
    scanner: str
    """Name and version."""
    database: str
    """When its database was made, as it says."""
    packages: int
    """How many packages were looked up."""
    found: tuple[Weakness, ...]

    @property
    def program(self) -> str:
        """The scanner without its version."""
        return self.scanner.partition(" ")[0]


_SCAN = TypeAdapter(Scan)


def render_scan(scan: Scan) -> bytes:
    """The document: JSON with sorted keys and findings, no spaces, UTF-8 and a line end."""
    rows = [{**asdict(item), "aliases": sorted(item.aliases)} for item in scan.found]
    rows.sort(key=lambda row: (row["id"], row["package"], row["version"], row["fixed"]))
    content = {**asdict(scan), "found": rows, "schema": NAME, "version": VERSION}
    return f"{json.dumps(content, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}\n".encode()


def parse_scan(content: bytes, where: str) -> Scan:
    """Read a document.

    :param where: what to call it in a message.
    :raises UsageError: if it is none, or of a version that this tool does not know.
    """
    try:
        raw: Any = json.loads(content)
    except ValueError as error:
        raise UsageError(f"{where}: not what a scan found: not JSON") from error
    if not isinstance(raw, dict) or raw.get("schema") != NAME:
        raise UsageError(f'{where}: not what a scan found: expected JSON with "schema": "{NAME}"')
    if raw.get("version") != VERSION:
        raise UsageError(f"{where}: a scan of version {raw.get('version')}, this tool knows {VERSION}: update it")
    try:
        return _SCAN.validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: not what a scan found: {place}: {first['msg'].lower()}") from error

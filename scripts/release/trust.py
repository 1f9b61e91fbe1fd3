"""Whom a signature is to be of, for it to prove something."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_PEM = re.compile("-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\\s]+)-----END PUBLIC KEY-----")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whom to believe: the owner of a key, or an identity."""

    key: str = ""
    """The public key, PEM."""
    identity: str = ""
    issuer: str = ""

    def __str__(self) -> str:
        return f"key {self.fingerprint}" if self.key else f"{self.identity} ({self.issuer})"

    @property
    def fingerprint(self) -> str:
        """The start of the SHA-256 of the key."""
        return hashlib.sha256(self._der).hexdigest()[:12]

    @property
    def hint(self) -> str:
        """What a bundle names the key by, as cosign does it."""
        return base64.b64encode(hashlib.sha256(self._der).digest()).decode()

    @property
    def _der(self) -> bytes:
        return base64.b64decode("".join(_PEM.findall(self.key)))

    def options(self, folder: Path) -> list[str]:
        """How cosign is told; the key is written to a folder."""
        if not self.key:
            return ["--certificate-identity", self.identity, "--certificate-oidc-issuer", self.issuer]
        (folder / "key.pub").write_text(self.key)
        return ["--key", str(folder / "key.pub"), "--insecure-ignore-tlog=true"]


def make_trust(pem: str, where: str) -> Trust:
    """Trust in the owner of a public key.

    :raises UsageError: if that is no public key.
    """
    match = _PEM.search(pem)
    try:
        base64.b64decode("".join(match[1].split()) if match else "-", validate=True)
    except ValueError as error:
        raise UsageError(f"{where}: not a public key in PEM, such as cosign.pub") from error
    return Trust(key=pem)

"""A certificate authority that is gone after the test, and what it has signed: for TLS on both sides of a connection."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = images-test
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[leaf]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = DNS:{name}
"""


def make_authority(folder: Path) -> None:
    """Write ``ca.pem`` and its key."""
    folder.mkdir(exist_ok=True)
    _openssl(folder, "ca", "ca", "nobody")


def sign(folder: Path, name: str) -> None:
    """Write ``NAME.pem`` and ``NAME-key.pem``, signed by the authority of the folder, for a host or a client of a name."""
    _openssl(folder, name, "leaf", name, "-CA", "ca.pem", "-CAkey", "ca-key.pem")


def _openssl(folder: Path, file: str, extensions: str, name: str, *words: str) -> None:
    (folder / "openssl.cnf").write_text(CONFIG.format(name=name))
    command = ["openssl", "req", "-x509", "-config", "openssl.cnf", "-extensions", extensions, "-days", "2", *words]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", f"{file}-key.pem"]
    subprocess.run([*command, *key, "-out", f"{file}.pem"], cwd=folder, check=True, capture_output=True)

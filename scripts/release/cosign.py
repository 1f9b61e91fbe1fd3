"""cosign, which signs and verifies; what it signs is stored by us, so a registry is only ever talked to in one way.

A signature is over the bytes that we give it, so it works for statements of any version. The keys, their passwords
(COSIGN_PASSWORD) and the references of key services are cosign's business: none of them is read here.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from scripts.build.apt import install_packages, load_distribution, pin_packages
from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scripts.release.trust import Trust

VERSIONS = ((2, 5), (3, 0))
"""From the first up to, and without, the second: the next one has other options."""
PIN_COSIGN = """\
# Debian 12 has no cosign.
Package: cosign
Pin: release n=trixie
Pin-Priority: 900
"""
TOKENS = ("SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL")
"""Where an identity token comes from, for a signature without a key."""
LIMIT = 300.0
"""Seconds that one call may take: a key service may be far away."""
# With a key nothing of the public service is needed, and cosign is kept from asking for its roots.
NO_ROOTS = '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'


class CosignError(UsageError):
    """cosign is missing, has no key, or says no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What cosign made over some bytes: base64, and for a signature without a key who has made it."""

    value: str
    certificate: str = ""
    """PEM."""
    log: Mapping[str, Any] | None = None
    """The entry in the transparency log."""


class Cosign:
    """A cosign that is there."""

    def __init__(self, program: str) -> None:
        self.program = program

    def public_key(self, key: str) -> str:
        """The public part of a key, PEM.

        :raises CosignError: if there is no such key, or the password is not its.
        """
        return self._run("public-key", "--key", key)

    def sign(self, content: bytes, key: str) -> Signature:
        """A signature over bytes.

        :param key: a file or reference; empty: the identity token of the environment.
        :raises CosignError: if cosign does not sign.
        """
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "content").write_bytes(content)
            if key:
                words = ("--key", key, "--tlog-upload=false", str(folder / "content"))
                return Signature(value=self._run("sign-blob", "--yes", *words).strip())
            self._run("sign-blob", "--yes", "--bundle", str(folder / "bundle"), str(folder / "content"))
            bundle = json.loads((folder / "bundle").read_bytes())
            certificate = base64.b64decode(bundle["cert"]).decode()
            return Signature(value=bundle["base64Signature"], certificate=certificate, log=bundle["rekorBundle"])

    def attest(self, predicate: bytes, predicate_type: str, digest: str) -> bytes:
        """A bundle with a statement about a digest, signed with the identity token of the environment.

        :raises CosignError: if cosign does not sign.
        """
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "predicate").write_bytes(predicate)
            self._run(
                *("attest-blob", "--yes", "--new-bundle-format", "--type", predicate_type),
                *("--predicate", str(folder / "predicate"), "--bundle", str(folder / "bundle")),
                *("--hash", digest.removeprefix("sha256:"), "image"),
            )
            return (folder / "bundle").read_bytes()

    def verify(self, content: bytes, signature: Signature, trust: Trust) -> str:
        """Why bytes are not signed so; empty if they are."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "content").write_bytes(content)
            # cosign's own form of what one call of it made.
            bundle = {
                "base64Signature": signature.value,
                "cert": base64.b64encode(signature.certificate.encode()).decode(),
                "rekorBundle": signature.log,
            }
            (folder / "bundle").write_text(json.dumps({key: value for key, value in bundle.items() if value}))
            words = ("--bundle", str(folder / "bundle")) if not trust.key else ("--signature", signature.value)
            return self._complaint("verify-blob", *trust.options(folder), *words, str(folder / "content"))

    def verify_bundle(self, bundle: bytes, predicate_type: str, content: bytes, trust: Trust) -> str:
        """Why a bundle is no statement of this type about this content, signed by whom we believe; empty if it is."""
        with TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "content").write_bytes(content)
            (folder / "bundle").write_bytes(bundle)
            (folder / "roots").write_text(NO_ROOTS)
            roots = ("--trusted-root", str(folder / "roots")) if trust.key else ()
            return self._complaint(
                *("verify-blob-attestation", "--new-bundle-format", *trust.options(folder), *roots),
                *("--type", predicate_type, "--bundle", str(folder / "bundle"), str(folder / "content")),
            )

    def _run(self, *words: str) -> str:
        done = _call([self.program, *words])
        if done.returncode:
            raise CosignError(f"cosign {words[0]}: {_reason(done.stderr)}")
        return done.stdout

    def _complaint(self, *words: str) -> str:
        done = _call([self.program, *words])
        return _reason(done.stderr) if done.returncode else ""


def find_cosign(say: Callable[[str], None], *, may_install: bool, root: Path = Path("/")) -> Cosign:
    """The cosign on PATH, or the distribution's, installed.

    :param may_install: install it where it is not there and we are root.
    :raises CosignError: if there is none, or one of a version that is not known to work.
    """
    if not shutil.which("cosign"):
        wanted = f"cosign {'.'.join(map(str, VERSIONS[0]))} or newer, below {VERSIONS[1][0]}"
        if not may_install or os.geteuid() != 0:
            raise CosignError(f"cosign is missing, which signs and verifies: install {wanted}")
        say("installing cosign: it signs and verifies")
        if load_distribution(root).pinned:
            pin_packages(root, "cosign", PIN_COSIGN)
        install_packages(["cosign"], root=root)
    program = shutil.which("cosign")
    if program is None:
        raise CosignError("cosign was installed, and is not on PATH")
    version = cosign_version(program)
    if version and not VERSIONS[0] <= version < VERSIONS[1]:
        raise CosignError(
            f"{program} is cosign {'.'.join(map(str, version))}: this tool knows the options of "
            f"{'.'.join(map(str, VERSIONS[0]))} or newer, below {VERSIONS[1][0]}"
        )
    return Cosign(program)


def cosign_version(program: str) -> tuple[int, ...]:
    """Major and minor version; empty if nobody knows. Debian's own calls itself "devel", so its package is asked."""
    said = _call([program, "version", "--json"]).stdout
    match = re.search(r'"gitVersion":\s*"v?(\d+)\.(\d+)', said)
    if match is None and shutil.which("dpkg-query"):
        owner = _call(["dpkg-query", "-S", program]).stdout.startswith("cosign:")
        said = _call(["dpkg-query", "-W", "-f", "${Version}", "cosign"]).stdout if owner else ""
        match = re.match(r"(\d+)\.(\d+)", said)
    return tuple(map(int, match.groups())) if match else ()


def has_token(environment: Mapping[str, str]) -> bool:
    """Whether there is an identity token to sign with."""
    return any(environment.get(name) for name in TOKENS)


def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise CosignError(f"cosign gave no answer within {LIMIT:.0f} s") from error
    except OSError as error:
        raise CosignError(f"{command[0]} cannot be run: {error.strerror}") from error


def _reason(output: str) -> str:
    """The sentence of an error among cosign's warnings; what to do, where cosign does not say it."""
    lines = [line for line in output.splitlines() if line.strip()]
    said = next(
        (line.partition("Error: ")[2] for line in lines if "Error: " in line), (lines or ["no reason given"])[-1]
    )
    if "Enter password" in output:
        return "the key has a password: set COSIGN_PASSWORD (empty for none)"
    if "decryption failed" in said:
        return "COSIGN_PASSWORD is not the password of this key"
    return said.strip()

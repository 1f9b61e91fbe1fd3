"""What is said of an image by its digest: in-toto statements, and the bundles that hold them signed.

https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md,
https://github.com/sigstore/protobuf-specs (bundle v0.3), https://github.com/secure-systems-lab/dsse (envelope).
All of it has the same bytes whenever it is made again, so that nothing is attached twice.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.release.cosign import Signature
    from scripts.release.reference import Repository

STATEMENT = "https://in-toto.io/Statement/v1"
STATEMENTS = (STATEMENT, "https://in-toto.io/Statement/v0.1")
"""Those that are read; cosign's own attestations are still of the older form, which says the same."""
IN_TOTO = "application/vnd.in-toto+json"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PROVENANCE = "https://slsa.dev/provenance/v1"
SPDX = "https://spdx.dev/Document"
CYCLONEDX = "https://cyclonedx.org/bom"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
# Of our own forms: contents/weaknesses.py, contents/inventory.py.
SCAN = "https://github.com/vessl-ai/images/scan/v1"
INVENTORY = "https://github.com/vessl-ai/images/inventory/v1"


class MalformedStatementError(RegistryError):
    """What is attached to an image is no statement about one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement about one image."""

    subject: str
    """Its digest."""
    predicate_type: str
    predicate: Mapping[str, Any]


def render_json(content: Any) -> bytes:
    """JSON with the same bytes for the same content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def render_statement(statement: Statement, repository: Repository) -> bytes:
    """A statement as it is signed.

    :param repository: where the image is; only a name, as the digest alone tells which image is meant.
    """
    subject = {"name": str(repository), "digest": {"sha256": statement.subject.removeprefix("sha256:")}}
    return render_json(
        {
            "_type": STATEMENT,
            "subject": [subject],
            "predicateType": statement.predicate_type,
            "predicate": statement.predicate,
        }
    )


def parse_statement(content: bytes, where: str) -> Statement:
    """Read a statement about one image.

    :raises MalformedStatementError: if it is none, or about several.
    """
    try:
        raw = json.loads(content)
        (subject,) = raw["subject"]
        found = Statement(
            subject=f"sha256:{subject['digest']['sha256']}",
            predicate_type=raw["predicateType"],
            predicate=raw["predicate"],
        )
        if raw["_type"] in STATEMENTS and isinstance(found.predicate, dict) and isinstance(found.predicate_type, str):
            return found
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedStatementError(f"{where}: not an in-toto statement about one image: {error!r}") from error
    raise MalformedStatementError(f"{where}: not an in-toto statement about one image")


def to_be_signed(payload: bytes) -> bytes:
    """What a signature of an envelope is over (DSSE, "Pre-Authentication Encoding")."""
    kind = IN_TOTO.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def render_bundle(payload: bytes, signature: Signature, hint: str) -> bytes:
    """A statement signed with a key, in the form that cosign finds and verifies.

    :param hint: tells which key it was.
    """
    return render_json(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": signature.value}],
            },
        }
    )


def read_payload(bundle: bytes, where: str) -> bytes:
    """What a bundle's envelope holds; whether it is signed is not looked at.

    :raises MalformedStatementError: if it is no bundle with an in-toto statement.
    """
    try:
        envelope = json.loads(bundle)["dsseEnvelope"]
        if envelope["payloadType"] == IN_TOTO:
            return base64.b64decode(envelope["payload"], validate=True)
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedStatementError(f"{where}: not a bundle with a statement: {error!r}") from error
    raise MalformedStatementError(f"{where}: not a bundle with an in-toto statement")

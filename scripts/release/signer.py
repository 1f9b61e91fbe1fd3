"""Who signs, and whom to believe: from the settings and the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.errors import UsageError
from scripts.release.cosign import TOKENS, Cosign, CosignError, Signature, find_cosign, has_token
from scripts.release.statements import render_bundle, render_json, render_statement, to_be_signed
from scripts.release.trust import Trust, make_trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.build.settings import Settings
    from scripts.release.reference import Repository
    from scripts.release.statements import Statement

    Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Somebody who signs."""

    cosign: Cosign
    key: str
    """The private key; empty: the identity token of the environment."""
    trust: Trust
    """What the signatures are verified with."""

    def sign(self, payload: bytes) -> Signature:
        """A signature over bytes.

        :raises CosignError: if cosign does not sign.
        """
        return self.cosign.sign(payload, self.key)

    def bundle(self, statement: Statement, repository: Repository) -> bytes:
        """A signed statement; without a key it is cosign's own form of one, which it writes into its log as well.

        :raises CosignError: if cosign does not sign.
        """
        if not self.key:
            return self.cosign.attest(render_json(statement.predicate), statement.predicate_type, statement.subject)
        payload = render_statement(statement, repository)
        return render_bundle(payload, self.sign(to_be_signed(payload)), self.trust.hint)


def find_signer(settings: Settings, say: Say, *, may_install: bool) -> Signer:
    """Who signs here; the key has been opened once, so that a wrong password is not met in the middle.

    :raises CosignError: if there is no key, no token or no cosign.
    """
    wanted = settings.evidence
    if not wanted.sign and not has_token(os.environ):
        raise CosignError(
            f"there is no key (images.evidence.sign, or INVOKE_IMAGES_EVIDENCE_SIGN) and no identity token "
            f"({', '.join(TOKENS)})"
        )
    if not wanted.sign and not (wanted.identity and wanted.issuer):
        raise CosignError(
            "signing with an identity token needs images.evidence.identity and issuer: what it will sign as, so that "
            "what is signed already is known"
        )
    key = locate(wanted.sign, settings.root)
    cosign = find_cosign(say, may_install=may_install)
    if not key:
        return Signer(cosign=cosign, key="", trust=Trust(identity=wanted.identity, issuer=wanted.issuer))
    return Signer(cosign=cosign, key=key, trust=make_trust(cosign.public_key(key), key))


def find_trust(key: str, settings: Settings, cosign: Cosign | None) -> Trust | None:
    """Whom to believe; None: nobody is named.

    :param key: a public key, a file or reference; empty: as the settings have it.
    :param cosign: asked for the key of a reference.
    :raises UsageError: if the key cannot be read.
    """
    wanted = settings.evidence
    if name := key or wanted.trust:
        # What is typed is of the folder that one stands in, what is set is of the checkout.
        place = name if key else locate(name, settings.root)
        return make_trust(_public_key(place, cosign), name)
    if wanted.identity and wanted.issuer:
        return Trust(identity=wanted.identity, issuer=wanted.issuer)
    return None


def locate(key: str, root: Path) -> str:
    """A key as cosign is given it: a reference as it is, a file from the checkout on."""
    return key if not key or "://" in key else str(root / key)


def _public_key(place: str, cosign: Cosign | None) -> str:
    if "://" in place:
        if cosign is None:
            raise CosignError(f"{place}: the key of a reference is only to be had with cosign")
        return cosign.public_key(place)
    try:
        return Path(place).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{place}: the public key cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error

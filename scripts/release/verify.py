"""What is proven of a published image, and by whom: signature, provenance, ledger, smoke test, SBOMs, inventory.

PROVEN is what somebody we believe has signed, or what a ledger in this checkout says; NOT PROVEN is what is merely not
there, or there without anybody to answer for it; FAILED is what contradicts, or is not signed by whom it should be.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from scripts.build.vcs import DIRTY
from scripts.build.wanted import Need
from scripts.contents.inventory import MEDIA_TYPE
from scripts.release.attestations import find_bundles, find_documents
from scripts.release.findings import Finding, State
from scripts.release.predicates import facts_in, origin_in, result_in
from scripts.release.provenance import builder_id
from scripts.release.referrers import list_referrers
from scripts.release.sbom import CYCLONEDX_TYPE, SPDX_TYPE
from scripts.release.signatures import list_signatures
from scripts.release.statements import (
    CYCLONEDX,
    IN_TOTO,
    INVENTORY,
    PROVENANCE,
    SPDX,
    TEST_RESULT,
    MalformedStatementError,
    Statement,
    parse_statement,
    render_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from scripts.build.settings import Settings
    from scripts.release.cosign import Cosign
    from scripts.release.lines import Published, Smoke
    from scripts.release.target import Target
    from scripts.release.transport import Transport
    from scripts.release.trust import Trust

LEDGER = "the ledger"
NONE = "none attached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """What is needed to look."""

    transport: Transport
    target: Target
    settings: Settings
    cosign: Cosign | None
    """None: there is none, so no signature can be checked."""
    trust: Trust | None
    demanded: bool = False
    """Whether a key was given with the question: then it has to have signed, whoever's image it is."""


def verify(proofs: Proofs, platform: str | None = None) -> tuple[Finding, ...]:
    """All findings of one image, or of an index and of each of its images.

    :param platform: of the images of an index, only this one.
    :raises UsageError: if an index has none of that platform.
    :raises RegistryError: if the registry does not answer.
    """
    looker = _Looker(proofs)
    if images := proofs.target.images(proofs.transport, platform):
        found = [looker.signature(), looker.provenance(), looker.ledger()]
        for name, target in images.items():
            findings = _Looker(replace(proofs, target=target)).of_image()
            found += [replace(finding, what=f"{finding.what} {name}") for finding in findings]
        return tuple(found)
    signature, provenance, *rest = looker.of_image()
    return (signature, provenance, looker.ledger(), *rest)


class _Looker:
    def __init__(self, proofs: Proofs) -> None:
        self.transport = proofs.transport
        self.target = proofs.target
        self.settings = proofs.settings
        self.cosign = proofs.cosign
        self.trust = proofs.trust
        self.known = list_referrers(self.transport, self.target.digest)
        # Whom the settings name is to have signed our images, and says nothing of others'.
        self.answerable = proofs.demanded or proofs.target.ours

    def of_image(self) -> tuple[Finding, ...]:
        """All but what the ledger says: that is of an index as a whole."""
        return (self.signature(), self.provenance(), self.smoke(), self.sboms(), self.inventory())

    def signature(self) -> Finding:
        """The signature of the image itself."""
        what, required = "signature", self.settings.evidence.signature is Need.REQUIRED
        need = Need.REQUIRED if self.answerable and (self.trust or required) else Need.OPTIONAL
        found = list_signatures(self.transport, self.target.digest)
        if not found:
            return self._open(what, need, "no signature is attached")
        if not (self.cosign and self.trust):
            return self._open(what, need, f"{_count(found, 'signature')} attached, {self._unable}")
        complaint = ""
        for signed in found:
            complaint = self.cosign.verify(signed.payload, signed.signature, self.trust)
            if not complaint and signed.digest == self.target.digest.value:
                return self._proven(what, f"of {self.target.digest.value[:19]}")
            complaint = complaint or f"it is of {signed.digest or 'something else'}"
        return self._wrong(what, f"{_count(found, 'signature')} attached, none good: {complaint}")

    def provenance(self) -> Finding:
        """Who built it from what; compared with what the ledger says of this digest."""
        what = "provenance"
        statements, finding = self._statements(what, PROVENANCE, self.settings.evidence.provenance, origin_in)
        if finding:
            return finding
        wrong = ""
        for statement in statements:
            if not (wrong := self._contradiction(statement.predicate)):
                return self._proven(what, origin_in(statement.predicate))
        return self._failed(what, wrong)

    def ledger(self) -> Finding:
        """Whether the digest is what the ledger has for this name."""
        what, target, lines = "ledger", self.target, self.target.lines
        expected = target.expected
        if expected and expected.digest != target.manifest.digest:
            return self._failed(what, f"{expected.name} is {expected.digest[:19]} in the ledger", LEDGER)
        if not lines:
            why = (
                "no ledger of this checkout knows it"
                if target.ours
                else "another project's: no ledger of ours knows it"
            )
            return self._open(what, Need.REQUIRED if target.ours else Need.OPTIONAL, why)
        line = expected or lines[-1]
        if bad := target.ledger.yanked(line.repository, line.tag).get(line.revision):
            return self._failed(what, f"{line.tag}-r{line.revision} was yanked: {bad.reason}", LEDGER)
        return Finding(what=what, state=State.PROVEN, by=LEDGER, why=f"{line.tag}-r{line.revision}, {line.time[:10]}")

    def smoke(self) -> Finding:
        """Whether it has passed its smoke test: signed, or as the ledger says."""
        what, line = "smoke test", self._line
        statements, finding = self._statements(what, TEST_RESULT, self.settings.evidence.smoke, result_in)
        if finding is None:
            good = [item.predicate for item in statements if item.predicate.get("result") == "PASSED"]
            if good:
                return self._proven(what, result_in(good[-1]))
            return self._failed(what, result_in(statements[-1].predicate))
        if finding.state is State.OPEN and line and (smoke := self._smoke_in(line)):
            why = f"{smoke.passed} passed, {smoke.skipped} skipped, {smoke.started[:10]}"
            return Finding(what=what, state=State.PROVEN, by=LEDGER, why=why)
        return finding

    def _smoke_in(self, line: Published) -> Smoke | None:
        """What a line says of the smoke test of this image."""
        own = {item.digest: item.smoke for item in line.platforms}
        return own.get(self.target.manifest.digest) if own else line.smoke

    def sboms(self) -> Finding:
        """The lists of what is in it."""
        what, need = "SBOM", self.settings.evidence.sbom
        names = []
        for name, kind in (("SPDX", SPDX), ("CycloneDX", CYCLONEDX)):
            statements, finding = self._statements(what, kind, need, lambda _: "")
            if finding and finding.state is State.FAILED:
                return finding
            names += [name] if statements else []
        if names:
            return self._proven(what, " and ".join(names))
        plain = [kind for kind in (SPDX_TYPE, CYCLONEDX_TYPE) if kind in {item.artifact_type for item in self.known}]
        return self._open(what, self._need(need), "attached, but nobody has signed it" if plain else NONE)

    def inventory(self) -> Finding:
        """What is in it, and that whoever reads what is attached reads what was signed."""
        what = "inventory"
        attached = list(find_documents(self.transport, self.target.digest, MEDIA_TYPE, known=self.known))
        statements, finding = self._statements(what, INVENTORY, self.settings.evidence.inventory, lambda _: "")
        if finding:
            bare = attached and finding.why == NONE
            return replace(finding, why="attached, but nobody has signed it") if bare else finding
        signed = {render_json(item.predicate) for item in statements}
        if any(_canonical(content) not in signed for content in attached):
            return self._failed(what, "one is attached that they have not signed: it may have been tampered with")
        return self._proven(what, "as it was signed")

    def _statements(
        self, what: str, kind: str, need: Need, tell: Callable[[Mapping[str, Any]], str]
    ) -> tuple[list[Statement], Finding | None]:
        """The statements of a type that are signed by whom we believe; a finding if there are none."""
        need = self._need(need)
        bundles = list(find_bundles(self.transport, self.target.digest, kind, self.known))
        if not bundles:
            plain = tell(self._unsigned(kind) or {})
            return [], self._open(what, need, f"nobody has signed it: {plain}" if plain else NONE)
        if not (self.cosign and self.trust):
            return [], self._open(what, need, f"{_count(bundles, 'statement')} attached, {self._unable}")
        good, complaint = [], ""
        for bundle in bundles:
            wrong = self.cosign.verify_bundle(bundle.content, kind, self.target.manifest.content, self.trust)
            complaint = wrong or complaint
            if not wrong and bundle.statement.subject == self.target.manifest.digest:
                good.append(bundle.statement)
        if good:
            return good, None
        return [], self._wrong(what, f"{_count(bundles, 'statement')} attached, none good: {complaint}")

    def _unsigned(self, kind: str) -> Mapping[str, Any] | None:
        for content in find_documents(self.transport, self.target.digest, IN_TOTO, kind, self.known):
            try:
                return parse_statement(content, kind).predicate
            except MalformedStatementError:
                continue
        return None

    def _contradiction(self, predicate: Mapping[str, Any]) -> str:
        """What a provenance says otherwise than the settings and the ledger; empty if nothing."""
        facts = facts_in(predicate)
        line = self._line
        pairs = [("builder", facts["builder"], builder_id(self.settings) if self.target.ours else "")]
        if line:
            pairs += [
                ("recipe", facts["recipe"], line.recipe),
                ("commit", facts["commit"], line.commit.removesuffix(DIRTY)),
            ]
            pairs += [("base", facts["base"], line.base.removeprefix("sha256:"))]
        return "; ".join(
            f"{name} is {said or 'not told'}, expected {wanted}"
            for name, said, wanted in pairs
            if wanted and said != wanted
        )

    @property
    def _line(self) -> Published | None:
        return next((line for line in self.target.lines if line.recipe or line.smoke or line.platforms), None)

    def _need(self, need: Need) -> Need:
        """What the settings require they require of our own images, and signed only where somebody signs them."""
        return need if self.target.ours and self.trust else Need.OPTIONAL

    @property
    def _unable(self) -> str:
        return "and no key is named to check it with (--key)" if self.cosign else "and no cosign to check it with"

    def _proven(self, what: str, why: str) -> Finding:
        return Finding(what=what, state=State.PROVEN, by=str(self.trust), why=why)

    @staticmethod
    def _open(what: str, need: Need, why: str) -> Finding:
        return Finding(what=what, state=State.OPEN, by="", why=why, need=need)

    def _wrong(self, what: str, why: str) -> Finding:
        """What is signed, but not by whom we believe: no surprise with others' images, as long as nobody is asked for."""
        return Finding(what=what, state=State.FAILED if self.answerable else State.OPEN, by=str(self.trust), why=why)

    def _failed(self, what: str, why: str, by: str = "") -> Finding:
        return Finding(what=what, state=State.FAILED, by=by or str(self.trust), why=why)


def _count(found: Iterable[object], noun: str) -> str:
    number = len(list(found))
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _canonical(content: bytes) -> bytes:
    """A document as statements are compared; empty if it is none."""
    try:
        return render_json(json.loads(content))
    except ValueError:
        return b""

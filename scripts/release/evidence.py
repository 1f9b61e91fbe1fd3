"""What goes with a published image: SBOMs, provenance, the smoke test's result, and signatures of them and of the image.

Two steps, so that nothing is published when something required is missing: ``prepare_evidence`` makes everything that
needs no registry, ``attach_evidence`` attaches what is not attached yet, however often it is called.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from scripts.build.layout import layout_of
from scripts.build.wanted import Need
from scripts.contents.inventory import MEDIA_TYPE as INVENTORY_TYPE
from scripts.contents.inventory import render_inventory
from scripts.contents.weaknesses import MEDIA_TYPE as SCAN_TYPE
from scripts.contents.weaknesses import Scan, render_scan
from scripts.errors import ImagesError, UsageError
from scripts.release.attestations import (
    Document,
    attach_document,
    bundle_document,
    find_bundles,
    statement_document,
)
from scripts.release.provenance import provenance_of, test_result_of
from scripts.release.referrers import list_referrers
from scripts.release.registry import digest_of
from scripts.release.sbom import CYCLONEDX_TYPE, SPDX_TYPE, Origin, make_sboms
from scripts.release.scans import newest_scan
from scripts.release.signatures import Signed, attach_signature, list_as_referrer, list_signatures, render_payload
from scripts.release.signer import find_signer
from scripts.release.statements import (
    CYCLONEDX,
    INVENTORY,
    PROVENANCE,
    SCAN,
    SPDX,
    TEST_RESULT,
    Statement,
    render_statement,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scripts.build.layout import Descriptor
    from scripts.build.layout import Record as Build
    from scripts.build.settings import Settings
    from scripts.contents.inventory import Inventory
    from scripts.release.reference import Repository
    from scripts.release.registry import Manifest
    from scripts.release.sbom import Sboms
    from scripts.release.signer import Signer
    from scripts.release.transport import Transport
    from scripts.smoke.record import Record

    Say = Callable[[str], None]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One document about an image, and the same as a statement to be signed."""

    what: str
    need: Need
    statement: Statement
    content: bytes = b""
    """The document as it is; empty: the statement itself."""
    kind: str = ""

    def document(self, repository: Repository) -> Document:
        """The document, signed by nobody."""
        if self.content:
            return Document(kind=self.kind, content=self.content, annotations={})
        return statement_document(render_statement(self.statement, repository), self.statement.predicate_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is to be attached to one image."""

    image: str
    """Its id."""
    pieces: tuple[Piece, ...] = ()
    signer: Signer | None = None
    signature: Need = Need.OPTIONAL

    @property
    def names(self) -> tuple[str, ...]:
        """What it is, in words."""
        signed = (f"signed with {self.signer.trust}",) if self.signer else ("not signed",)
        return (*(piece.what for piece in self.pieces), *signed)


def prepare_evidence(
    settings: Settings, build: Build, smoke: Record | None, say: Say, *, may_install: bool = False
) -> Evidence:
    """Make what is to be attached to a build; a line for everything that is left out.

    :param smoke: the smoke test that the build has passed; None: it was published without on purpose.
    :param may_install: whether cosign may be installed where it is missing and we are root.
    :raises ImagesError: with its reason, if something cannot be made that the settings require.
    """
    wanted = settings.evidence

    def make(what: str, need: Need, made: Callable[[], T]) -> T | None:
        if need is Need.OFF:
            say(f"warning: {build.id}: {what}: off in the settings: published without")
            return None
        try:
            return made()
        except ImagesError as error:
            if need is Need.REQUIRED:
                raise type(error)(f"{build.id}: {what} is required (images.evidence): {error}") from error
            say(f"warning: {build.id}: published without {what}: {error}")
            return None

    signer = make("a signature", wanted.signature, lambda: find_signer(settings, say, may_install=may_install))
    origin = Origin(name=build.id, digest=build.digest, epoch=build.epoch, source=settings.source)
    layout = layout_of(settings.out, build)
    sboms = make("an SBOM", wanted.sbom, lambda: make_sboms(layout, origin, settings.out, say))
    pieces = [*_sbom_pieces(sboms, build.digest, wanted.sbom)] if sboms else []
    byproducts = {f"SBOM, {piece.what}": digest_of(piece.content) for piece in pieces}
    predicate = make("provenance", wanted.provenance, lambda: provenance_of(build, settings, byproducts))
    if predicate:
        statement = Statement(subject=build.digest, predicate_type=PROVENANCE, predicate=predicate)
        pieces.append(Piece(what="provenance", need=wanted.provenance, statement=statement))
    if smoke is None:
        say(f"warning: {build.id}: no smoke test result is attached: there is none")
    elif result := make("the smoke test's result", wanted.smoke, lambda: test_result_of(smoke)):
        statement = Statement(subject=build.digest, predicate_type=TEST_RESULT, predicate=result)
        pieces.append(Piece(what="smoke test", need=wanted.smoke, statement=statement))
    if scan := newest_scan(settings.out, build.digest, say):
        pieces.append(_scan_piece(scan))
    return Evidence(image=build.id, pieces=tuple(pieces), signer=signer, signature=wanted.signature)


def evidence_of_index(settings: Settings, build: Build, images: Evidence) -> Evidence:
    """What is to be attached to an index: where it comes from, and a signature. The rest is about its images.

    :param images: what was made for one of them.
    """
    pieces: tuple[Piece, ...] = ()
    if any(piece.what == "provenance" for piece in images.pieces):
        predicate = provenance_of(build, settings, {})
        statement = Statement(subject=build.digest, predicate_type=PROVENANCE, predicate=predicate)
        pieces = (Piece(what="provenance", need=settings.evidence.provenance, statement=statement),)
    return replace(images, pieces=pieces)


def attach_evidence(
    transport: Transport, repository: Repository, manifest: Manifest, evidence: Evidence, say: Say
) -> tuple[Descriptor, ...]:
    """Attach to an image what is not attached yet; gives what was. The signature of the image comes last.

    :param manifest: the image's, which the repository has.
    :raises ImagesError: if something that is required cannot be attached; run it again.
    """
    done: list[Descriptor] = []
    names: list[str] = []
    for what, need, attach in _attachments(_Target(transport, repository, manifest), evidence):
        try:
            found = attach()
        except ImagesError as error:
            if need is Need.REQUIRED:
                raise
            say(f"warning: {evidence.image}: {what} is not attached: {error}")
            continue
        if found:
            done.append(found)
            names.append(what)
    if names:
        say(f"{evidence.image}: attached: {', '.join(names)}")
    return tuple(done)


def _attachments(target: _Target, evidence: Evidence) -> Iterator[tuple[str, Need, Callable[[], Descriptor | None]]]:
    for piece in evidence.pieces:
        yield piece.what, piece.need, partial(target.attach, piece.document(target.repository))
    if evidence.signer:
        for piece in evidence.pieces:
            yield (
                f"{piece.what} (signed)",
                evidence.signature,
                partial(target.attach_signed, piece.statement, evidence.signer),
            )
        yield f"signature of {evidence.signer.trust}", evidence.signature, partial(target.sign, evidence.signer)


class _Target:
    """An image in a registry, and what was attached to it before."""

    def __init__(self, transport: Transport, repository: Repository, manifest: Manifest) -> None:
        self.transport = transport
        self.repository = repository
        self.manifest = manifest
        self.image = repository.digest(manifest.digest)
        self.known = list_referrers(transport, self.image)

    def attach(self, document: Document) -> Descriptor | None:
        """Attach a document; None: it is attached."""
        return attach_document(self.transport, self.image, self.manifest.descriptor, document, self.known)

    def attach_signed(self, statement: Statement, signer: Signer) -> Descriptor | None:
        """Sign a statement and attach it; None: it is attached, signed by the same.

        A signature has other bytes each time, so what is there is verified, and not compared.
        """
        content, kind = self.manifest.content, statement.predicate_type
        for bundle in find_bundles(self.transport, self.image, kind, self.known):
            if bundle.statement == statement and not signer.cosign.verify_bundle(
                bundle.content, kind, content, signer.trust
            ):
                return None
        return self.attach(bundle_document(signer.bundle(statement, self.repository), kind))

    def sign(self, signer: Signer) -> Descriptor | None:
        """Sign the image; None: it is signed by the same."""
        for signed in list_signatures(self.transport, self.image):
            if signed.digest == self.image.value and not signer.cosign.verify(
                signed.payload, signed.signature, signer.trust
            ):
                return list_as_referrer(self.transport, self.image, self.known)
        payload = render_payload(self.repository, self.image.value)
        signed = Signed(payload=payload, signature=signer.sign(payload))
        return attach_signature(self.transport, self.manifest.descriptor, self.image, signed)


def _sbom_pieces(sboms: Sboms, digest: str, need: Need) -> Iterator[Piece]:
    for what, kind, predicate_type, content in (
        ("SPDX", SPDX_TYPE, SPDX, sboms.spdx),
        ("CycloneDX", CYCLONEDX_TYPE, CYCLONEDX, sboms.cyclonedx),
    ):
        statement = Statement(subject=digest, predicate_type=predicate_type, predicate=json.loads(content))
        yield Piece(what=what, need=need, statement=statement, content=content, kind=kind)


def with_inventory(evidence: Evidence, inventory: Inventory | None, digest: str, need: Need) -> Evidence:
    """The same with the inventory of the image, which is attached and signed as the rest is; None: there is none.

    :raises UsageError: if it is the inventory of another image.
    """
    if inventory is None:
        return evidence
    if inventory.image.digest != digest:
        raise UsageError(
            f"{evidence.image}: its inventory is of {inventory.image.digest}, not of {digest}: run it again"
        )
    content = render_inventory(inventory)
    statement = Statement(subject=digest, predicate_type=INVENTORY, predicate=json.loads(content))
    piece = Piece(what="inventory", need=need, statement=statement, content=content, kind=INVENTORY_TYPE)
    return replace(evidence, pieces=(piece, *evidence.pieces))


def _scan_piece(scan: Scan) -> Piece:
    """What a scan found, which is attached where there was one: a revision of which nothing is known may be published."""
    content = render_scan(scan)
    statement = Statement(subject=scan.image, predicate_type=SCAN, predicate=json.loads(content))
    return Piece(what="scan", need=Need.OPTIONAL, statement=statement, content=content, kind=SCAN_TYPE)

"""What a new revision comes with: why it is there, its inventory, what changed since the one before, and its evidence.

Made before anything is sent, so that nothing is published when something required cannot be made; attached to the digest
before a tag names it, so that no revision is without it. Done again after a crash, it attaches only what is missing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build.wanted import Need
from scripts.contents.difference import compare
from scripts.contents.difference_pages import render_markdown
from scripts.contents.difference_words import sentence
from scripts.errors import ImagesError, UsageError
from scripts.release.attestations import Document, attach_document
from scripts.release.evidence import attach_evidence, prepare_evidence, with_inventory
from scripts.release.referrers import list_referrers
from scripts.release.revision import Step, revision_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.build.layout import Record as Build
    from scripts.build.settings import Settings
    from scripts.contents.inventory import Inventory
    from scripts.release.evidence import Evidence
    from scripts.release.named import Reader
    from scripts.release.place import Place
    from scripts.release.registry import Manifest
    from scripts.release.revision import Decision
    from scripts.release.transport import Transport
    from scripts.smoke.record import Record as Smoke

    Say = Callable[[str], None]

CHANGES_TYPE = "application/vnd.vessl.images.changes.v1+markdown"
REPLACES = "ai.vessl.images.replaces"
"""Annotation of the changes: the revision that they are counted from, as ``TAG-rN``."""
FIRST = "first revision"
"""The reason of a revision that has none before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Companions:
    """What one digest is published with."""

    reason: str
    changes: Document | None
    evidence: Evidence


def prepare_companions(
    build: Build,
    smoke: Smoke | None,
    place: Place,
    plan: Decision,
    settings: Settings,
    reader: Reader | None,
    reason: str,
    say: Say,
) -> Companions:
    """Make what a build is to be published with.

    :param reader: what makes inventories; None: there are none.
    :param reason: the publisher's; empty: what changed in the image.
    :raises UsageError: if there is no reason, and none can be found out.
    :raises ImagesError: if something that is required cannot be made.
    """
    may_install = "IMAGES_SETUP" in os.environ
    evidence = prepare_evidence(settings, build, smoke, say, may_install=may_install)
    before = None
    if plan.replaces and plan.step in {Step.NEW, Step.FINISH}:
        before = f"{place.repository}:{revision_tag(place.tag, plan.replaces)}"
    inventory = make_inventory(build, settings, reader, say)
    try:
        if before is None or inventory is None or reader is None:
            found, changes = FIRST if before is None else "", None
        else:
            old = reader.inventory(before)
            difference = compare(old, inventory, reader.exposure(old, inventory))
            notes = {REPLACES: before.rpartition(":")[2]}
            found = sentence(difference)
            changes = Document(kind=CHANGES_TYPE, content=render_markdown(difference).encode(), annotations=notes)
    except ImagesError as error:
        found, changes = "", None
        say(f"warning: {build.id}: what changed since r{plan.replaces} could not be found out: {error}")
    if not (reason or found or plan.step is Step.MOVE):
        raise UsageError(f"{build.id}: --reason: say what changed since r{plan.replaces}, for the people who pull")
    return Companions(
        reason=reason or found,
        changes=changes,
        evidence=with_inventory(evidence, inventory, build.digest, settings.evidence.inventory),
    )


def make_inventory(build: Build, settings: Settings, reader: Reader | None, say: Say) -> Inventory | None:
    """The inventory that a build is published with; None: it need not have one, and a line says why it has none.

    :raises ImagesError: if it is required and cannot be made.
    """
    need = settings.evidence.inventory
    if need is Need.OFF or reader is None:
        say(f"warning: {build.id}: an inventory: off in the settings: published without")
        return None
    try:
        return reader.inventory(build.id)
    except ImagesError as error:
        if need is Need.REQUIRED:
            raise type(error)(f"{build.id}: an inventory is required (images.evidence): {error}") from error
        say(f"warning: {build.id}: published without an inventory: {error}")
        return None


def attach_companions(transport: Transport, place: Place, manifest: Manifest, companions: Companions, say: Say) -> None:
    """Attach to a digest what is not attached yet.

    :raises ImagesError: if something that is required cannot be attached; run it again.
    """
    repository = place.repository
    if companions.changes:
        image = repository.digest(manifest.digest)
        known = list_referrers(transport, image, CHANGES_TYPE)
        attach_document(transport, image, manifest.descriptor, companions.changes, known)
    attach_evidence(transport, repository, manifest, companions.evidence, say)

"""What a new revision comes with: why it is there, its inventory, what changed since the one before, and its evidence.

Made before anything is sent, so that nothing is published when something required cannot be made; attached to the digest
before a tag names it, so that no revision is without it. Done again after a crash, it attaches only what is missing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scripts.build.wanted import Need
from scripts.contents.difference import compare
from scripts.contents.difference_pages import render_markdown
from scripts.contents.difference_words import sentence
from scripts.errors import ImagesError, UsageError
from scripts.release.attestations import Document, attach_document
from scripts.release.evidence import attach_evidence, evidence_of_index, prepare_evidence, with_inventory
from scripts.release.referrers import list_referrers
from scripts.release.revision import Step, revision_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scripts.build.layout import Record as Build
    from scripts.build.settings import Settings
    from scripts.contents.inventory import Inventory
    from scripts.release.evidence import Evidence
    from scripts.release.named import Reader
    from scripts.release.place import Place
    from scripts.release.product import Product
    from scripts.release.revision import Decision
    from scripts.release.tested import Tested
    from scripts.release.transport import Transport

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
    images: Mapping[str, Evidence]
    """By platform; an image that is no part of an index has an empty text for it."""
    index: Evidence | None = None
    """Of an index itself."""


def prepare_companions(
    build: Build,
    tested: Sequence[Tested],
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
    evidence = {
        item.image.platform: prepare_evidence(settings, item.image, item.smoke, say, may_install=may_install)
        for item in tested
    }
    before = None
    if plan.replaces and plan.step in {Step.NEW, Step.FINISH}:
        before = f"{place.repository}:{revision_tag(place.tag, plan.replaces)}"
    readers = {platform: replace(reader, platform=platform or None) if reader else None for platform in evidence}
    inventories = {platform: make_inventory(build, settings, readers[platform], say) for platform in evidence}
    try:
        found, changes = _changes(before, inventories, readers)
    except ImagesError as error:
        found, changes = "", None
        say(f"warning: {build.id}: what changed since r{plan.replaces} could not be found out: {error}")
    if not (reason or found or plan.step is Step.MOVE):
        raise UsageError(f"{build.id}: --reason: say what changed since r{plan.replaces}, for the people who pull")
    need = settings.evidence.inventory
    images = {
        item.image.platform: with_inventory(
            evidence[item.image.platform], inventories[item.image.platform], item.image.digest, need
        )
        for item in tested
    }
    index = evidence_of_index(settings, build, next(iter(evidence.values()))) if build.platforms else None
    return Companions(reason=reason or found, changes=changes, images=images, index=index)


def _changes(
    before: str | None, inventories: Mapping[str, Inventory | None], readers: Mapping[str, Reader | None]
) -> tuple[str, Document | None]:
    """What changed, in a sentence and as a document; of several platforms together where that is the same.

    :param before: the revision that is replaced, with its repository; None: there is none.
    """
    if before is None:
        return FIRST, None
    sentences: dict[str, str] = {}
    pages: list[str] = []
    for platform, inventory in inventories.items():
        reader = readers[platform]
        if inventory is None or reader is None:
            return "", None
        if platform and not reader.has_platform(before):
            sentences[platform] = "is new"
            pages.append(f"# {platform}\n\nIs new.\n")
            continue
        old = reader.inventory(before)
        difference = compare(old, inventory, reader.exposure(old, inventory))
        sentences[platform] = sentence(difference)
        pages.append(f"# {platform}\n\n{render_markdown(difference)}" if platform else render_markdown(difference))
    told = set(sentences.values())
    found = told.pop() if len(told) == 1 else "; ".join(f"{name}: {text}" for name, text in sentences.items() if text)
    notes = {REPLACES: before.rpartition(":")[2]}
    return found, Document(kind=CHANGES_TYPE, content="\n".join(pages).encode(), annotations=notes)


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


def attach_companions(transport: Transport, place: Place, product: Product, companions: Companions, say: Say) -> None:
    """Attach to a digest, and to the images of an index, what is not attached yet.

    :raises ImagesError: if something that is required cannot be attached; run it again.
    """
    repository, manifest = place.repository, product.manifest
    for platform, evidence in companions.images.items():
        if platform:
            attach_evidence(transport, repository, product.images[platform], evidence, say)
    if companions.changes:
        image_or_index = repository.digest(manifest.digest)
        known = list_referrers(transport, image_or_index, CHANGES_TYPE)
        attach_document(transport, image_or_index, manifest.descriptor, companions.changes, known)
    attach_evidence(transport, repository, manifest, companions.index or companions.images[""], say)

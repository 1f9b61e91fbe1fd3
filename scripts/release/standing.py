"""What stands under a standard tag, as far as a plan has to know: which recipe it was made of, and on which base.

The ledger tells of what it knows, so that one request is enough; for the rest the image's own labels do. What the recipe
was in detail is in the attached provenance, and believed only where it has the hash that the image is labelled with.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build.bake import LABELS
from scripts.contents.inventory_read import config_of
from scripts.contents.layers import LayerError
from scripts.contents.platforms import INDEXES
from scripts.errors import RegistryError
from scripts.recipe.inputs import Recipe
from scripts.release.attestations import find_bundles, find_documents
from scripts.release.provenance import recipe_in
from scripts.release.published import find_digest, load_published
from scripts.release.registry import get_manifest, head_manifest
from scripts.release.statements import IN_TOTO, PROVENANCE, MalformedStatementError, parse_statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.release.ledger import Ledger
    from scripts.release.place import Place
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport

BASE = "org.opencontainers.image.base.digest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a standard tag is."""

    digest: str
    revision: int | None
    """The highest with that digest; None: the ledger knows none."""
    recipe: str
    """Hash of its recipe; empty: neither the ledger nor a label tells."""
    base: str
    """Digest of its base."""

    @property
    def name(self) -> str:
        """How to call it in a sentence."""
        return f"r{self.revision}" if self.revision else self.digest[:19]


def load_standing(transport: Transport, place: Place, ledger: Ledger) -> Standing | None:
    """What a standard tag is in its registry, or None where there is no such tag.

    :raises RegistryError: if the registry cannot be asked, or what it has is not well formed.
    """
    found = head_manifest(transport, place.repository.tag(place.tag))
    if found is None:
        return None
    same = [line for line in ledger.published(str(place.repository), place.tag) if line.digest == found.digest]
    known = next((line for line in reversed(same) if line.recipe and line.base), None)
    revision = same[-1].revision if same else None
    if known:
        return Standing(digest=found.digest, revision=revision, recipe=known.recipe, base=known.base)
    image = find_digest(transport, place.repository.digest(found.digest), None, lambda _: None)
    try:
        labels = config_of(load_published(transport, image, None)).labels
    except LayerError as error:
        raise RegistryError(f"{place.name}: {error}") from error
    recipe = labels.get(f"{LABELS}.recipe", "")
    return Standing(digest=found.digest, revision=revision, recipe=recipe, base=labels.get(BASE, ""))


def load_parts(transport: Transport, place: Place, standing: Standing) -> Mapping[str, str]:
    """The parts of the recipe that a published image was made of; empty: nothing that is attached tells them truly."""
    try:
        for predicate in _predicates(transport, place, standing.digest):
            parts = recipe_in(predicate)
            if parts and Recipe(parts=parts).hash == standing.recipe:
                return parts
    except RegistryError:
        return {}
    return {}


def _predicates(transport: Transport, place: Place, digest: str) -> Iterator[Mapping[str, object]]:
    """Every provenance of an image; of an index, of each of its images too: they are of one recipe."""
    top = get_manifest(transport, place.repository.digest(digest))
    for image in (digest, *_children(top)):
        found = place.repository.digest(image)
        for content in find_documents(transport, found, IN_TOTO, PROVENANCE):
            with suppress(MalformedStatementError):
                yield parse_statement(content, str(found)).predicate
        for bundle in find_bundles(transport, found, PROVENANCE):
            yield bundle.statement.predicate


def _children(manifest: Manifest) -> Iterator[str]:
    if manifest.media_type in INDEXES:
        with suppress(ValueError, KeyError, TypeError):
            yield from (str(entry["digest"]) for entry in json.loads(manifest.content)["manifests"])

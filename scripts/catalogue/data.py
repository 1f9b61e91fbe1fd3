"""The same as the pages, as data: JSON with schemas for programs, and scripts that assign data for the pages.

A page that was opened as a file may not fetch anything, but it may run a script that stands beside it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter

from scripts.catalogue.model import Family, Image
from scripts.contents.inventory import SCHEMA as INVENTORY_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.catalogue.model import Catalogue, Revision
    from scripts.catalogue.shelf import Shelf

_IMAGE = TypeAdapter(Image)
DIALECT = "https://json-schema.org/draft/2020-12/schema"
_CONFIG = ConfigDict(use_attribute_docstrings=True, extra="forbid")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRevision:
    """A revision in short."""

    number: int
    digest: str
    time: str
    """When it was published: UTC, RFC 3339."""
    size: int
    """Bytes as they are pulled."""
    stand: str
    """current, older, yanked or gone."""
    reason: str
    """What changed; of a yanked or gone one, why."""
    test: str
    """passed or failed; empty: not known."""

    __pydantic_config__ = _CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An image in short."""

    id: str
    """REPO:TAG."""
    family: str
    repository: str
    tag: str
    state: str
    """active, frozen, deprecated or retired."""
    reason: str
    instead: tuple[str, ...]
    """Ids of images to use in place of one that is not active."""
    versions: dict[str, str]
    """As they are declared."""
    platforms: tuple[str, ...]
    gpu: bool
    data: str
    """Where all that is known of it stands, beside this file."""
    revisions: tuple[ListedRevision, ...]
    """Newest first."""

    __pydantic_config__ = _CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All images of a registry and organisation, in short."""

    registry: str
    as_of: str
    """When the newest revision, yank or loss was written down; empty: there is none."""
    trouble: str
    """Why the registry was not asked; empty: it was, and answered."""
    families: tuple[Family, ...]
    images: tuple[Listed, ...]

    __pydantic_config__ = _CONFIG


def data_files(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Path and text of the data that are not of one image."""
    yield "data/catalogue.json", _json(TypeAdapter(Listing).dump_python(_listing(catalogue), mode="json"))
    for name, kind in (("catalogue", Listing), ("image", Image)):
        yield f"data/{name}.schema.json", _json({"$schema": DIALECT, **TypeAdapter(kind).json_schema()})
    yield "data/inventory.schema.json", INVENTORY_SCHEMA.read_text(encoding="utf-8")


def image_data(image: Image) -> Iterator[tuple[str, str]]:
    """Path and text of the data of an image."""
    yield f"data/images/{image.path}.json", _json(_IMAGE.dump_python(image, mode="json"))


def inventory_data(digest: str, shelf: Shelf) -> Iterator[tuple[str, str]]:
    """Path and text of what is in a digest: the inventory as it is attached, and the same as a script."""
    if text := shelf.document(digest):
        name = f"data/inventories/{digest.replace(':', '-')}"
        yield f"{name}.json", text
        value = f"window.inventories[{json.dumps(digest)}] = {_inert(text.strip())};"
        yield f"{name}.js", f"window.inventories = window.inventories || {{}};\n{value}\n"


def search_data(catalogue: Catalogue, shelf: Shelf) -> tuple[str, str]:
    """Path and text of what the search looks through: all revisions, and the packages of the newest ones."""
    images = catalogue.published
    rows = [
        [
            number,
            item.number,
            item.digest,
            item.time[:10],
            item.size,
            str(item.stand),
            _why(item),
            _contents_at(item),
        ]
        for number, image in enumerate(images)
        for item in image.revisions
    ]
    packages: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for number, image in enumerate(images):
        inventory = shelf.inventory(image.current.image) if image.current and image.current.contents else None
        if inventory:
            found = [
                (item.name, item.version) for place in inventory.python.environments for item in place.distributions
            ]
            found += [(item.name, item.version) for item in inventory.apt]
            for name, version in dict.fromkeys(found):
                packages[name][version].append(number)
    content = {
        "images": [[image.id, image.path, image.repository] for image in images],
        "revisions": rows,
        "packages": {name: dict(versions) for name, versions in sorted(packages.items())},
    }
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return "data/search.js", f"window.catalogue = {_inert(text)};\n"


def _listing(catalogue: Catalogue) -> Listing:
    images = [
        Listed(
            id=image.id,
            family=image.family,
            repository=image.repository,
            tag=image.tag,
            state=image.state,
            reason=image.reason,
            instead=image.instead,
            versions=dict(image.versions),
            platforms=image.platforms,
            gpu=image.gpu,
            data=f"images/{image.path}.json",
            revisions=tuple(
                ListedRevision(
                    number=item.number,
                    digest=item.digest,
                    time=item.time,
                    size=item.size,
                    stand=str(item.stand),
                    reason=_why(item),
                    test=str(item.test.result) if item.test else "",
                )
                for item in image.revisions
            ),
        )
        for image in catalogue.images
    ]
    return Listing(
        registry=catalogue.registry,
        as_of=catalogue.as_of,
        trouble=catalogue.trouble,
        families=catalogue.families,
        images=tuple(images),
    )


def _contents_at(revision: Revision) -> int | str:
    """Whether its contents are known; of an index the digest of the image that they are of."""
    if revision.contents is None:
        return 0
    return 1 if revision.image == revision.digest else revision.image


def _why(revision: Revision) -> str:
    mark = revision.yanked or revision.gone
    return mark.reason if mark else revision.reason


def _json(content: Any) -> str:
    # Without indentation, since the fast encoder knows none.
    return json.dumps(content, ensure_ascii=False) + "\n"


def _inert(text: str) -> str:
    """JSON that is JavaScript too, and that ends no script and starts no comment wherever it is put."""
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text

"""All files of a site, made from what was collected; the same for the same catalogue, byte for byte."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.catalogue.data import data_files, image_data, inventory_data, search_data
from scripts.catalogue.feeds import feeds
from scripts.catalogue.pages import image_pages, top_pages

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.catalogue.model import Catalogue, Image
    from scripts.catalogue.shelf import Shelf

ASSETS = Path(__file__).with_name("assets")


def files_of(catalogue: Catalogue, shelf: Shelf) -> Iterator[tuple[str, str]]:
    """Path below the site's folder and text of each file."""
    for path in sorted(ASSETS.iterdir()):
        yield f"assets/{path.name}", path.read_text(encoding="utf-8")
    yield from chain(top_pages(catalogue), data_files(catalogue), feeds(catalogue))
    yield search_data(catalogue, shelf)
    for image in catalogue.published:
        yield from chain(image_pages(catalogue, image, shelf), image_data(image))
    for digest in digests_of(catalogue.published):
        yield from inventory_data(digest, shelf)


def digests_of(images: tuple[Image, ...]) -> tuple[str, ...]:
    """The digests of images whose contents are known, each once; that of an index is none of them."""
    return tuple(dict.fromkeys(item.image for image in images for item in image.revisions if item.contents))

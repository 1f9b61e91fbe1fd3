"""A feed for each family: its new revisions, and those that must not be used any more (RFC 4287)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from scripts.catalogue.words import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.catalogue.model import Catalogue, Family, Image, Revision

ATOM = "http://www.w3.org/2005/Atom"
MOST = 100
"""Entries of a feed."""
NEVER = "1970-01-01T00:00:00Z"
"""When a feed without entries was updated: it has to say something, and always the same."""
# XML 1.0, section 2.2: what no document may hold, escaped or not.
FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def feeds(catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    """Path and text of the feed of each family."""
    for family in catalogue.families:
        yield f"feeds/{family.name}.xml", render_feed(catalogue, family)


def render_feed(catalogue: Catalogue, family: Family) -> str:
    """The feed of a family, newest first. Its links are relative: it does not know where it will stand."""
    entries = sorted(
        (
            entry
            for image in catalogue.images
            if image.family == family.name
            for revision in image.revisions
            for entry in _entries(image, revision)
        ),
        key=lambda entry: (entry[0], entry[1]),
        reverse=True,
    )[:MOST]
    feed = Element("feed", xmlns=ATOM)
    _add(feed, "id", f"docker://{catalogue.registry}/{quote(family.name)}")
    _add(feed, "title", f"New revisions: {family.name}")
    if family.description:
        _add(feed, "subtitle", family.description)
    _add(feed, "updated", entries[0][0] if entries else NEVER)
    SubElement(feed, "link", rel="alternate", type="text/html", href="../index.html")
    _add(SubElement(feed, "author"), "name", catalogue.registry)
    for time, name, title, text, image, revision in entries:
        entry = SubElement(feed, "entry")
        _add(entry, "id", f"docker://{name}")
        _add(entry, "title", title)
        _add(entry, "updated", time)
        _add(entry, "published", time)
        href = f"../images/{quote(image.path)}-r{revision.number}.html"
        SubElement(entry, "link", rel="alternate", type="text/html", href=href)
        _add(entry, "summary", text)
    indent(feed)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{tostring(feed, encoding="unicode")}\n'


def _entries(image: Image, revision: Revision) -> Iterator[tuple[str, str, str, str, Image, Revision]]:
    name, title = f"{image.repository}:{revision.tag}", f"{image.id}-r{revision.number}"
    state = f" ({image.state}: {image.reason})" if image.reason else ""
    yield revision.time, name, title, f"{revision.reason}{state}", image, revision
    if revision.yanked:
        why = f"Do not use it: {revision.yanked.reason}"
        yield revision.yanked.time, f"{name}#yanked", f"{title} is yanked", why, image, revision


def _add(parent: Element, tag: str, text: str) -> None:
    SubElement(parent, tag).text = FORBIDDEN.sub(" ", clean(text))

"""Listings that come in pages: followed by their ``Link`` to the end, and never round in a circle.

distribution-spec, "Listing Tags": fewer entries than asked for are not the end, and the order is the registry's affair.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from requests.utils import parse_header_links

from scripts.errors import RegistryError
from scripts.release.tokens import scope
from scripts.release.wire import Request, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from scripts.release.reference import Repository
    from scripts.release.refusal import Answer
    from scripts.release.transport import Transport


def pages(
    transport: Transport, repository: Repository, path: str, *, key: str, wanted: str
) -> Iterator[tuple[Answer, list[Any]]]:
    """Each page of a listing, with what it lists.

    :param path: of the first page, below the repository: ``/tags/list``.
    :param key: the member of a page that is the list; null is an empty one.
    :param wanted: what is listed, for messages.
    :raises RegistryError: if a page is not of that form, or one comes again.
    """
    url = f"{repository.url}{path}"
    seen: set[str] = set()
    known: set[str] = set()
    while url not in seen:
        seen.add(url)
        request = Request(repository=repository, wanted=wanted, method="GET", url=url)
        answer = transport.request(request, scope(repository, "pull"))
        entries = _entries(answer, repository, key, wanted)
        names = {json.dumps(entry) for entry in entries}
        if names and names <= known:
            raise RegistryError(f"{repository}: {wanted}: page {len(seen)} lists nothing that an earlier one did not")
        known |= names
        yield answer, entries
        following = _next(answer, repository, wanted)
        if not following:
            return
        url = following
    raise RegistryError(f"{repository}: {wanted}: after page {len(seen)} the registry leads back to an earlier one")


def _entries(answer: Answer, repository: Repository, key: str, wanted: str) -> list[Any]:
    try:
        page: Mapping[str, Any] = json.loads(answer.body)
        entries = page[key]
    except (ValueError, KeyError, TypeError) as error:
        raise RegistryError(f"{repository}: {wanted}: expected JSON with {key!r}: is this a registry?") from error
    if not isinstance(entries, list | None):
        raise RegistryError(f"{repository}: {wanted}: {key}: expected a list, got {type(entries).__name__}")
    return entries or []


def _next(answer: Answer, repository: Repository, wanted: str) -> str | None:
    """Address of the next page; only its path and query count, for a registry behind a proxy may not know its own name."""
    for link in parse_header_links(answer.headers.get("Link", "")):
        if link.get("rel", "").lower() == "next":
            parts = urlsplit(resolve(repository, wanted, answer.url, link["url"]))
            return f"{repository.origin}{parts.path}{'?' if parts.query else ''}{parts.query}"
    return None

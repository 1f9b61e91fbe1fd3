"""How pages about images say sizes, lists of names, and what made a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from scripts.contents.inventory import Inventory, LayerFacts

MB = 1_000_000
BROUGHT = 2
"""Names of what a layer brings that are said."""


def size_words(size: int) -> str:
    """Bytes for people: 312 MB."""
    return f"{size / MB:.1f} MB" if size < 10 * MB else f"{size / MB:.0f} MB"


def listed(names: Sequence[str]) -> str:
    """Names as they are said: one, one and another, one, another and a third."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def harmless(text: str) -> str:
    """Words out of an image that is not ours, without what would do something to a terminal; lines stay lines."""
    return "".join(char if char.isprintable() or char == "\n" else " " for char in text)


def count_of(number: int, noun: str) -> str:
    """A number of things: 1 layer, 2 layers."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def asked_for(*inventories: Inventory) -> frozenset[str]:
    """Normalised names of the Python distributions that were asked for directly."""
    return frozenset(
        canonicalize_name(item.name)
        for inventory in inventories
        for place in inventory.python.environments
        for item in place.distributions
        if item.direct
    )


def made_by(layer: LayerFacts, asked: Collection[str], width: int) -> str:
    """What a layer brings of Python, with those that were asked for first; else its history entry, cut at a width."""
    if layer.distributions:
        names = sorted(layer.distributions, key=lambda name: name not in asked)
        more = len(names) - BROUGHT
        text = f"{', '.join(names[:BROUGHT])} and {more} more" if more > 0 else listed(names)
    else:
        text = layer.made_by.replace("/bin/sh -c #(nop) ", "").replace("/bin/sh -c ", "").removesuffix(" # buildkit")
        text = " ".join(text.split())
    return text if len(text) <= width else f"{text[: width - 3]}..."

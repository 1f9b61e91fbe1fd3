"""What a reviewer wants to know of images that were built here: their size, and what changed from what is published."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.build.layout import load_record
from scripts.contents.difference import compare
from scripts.contents.difference_pages import render_markdown
from scripts.contents.words import size_words
from scripts.errors import ImagesError, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scripts.contents.inventory import Inventory
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.named import Reader

LENGTH = 20_000
"""Characters of one image's page: a comment on GitHub has 65,536 at most, and is of several images."""


def render_review(reader: Reader, specs: Iterable[ImageSpec]) -> str:
    """A page in Markdown, with a chapter for each image; what cannot be read is said in it."""
    return "\n\n".join("\n".join(_chapter(reader, spec)) for spec in specs) + "\n"


def _chapter(reader: Reader, spec: ImageSpec) -> Iterator[str]:
    yield f"## `{spec.id}`"
    yield ""
    if load_record(reader.settings.out, spec.id) is None:
        yield "Was not built."
        return
    try:
        new = reader.inventory(spec.id)
    except ImagesError as error:
        yield f"Was built, and cannot be read: {_line(error)}"
        return
    try:
        old = reader.inventory(f"{reader.settings.registry}/{spec.id}")
    except RegistryError as error:
        yield f"{size_words(new.size)}; nothing published to compare with: {_line(error)}"
        return
    yield _sizes(old, new)
    yield ""
    yield _cut(render_markdown(compare(old, new)))


def _sizes(old: Inventory, new: Inventory) -> str:
    more = new.size - old.size
    change = f"{size_words(abs(more))} {'more' if more > 0 else 'less'} than published" if more else "as published"
    return f"**{size_words(new.size)}**, {change} ({size_words(old.size)})."


def _cut(text: str) -> str:
    if len(text) <= LENGTH:
        return text
    whole = text[:LENGTH].rpartition("\n")[0]
    return f"{whole}\n\n... and {len(text) - len(whole)} characters more: `invoke diff` shows them."


def _line(error: ImagesError) -> str:
    return str(error).splitlines()[0]

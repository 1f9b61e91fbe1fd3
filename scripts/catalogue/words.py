"""How the pages say sizes, days and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from scripts.contents.words import MB, size_words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.catalogue.model import Image

GB = 1000 * MB
NAMES = {
    "python": "Python",
    "cuda": "CUDA",
    "cudnn": "cuDNN",
    "nccl": "NCCL",
    "torch": "PyTorch",
    "tensorflow": "TensorFlow",
    "tensorflow-cpu": "TensorFlow (CPU)",
}


def size_text(size: int) -> str:
    """Bytes for people, three digits or so: 312 MB, 3.51 GB."""
    return f"{size / GB:.2f} GB" if size >= GB else size_words(size)


def day(time: str) -> str:
    """The day of a time as the ledger has it."""
    return time[:10]


def called(name: str) -> str:
    """What to call something that has a version."""
    return NAMES.get(name, name)


def short(digest: str) -> str:
    """A digest as people recognise it."""
    return digest[:19]


def clean(text: str) -> str:
    """A text out of an image that is not ours, without what cannot be seen, or turns what follows around."""
    return text if text.isprintable() else "".join(char if char.isprintable() else " " for char in text)


def shown(value: object) -> object:
    """What a template shows of a value: nothing of None, and a text clean; markup is of our own making."""
    if value is None:
        return ""
    return clean(value) if type(value) is str else value


def package_list(packages: Iterable[tuple[str, str, bool]]) -> Markup:
    """Names and versions as a list, those that were asked for marked.

    Thousands of pages have hundreds of them: escaped at once, which is ten times as fast as one by one.
    """
    # No text has these characters any more once it is clean, so none of them comes from a package.
    end, middle, asked = "\x02", "\x03", "\x04"
    rows = (f"{asked if direct else ''}{clean(name)}{middle}{clean(version)}" for name, version, direct in packages)
    text = str(escape(end.join(rows)))
    text = text.replace(middle, "</dt><dd>").replace(end, "</dd></div>\n<div><dt>")
    text = f"<div><dt>{text}</dd></div>".replace(f"<div><dt>{asked}", '<div class="asked"><dt>')
    return Markup(f'<dl class="packages">\n{text}\n</dl>')  # noqa: S704 - escaped above


def version_of(image: Image, *names: str) -> str:
    """The first of some versions that is declared, else measured; empty: none is."""
    current = image.current
    measured = current.contents.versions if current and current.contents else {}
    return next((known[name] for known in (image.versions, measured) for name in names if name in known), "")

"""How the pages say sizes, days and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.contents.words import MB, size_words

if TYPE_CHECKING:
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


def clean(value: object) -> object:
    """A text out of an image that is not ours, without what cannot be seen, or turns what follows around."""
    if value is None:
        return ""
    if type(value) is str and not value.isprintable():
        return "".join(char if char.isprintable() or char == "\n" else " " for char in value)
    return value


def version_of(image: Image, *names: str) -> str:
    """The first of some versions that is declared, else measured; empty: none is."""
    current = image.current
    measured = current.contents.versions if current and current.contents else {}
    return next((known[name] for known in (image.versions, measured) for name in names if name in known), "")

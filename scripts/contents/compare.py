"""How two images differ: which layers, which files in them, and in what. Pure.

For two builds of one recipe this should say "in nothing"; where it does not, it names what is to be mended.
"""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

KINDS = {b"0": "file", b"\0": "file", b"1": "hard link", b"2": "link", b"3": "device", b"4": "device", b"5": "folder"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an entry of a layer is, but for its path; the names of the fields are what a report calls them."""

    kind: str
    mode: int
    owner: tuple[int, int]
    mtime: float
    """Seconds since 1970."""
    size: int
    target: str
    """What a link leads to."""
    attributes: str
    """Extended attributes, and other records of pax (POSIX.1-2001)."""
    content: str
    """SHA-256 of a file's content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One layer as it is compared: its digests, what made it, and its entries in the order of the archive."""

    digest: str
    diff_id: str
    created_by: str
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A thing that differs: ``layer`` counts from 0 (-1: the image's config), ``how`` says in what."""

    layer: int
    created_by: str
    path: str
    how: str


def entry_of(info: tarfile.TarInfo, read: Callable[[], bytes]) -> Entry:
    """An entry of a layer, from its header and its content."""
    skipped = {"path", "linkpath", "size", "mtime", "uid", "gid"}
    records = sorted((name, value) for name, value in info.pax_headers.items() if name not in skipped)
    return Entry(
        kind=KINDS.get(info.type, f"type {info.type!r}"),
        mode=info.mode,
        owner=(info.uid, info.gid),
        mtime=info.mtime,
        size=info.size,
        target=info.linkname,
        attributes=" ".join(f"{name}={value!r}" for name, value in records),
        content=hashlib.sha256(read()).hexdigest() if info.isreg() else "",
    )


def compare_layers(before: Sequence[Listing], after: Sequence[Listing]) -> tuple[Difference, ...]:
    """Where two images' layers differ, layer by layer from the lowest, path by path."""
    found: list[Difference] = []
    for index, (old, new) in enumerate(zip(before, after, strict=False)):
        if old.digest == new.digest:
            continue
        pairs = list(_paths(old.entries, new.entries))
        if not pairs:
            pairs = [("", _without_paths(old, new))]
        found += [Difference(layer=index, created_by=new.created_by, path=path, how=how) for path, how in pairs]
    for index in range(min(len(before), len(after)), max(len(before), len(after))):
        side, word = (before, "first") if len(before) > len(after) else (after, "second")
        how = f"there is such a layer in the {word} image only"
        found.append(Difference(layer=index, created_by=side[index].created_by, path="", how=how))
    return tuple(found)


def compare_configs(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Where two images' configs differ, but for the layers' digests."""
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    return tuple(
        Difference(layer=-1, created_by="config", path=name, how=f"{old.get(name)!r}, then {new.get(name)!r}")
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name) and not name.startswith("rootfs.diff_ids")
    )


def explained(path: str, owners: Mapping[str, str], updated: Iterable[str]) -> str:
    """The updated package that a difference at ``path`` comes from, "dpkg" for the database's own; else nothing.

    :param owners: path without the leading slash to the package that has it.
    """
    names = set(updated)
    if not names:
        return ""
    if owners.get(path) in names:
        return owners[path]
    database = path.startswith(("var/lib/dpkg/", "var/lib/apt/", "var/cache/debconf/")) or path == "etc/ld.so.cache"
    return "dpkg" if database else ""


def _paths(old: Mapping[str, Entry], new: Mapping[str, Entry]) -> Iterator[tuple[str, str]]:
    for path in sorted({*old, *new}):
        one, two = old.get(path), new.get(path)
        if one is None or two is None:
            yield path, "missing in the " + ("first image" if one is None else "second image")
        elif one != two:
            names = [item.name for item in fields(Entry) if getattr(one, item.name) != getattr(two, item.name)]
            # A file of another size has another content: once is enough.
            names = [name for name in names if not (name == "size" and "content" in names)]
            yield path, "; ".join(_how(name, getattr(one, name), getattr(two, name)) for name in names)


def _how(name: str, old: Any, new: Any) -> str:
    if name == "content":
        return "content"
    if name == "mode":
        return f"mode {old:04o}, then {new:04o}"
    if name == "owner":
        return f"owner {old[0]}:{old[1]}, then {new[0]}:{new[1]}"
    if name == "mtime":
        return f"mtime {_time(old)}, then {_time(new)}"
    return f"{name} {old}, then {new}"


def _without_paths(old: Listing, new: Listing) -> str:
    if old.diff_id == new.diff_id:
        return "the same archive, compressed in another way"
    if list(old.entries) != list(new.entries):
        return "the same entries in another order"
    return "the same entries, archived in another way"


def _time(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _flat(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}" if name else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _flat(item, f"{name}[{index}]")
    else:
        yield name, value

"""The files of an image that an inventory is made from: each layer is read once as a stream, then they are stacked."""

from __future__ import annotations

import io
import posixpath
import re
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import zstandard

from scripts.contents.layers import BUFFER, LayerError, Raw, Tail, decompress, entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

WANTED = re.compile(
    r"""etc/os-release | usr/lib/os-release
    | var/lib/dpkg/status | var/lib/dpkg/status\.d/[^/]+
    | usr/local/cuda[^/]*/version\.(?:json|txt) | usr/local/cuda[^/]*/(?:targets/[^/]+/)?include/cuda\.h
    | (?:.+/)?(?:
        [^/]+\.dist-info/(?:METADATA|INSTALLER|RECORD|REQUESTED|direct_url\.json)
        | [^/]+\.egg-info(?:/PKG-INFO)? | [^/]+\.egg/EGG-INFO/PKG-INFO
        | conda-meta/[^/]+\.json
        | include/python3\.\d+/patchlevel\.h
        | (?:cudnn_version(?:_v\d+)?|nccl)\.h
        | pyvenv\.cfg | bin/python3? )""",
    re.VERBOSE,
)
NAME_IS_ENOUGH = re.compile(r".*(/REQUESTED|/conda-meta/[^/]+|/bin/python3?)")
CONTENT_LIMIT = 64 * 1024 * 1024
"""Bytes of a file that is taken into memory: dpkg's status has a few million."""
WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFiles:
    """What matters of one layer; paths without a slash in front."""

    unpacked: int
    """Bytes of the tar archive."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    """Target of each wanted file that is a symbolic link."""
    others: frozenset[str] = frozenset()
    """Everything else that is no directory: it hides what is below its path in lower layers."""
    gone: frozenset[str] = frozenset()
    """What the layer takes away (image-spec, layer.md, "Whiteouts")."""
    emptied: frozenset[str] = frozenset()
    """Directories whose content in lower layers it takes away ("Opaque Whiteout")."""


class _Counted(Raw):
    """A stream that counts what is read from it."""

    count = 0

    def readinto(self, buffer: Any) -> int:
        got = super().readinto(buffer)
        self.count += got
        return got


class _Sorted:
    """The entries of a layer, sorted into what they do."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.links: dict[str, str] = {}
        self.others: set[str] = set()
        self.gone: set[str] = set()
        self.emptied: set[str] = set()

    def take(self, entry: tarfile.TarInfo, read: Callable[[], bytes]) -> None:
        """Take the next entry in."""
        path = _normal(entry.name)
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            self.emptied.add(folder)
        elif name.startswith(WHITEOUT):
            self.gone.add(posixpath.join(folder, name.removeprefix(WHITEOUT)))
        elif entry.isdir():
            return
        elif not WANTED.fullmatch(path):
            self.others.add(path)
        elif entry.issym():
            self.links[path] = entry.linkname
        else:
            self.files[path] = b"" if NAME_IS_ENOUGH.fullmatch(path) else _content(entry, read, self.files)


def read_layer(blob: IO[bytes], digest: str) -> LayerFiles:
    """What matters of a layer, from the blob as it is stored.

    :raises LayerError: if it is damaged, cut off, or not what its digest says.
    """
    stored = Tail(blob)
    stream = _Counted(decompress(io.BufferedReader(stored, BUFFER)))
    found = _Sorted()
    try:
        for entry, read in entries(stream):
            found.take(entry, read)
        while stream.read(BUFFER):
            pass  # tar does not read an archive to its very end, and the digest is of all of it
    except LayerError as error:
        raise LayerError(f"{digest}: {error}") from error
    except (EOFError, OSError, tarfile.TarError, zlib.error, zstandard.ZstdError) as error:
        raise LayerError(f"{digest}: a layer is damaged: {error}") from error
    if (measured := stored.digest()) != digest:
        raise LayerError(f"{digest}: a layer is damaged: its bytes are {measured}")
    return LayerFiles(
        unpacked=stream.count,
        files=found.files,
        links=found.links,
        others=frozenset(found.others),
        gone=frozenset(found.gone),
        emptied=frozenset(found.emptied),
    )


def _normal(path: str) -> str:
    return posixpath.normpath(f"/{path}").lstrip("/")


def _content(entry: tarfile.TarInfo, read: Callable[[], bytes], files: Mapping[str, bytes]) -> bytes:
    if entry.size > CONTENT_LIMIT:
        raise LayerError(f"/{entry.name}: expected at most {CONTENT_LIMIT} bytes, got {entry.size}")
    if not entry.islnk():
        return read()
    target = _normal(entry.linkname)
    if target not in files:
        # A stream cannot go back to it, and an inventory that leaves something out is none.
        raise LayerError(f"/{entry.name}: is a hard link to /{target}, which this tool does not read")
    return files[target]


@dataclass(frozen=True, slots=True)
class Tree:
    """The wanted files that a container sees, by absolute path."""

    files: Mapping[str, bytes]
    links: Mapping[str, str]

    def read(self, path: str) -> bytes | None:
        """The content of a file, also through one symbolic link; None if there is no such file."""
        if path in self.links:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(path), self.links[path]))
        return self.files.get(path)

    def __contains__(self, path: str) -> bool:
        return path in self.files or path in self.links

    def find(self, pattern: str) -> Iterator[tuple[re.Match[str], bytes]]:
        """All files whose path matches a pattern whole, by path."""
        compiled = re.compile(pattern)
        for path in sorted(self.files):
            if match := compiled.fullmatch(path):
                yield match, self.files[path]


def stack(layers: Iterable[LayerFiles]) -> Tree:
    """The files as a container sees them: each layer hides, takes away and adds."""
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    for layer in layers:
        over = {*layer.gone, *layer.others, *layer.files, *layer.links}
        for kept in (files, links):
            for path in [path for path in kept if _hidden(path, over, layer.emptied)]:
                del kept[path]
        files.update(layer.files)
        links.update(layer.links)
    return Tree({f"/{path}": data for path, data in files.items()}, {f"/{path}": to for path, to in links.items()})


def _hidden(path: str, over: set[str], emptied: frozenset[str]) -> bool:
    if path in over:
        return True
    while path:
        path = path.rpartition("/")[0]
        if path in emptied or path in over:
            return True
    return False

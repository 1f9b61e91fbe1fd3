"""What an image's bytes are: its largest layers, packages and folders. Nothing is unpacked to disk."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from scripts.build import layout
from scripts.build.load import engine_digest
from scripts.contents.inventory_read import find_image, of_platform
from scripts.contents.layers import (
    Image,
    LayerError,
    Raw,
    choose_image,
    entries,
    image_of,
    load_image,
    open_layer,
    plain,
    saved,
)
from scripts.contents.platforms import USUAL
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from scripts.build.settings import Settings
    from scripts.contents.layers import Layer, Tail
    from scripts.recipe.matrix import ImageSpec

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
"""Names that remove what a lower layer has (image-spec, layer.md, "Whiteouts")."""
MERGED = ("bin", "lib", "lib64", "sbin")
"""Folders that are links into /usr; dpkg's lists may name files by either path."""
SHELL = re.compile(r"^RUN (\|\d+ .*?)?/bin/sh -c ")
"""How BuildKit writes a RUN with its arguments into the history."""
CHAIN = 0.95
"""A folder that is this part of the one it is in is shown in place of it."""


@dataclass(slots=True, kw_only=True)
class Content:
    """One layer: bytes of each file by path without a leading slash, and the lists of the files of packages."""

    files: dict[str, int] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    """Paths that are removed from lower layers; with a slash at the end, all that is in a folder."""
    lists: dict[str, bytes] = field(default_factory=dict)
    """Content of the ``RECORD`` of each Python distribution and of the ``.list`` of each package of dpkg, by path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of an image. ``pulled`` is in compressed bytes, where it can be said."""

    by: str
    name: str
    size: int
    pulled: int | None = None
    depth: int = 0


def read_content(stream: Tail) -> Content:
    """List a layer.

    :raises LayerError: if it is damaged.
    """
    found = Content()
    for entry, read in entries(stream):
        path = entry.name.removeprefix("./").strip("/")
        folder, _, name = path.rpartition("/")
        if name == OPAQUE:
            found.removed.append(f"{folder}/")
        elif name.startswith(WHITEOUT):
            found.removed.append(str(PurePosixPath(folder, name.removeprefix(WHITEOUT))))
        elif not entry.isdir():
            found.files[path] = entry.size if entry.isreg() else 0
            if path.endswith(".dist-info/RECORD") or (folder == "var/lib/dpkg/info" and name.endswith(".list")):
                found.lists[path] = read()
    return found


def read_layout(directory: Path, digest: str, workers: int = 2) -> tuple[Image, tuple[Content, ...]]:
    """An image of an OCI layout, and what is in each of its layers.

    :raises LayerError: if one is missing or damaged.
    """
    image = load_image(directory, digest)
    largest_first = sorted(image.layers, key=lambda layer: -layer.size)
    with ProcessPoolExecutor(workers) as pool:
        contents = pool.map(_read_one, [directory] * len(largest_first), largest_first)
        by_digest = dict(zip((layer.digest for layer in largest_first), contents, strict=True))
    return image, tuple(by_digest[layer.digest] for layer in image.layers)


def read_engine(reference: str, digest: str, platform: str | None = None) -> tuple[Image, tuple[Content, ...]]:
    """An image that only the engine has, and what is in each of its layers.

    :raises LayerError: if the engine cannot save it, or a layer is damaged.
    """
    documents: dict[str, bytes] = {}
    contents: dict[str, Content] = {}
    for name, stream in saved(reference):
        buffered = io.BufferedReader(Raw(stream))
        if buffered.peek(1)[:1] == b"{":
            documents[name] = buffered.read()
        else:
            contents[name] = read_content(plain(buffered))

    def blob(name: str) -> bytes:
        if name not in documents:
            raise LayerError(f"{reference}: the engine did not save {name}")
        return documents[name]

    image = of_platform(image_of(choose_image(digest, blob, platform or USUAL), blob), platform, reference)
    return image, tuple(contents[layer.digest] for layer in image.layers)


def measure_spec(
    spec: ImageSpec, settings: Settings, platform: str | None = None, say: Callable[[str], None] = lambda _: None
) -> tuple[Part, ...]:
    """The largest things in an image, as it was built here, or else as the engine has it.

    :param platform: of which of several platforms; None: the usual one, which is said.
    :raises UsageError: if it has not that platform.
    :raises BuildError: if it is in neither.
    :raises LayerError: if it cannot be read.
    """
    if record := layout.load_record(settings.out, spec.id):
        directory = layout.directory_of(settings.out, spec.id)
        asked = platform or record.platforms
        return measure(*read_layout(directory, find_image(directory, platform, say).digest if asked else record.digest))
    reference = f"{settings.registry}/{spec.repository}:{spec.tag}"
    if digest := engine_digest(reference):
        return measure(*read_engine(reference, digest, platform))
    raise BuildError(
        f"{spec.id}: neither built here nor in the engine as {reference}: "
        f"run `invoke build {spec.family} --version {spec.version}`, or docker pull it"
    )


def measure(image: Image, contents: Sequence[Content], most: int = 10) -> tuple[Part, ...]:
    """The whole image, and the largest of its layers, packages and folders, at most ``most`` of each."""
    final: dict[str, int] = {}
    lists: dict[str, bytes] = {}
    for content in contents:
        for path in content.removed:
            for files in (final, lists):
                _remove(files, path)
        final |= content.files
        lists |= content.lists
    owners = owners_of(lists, final)
    whole = sum(sum(content.files.values()) for content in contents)
    pulled = sum(layer.size for layer in image.layers)
    layers = [_layer(layer, content, owners) for layer, content in zip(image.layers, contents, strict=True)]
    packages: Counter[str] = Counter()
    for path, size in final.items():
        packages[owners.get(path, "(no package)")] += size
    hidden = whole - sum(final.values())
    return (
        Part(by="image", name=f"{len(layers)} layers, {len(final)} files", size=whole, pulled=pulled),
        *([Part(by="image", name="replaced or removed by later layers", size=hidden)] if hidden else []),
        *sorted(layers, key=lambda part: -(part.pulled or 0))[:most],
        *(Part(by="package", name=name, size=size) for name, size in packages.most_common(most)),
        *_folders(final, most),
    )


def rows_of(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """Rows of a table, the sizes in MB and in bytes, the names of folders as a tree."""
    parts = list(parts)
    whole = parts[0].size or 1
    return [
        {
            "by": part.by,
            "what": "\N{NO-BREAK SPACE}" * 2 * part.depth + part.name,
            "MB": f"{part.size / 1e6:,.1f}",
            "%": f"{100 * part.size / whole:.1f}",
            "pulled MB": "" if part.pulled is None else f"{part.pulled / 1e6:,.1f}",
            "size": part.size,
            "pulled": part.pulled,
        }
        for part in parts
    ]


def owners_of(lists: Mapping[str, bytes], files: Mapping[str, int]) -> dict[str, str]:
    """The package of each file that has one, as "torch 2.3.1" or "git (apt)"; bytecode is its module's."""
    owners: dict[str, str] = {}
    for path, data in lists.items():
        text = data.decode("utf-8", errors="replace")
        if path.endswith(".list"):
            name = path.rpartition("/")[2].removesuffix(".list").partition(":")[0]
            owners |= dict.fromkeys(map(_merged, text.splitlines()), f"{name} (apt)")
        else:
            info = PurePosixPath(path).parent
            name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
            for row in csv.reader(text.splitlines()):
                if row:
                    owners[_normal(info.parent / row[0])] = f"{canonicalize_name(name)} {version}"
    for path in files:
        if path.endswith(".pyc") and path not in owners:
            folder, _, name = path.rpartition("/__pycache__/")
            if owner := owners.get(f"{folder}/{name.partition('.')[0]}.py"):
                owners[path] = owner
    return owners


def _read_one(directory: Path, layer: Layer) -> Content:
    with open_layer(directory, layer) as stream:
        return read_content(stream)


def _remove(files: dict[str, Any], path: str) -> None:
    below = path if path.endswith("/") else f"{path}/"
    for name in [name for name in files if name == path or name.startswith(below)]:
        del files[name]


def _layer(layer: Layer, content: Content, owners: Mapping[str, str]) -> Part:
    """A layer, named for the largest packages in it: what made them is the same command for many."""
    packages: Counter[str] = Counter()
    for path, size in content.files.items():
        packages[owners.get(path, "")] += size
    named = [name for name, _ in packages.most_common(3) if name][:2]
    made_by = SHELL.sub("RUN ", layer.created_by.partition(" # ")[0])
    size = sum(content.files.values())
    name = ", ".join(named) if made_by.startswith("COPY") and named else made_by[:42] or layer.digest[:19]
    return Part(by="layer", name=name, size=size, pulled=layer.size)


def _folders(files: Mapping[str, int], most: int) -> Iterator[Part]:
    sizes: Counter[str] = Counter()
    for path, size in files.items():
        for folder in PurePosixPath(path).parents:
            sizes[str(folder)] += size
    del sizes["."]
    folded = {
        str(PurePosixPath(folder).parent)
        for folder, size in sizes.items()
        if size > CHAIN * sizes[str(PurePosixPath(folder).parent)] > 0
    }
    chosen = (folder for folder, _ in sizes.most_common(most + len(folded)) if folder not in folded)
    largest = sorted(chosen, key=lambda folder: -sizes[folder])[:most]
    parents = {
        folder: max((other for other in largest if folder.startswith(f"{other}/")), key=len, default="")
        for folder in largest
    }

    def below(parent: str, depth: int) -> Iterator[Part]:
        for folder in (folder for folder in largest if parents[folder] == parent):
            name = folder.removeprefix(f"{parent}/") if parent else f"/{folder}"
            yield Part(by="folder", name=name, size=sizes[folder], depth=depth)
            yield from below(folder, depth + 1)

    yield from below("", 0)


def _normal(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/".join(parts).lstrip("/")


def _merged(path: str) -> str:
    """A path of dpkg's lists as the layer has it."""
    plain_path = path.lstrip("/")
    return f"usr/{plain_path}" if plain_path.partition("/")[0] in MERGED else plain_path

"""From an image to its inventory: out of an OCI layout, out of the engine, or from layers that somebody else read."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from scripts.contents.inventory import Config, Inventory, LayerFacts, Subject
from scripts.contents.inventory_files import LayerFiles, read_layer, stack
from scripts.contents.inventory_gpu import read_gpu
from scripts.contents.inventory_python import distributions_of, read_conda, read_python
from scripts.contents.inventory_system import read_packages, read_system
from scripts.contents.layers import Image, LayerError, Raw, image_of, path_of, saved
from scripts.contents.platforms import INDEXES, choose, fits, platform_of
from scripts.errors import BuildError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, MutableMapping
    from pathlib import Path

    Known = MutableMapping[str, LayerFiles]
    Say = Callable[[str], None]

WORKERS = os.cpu_count() or 1
"""Layers that are read at the same time."""
ID = "ai.vessl.images.id"


def take_inventory(
    image: Image,
    layers: Mapping[str, LayerFiles],
    *,
    asked: Collection[str] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Inventory:
    """The inventory of an image.

    :param layers: what was read of each of its layers, by digest.
    :param asked: normalised names of the Python distributions that its recipe asks for; None: the recipe is not known.
    :param facts: those of the smoke test of this digest; None: it was never tested.
    :raises LayerError: if something in it is not of the form that it should have.
    """
    try:
        return _take(image, layers, asked, facts)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise LayerError(f"{image.digest}: malformed: {error.title}.{place}: {first['msg'].lower()}") from error


def _take(
    image: Image,
    layers: Mapping[str, LayerFiles],
    asked: Collection[str] | None,
    facts: Mapping[str, Any] | None,
) -> Inventory:
    config = config_of(image)
    tree = stack(layers[layer.digest] for layer in image.layers)
    apt = read_packages(tree)
    python = read_python(tree, config.env, apt, asked)
    brought = {digest: distributions_of(read.files) for digest, read in layers.items()}
    return Inventory(
        image=Subject(digest=image.digest, platform=platform_of(image.config), id=config.labels.get(ID)),
        system=read_system(tree),
        apt=apt,
        python=python,
        conda=read_conda(tree),
        gpu=read_gpu(tree, config.env, apt, python.environments, facts),
        config=config,
        layers=tuple(
            LayerFacts(
                digest=layer.digest,
                media_type=layer.media_type,
                size=layer.size,
                unpacked=layers[layer.digest].unpacked,
                made_by=layer.created_by,
                distributions=tuple(brought[layer.digest]),
            )
            for layer in image.layers
        ),
    )


def config_of(image: Image) -> Config:
    """The part of an image's config that says how a container starts.

    :raises LayerError: if it is not of the form that image-spec's config.md wants.
    """
    try:
        raw = image.config.get("config") or {}
        return Config(
            env=dict(item.partition("=")[::2] for item in raw.get("Env") or ()),
            entrypoint=raw.get("Entrypoint"),
            command=raw.get("Cmd"),
            user=raw.get("User") or "",
            working_dir=raw.get("WorkingDir") or "",
            ports=tuple(sorted(raw.get("ExposedPorts") or ())),
            labels=raw.get("Labels") or {},
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise LayerError(f"{image.digest}: its config is malformed") from error


def find_image(layout: Path, platform: str | None, say: Say) -> Image:
    """The image of an OCI layout, of the platform that is wanted.

    :raises BuildError: if it is no layout, or damaged.
    :raises UsageError: if it has several images and none or more than one of them is meant.
    """
    try:
        if not (layout / "oci-layout").is_file():
            raise BuildError(f"{layout}: not an OCI layout: it has no file oci-layout")
        entries = json.loads((layout / "index.json").read_text(encoding="utf-8"))["manifests"]
        entry = choose(entries, platform if len(entries) > 1 else None, str(layout), say)
        while entry.get("mediaType") in INDEXES:
            index = json.loads(_verified(layout, entry["digest"]))
            entry = choose(index["manifests"], platform, str(layout), say)
        digest = str(entry["digest"])
    except OSError as error:
        raise BuildError(f"{layout}: not a whole OCI layout: {error.filename}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuildError(f"{layout}: not an OCI layout: its index is malformed: {error!r}") from error
    return of_platform(image_of(digest, lambda name: _verified(layout, name)), platform, str(layout))


def _verified(layout: Path, digest: str) -> bytes:
    try:
        content = path_of(layout, digest).read_bytes()
    except OSError as error:
        raise BuildError(f"{layout}: {digest} cannot be read: {error.strerror}") from error
    if (found := f"sha256:{hashlib.sha256(content).hexdigest()}") != digest:
        raise BuildError(f"{layout}: {digest} is damaged: its bytes are {found}")
    return content


def of_platform(image: Image, platform: str | None, where: str) -> Image:
    """An image, if it is of the platform that is wanted.

    :raises UsageError: if it is not.
    """
    if platform and not fits(found := platform_of(image.config), platform):
        raise UsageError(f"{where}: is of platform {found}, not {platform}")
    return image


def read_layout(layout: Path, image: Image, known: Known, *, workers: int = WORKERS) -> None:
    """Read the layers of an image of an OCI layout into ``known``, those that are not there yet.

    :param workers: layers at a time, each in a process.
    :raises LayerError: if one is missing or damaged.
    """
    missing = {layer.digest: layer.size for layer in image.layers if layer.digest not in known}
    # The largest first, so that none of them is left for the end alone.
    digests = sorted(missing, key=lambda digest: -missing[digest])
    paths = [path_of(layout, digest) for digest in digests]
    with ProcessPoolExecutor(max(1, min(workers, len(paths)))) as pool:
        known.update(zip(digests, pool.map(read_file, paths, digests), strict=True))


def read_file(path: Path, digest: str) -> LayerFiles:
    """What matters of a layer in a file, as a process of its own does it.

    :raises LayerError: if it is missing or damaged.
    """
    try:
        with path.open("rb") as blob:
            return read_layer(blob, digest)
    except OSError as error:
        raise LayerError(f"{digest}: cannot be read: {error.strerror or error}") from error


def read_engine(reference: str, platform: str | None, known: Known, say: Say) -> Image:
    """An image that the engine has, and its layers into ``known``, in one pass over what the engine saves.

    :raises UsageError: if the engine has no such image.
    :raises LayerError: if the engine cannot save it, or a layer is damaged.
    """
    digest = engine_digest(reference)
    if digest is None:
        raise UsageError(f"{reference}: the engine has no such image")
    documents: dict[str, bytes] = {}
    for name, stream in saved(reference):
        buffered = io.BufferedReader(Raw(stream))
        if buffered.peek(1)[:1] == b"{":
            documents[name] = buffered.read()
        elif name not in known:
            known[name] = read_layer(buffered, name)
    image = image_of(_manifest_of(digest, documents, platform, reference, say), lambda name: _blob(documents, name))
    if missing := [layer.digest for layer in image.layers if layer.digest not in known]:
        raise LayerError(f"{reference}: the engine did not save {missing[0]}")
    return of_platform(image, platform, reference)


def engine_digest(reference: str) -> str | None:
    """The digest that an image of the engine has, or None: no such image, or no engine."""
    command = ["docker", "image", "inspect", reference, "--format", "{{.Id}}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _manifest_of(digest: str, documents: Mapping[str, bytes], platform: str | None, reference: str, say: Say) -> str:
    """The image manifest among what the engine saved: its digest is the image's, or the index or config is."""
    raw = json.loads(_blob(documents, digest))
    while raw.get("mediaType") in INDEXES:
        digest = str(choose(raw["manifests"], platform, reference, say)["digest"])
        raw = json.loads(_blob(documents, digest))
    if "rootfs" in raw:  # without the containerd image store an image goes by its config
        for name, content in documents.items():
            found = json.loads(content)
            if isinstance(found.get("config"), dict) and found["config"].get("digest") == digest:
                return name
    return digest


def _blob(documents: Mapping[str, bytes], name: str) -> bytes:
    if name not in documents:
        raise LayerError(f"the engine did not save {name}")
    return documents[name]

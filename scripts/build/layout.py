"""The product: an OCI image layout directory below ``out/``, and the record of how it was built beside it.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

RECORD = "build.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a layout's index points to (image-spec, descriptor.md); ``size`` in bytes."""

    media_type: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How a layout came to be; ``recipe`` is its recipe part by part."""

    id: str
    digest: str
    size: int
    """Bytes of all blobs, compressed."""
    recipe: Mapping[str, str]
    base: str
    stand_in: bool
    commit: str
    epoch: int
    platforms: Mapping[str, str] = field(default_factory=dict)
    """Digest of the image of each platform, where ``digest`` is that of an index of several; else empty."""
    platform: str = ""
    """Which of the platforms of an index this is the image of; empty: the only one, or the index."""

    @property
    def images(self) -> tuple[Record, ...]:
        """The images that were built: this one, or those that its index names."""
        if not self.platforms:
            return (self,)
        return tuple(
            replace(self, digest=digest, platform=platform, platforms={}) for platform, digest in self.platforms.items()
        )


def directory_of(out: Path, image_id: str) -> Path:
    """Where the layout of an image stands: its id, with the colon as a file name can have it."""
    return out / image_id.replace(":", "_")


def directory_of_platform(layout: Path, platform: str) -> Path:
    """Where in the layout of an index the layout of one of its images stands; its blobs are those of the index's."""
    return layout / "platforms" / platform.replace("/", "_")


def layout_of(out: Path, record: Record) -> Path:
    """The layout that has what a record is of as its only image or index."""
    layout = directory_of(out, record.id)
    return directory_of_platform(layout, record.platform) if record.platform else layout


def load_record(out: Path, image_id: str) -> Record | None:
    """The record of a finished build, or None: not built, or by a version of this tool that wrote another record."""
    try:
        record = Record(**json.loads((directory_of(out, image_id) / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    kinds = (
        (record.digest, str),
        (record.size, int),
        (record.recipe, dict),
        (record.commit, str),
        (record.stand_in, bool),
    )
    whole = all((directory_of(out, image_id) / name).exists() for name in ("oci-layout", "index.json", "blobs/sha256"))
    return record if whole and record.id == image_id and all(isinstance(*pair) for pair in kinds) else None


@contextmanager
def partial(out: Path, image_id: str) -> Iterator[Path]:
    """A directory to build into that counts as nothing until ``finish``; removed if it is still there at the end.

    Left-overs of earlier runs of a process that was killed are removed first.
    """
    final = directory_of(out, image_id)
    out.mkdir(parents=True, exist_ok=True)
    for left in out.glob(f".{final.name}.*"):
        owner = left.suffix.removeprefix(".")
        if not (owner.isdigit() and _alive(int(owner))):
            shutil.rmtree(left, ignore_errors=True)
    work = out / f".{final.name}.{os.getpid()}"
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def seed(out: Path, image_id: str, work: Path) -> None:
    """Give a build the blobs that the one before it has: what did not change is then not sent by the builder again.

    Links, and only of blobs that are whole, so that no damage goes from one build into the next.
    """
    blobs = work / "blobs" / "sha256"
    for blob in (directory_of(out, image_id) / "blobs" / "sha256").glob("*"):
        with blob.open("rb") as data:
            whole = hashlib.file_digest(data, "sha256").hexdigest() == blob.name
        if whole:
            blobs.mkdir(parents=True, exist_ok=True)
            (blobs / blob.name).hardlink_to(blob)


def drop_others(work: Path) -> None:
    """Remove the blobs that are no part of the image or index of a layout, nor its manifest."""
    blobs = work / "blobs" / "sha256"
    parts = set(parts_of(work, read_descriptor(work).digest))
    for blob in blobs.iterdir():
        if f"sha256:{blob.name}" not in parts:
            blob.unlink()


def parts_of(layout: Path, digest: str) -> Iterator[str]:
    """Digests of an image manifest and of all that it names; of an index with those of all its images."""
    manifest = json.loads((layout / "blobs" / digest.replace(":", "/")).read_text(encoding="utf-8"))
    yield digest
    for entry in manifest.get("manifests", ()):
        yield from parts_of(layout, entry["digest"])
    if "config" in manifest:
        yield manifest["config"]["digest"]
        yield from (layer["digest"] for layer in manifest["layers"])


def share_blobs(out: Path, work: Path) -> None:
    """Make other layouts' copies of the blobs in ``work`` into links to these: the images of a row share gigabytes.

    That way round because these have just been written, so a copy that was damaged since is mended by it.
    """
    for blob in (work / "blobs" / "sha256").iterdir():
        for other in out.glob(f"[!.]*/blobs/sha256/{blob.name}"):
            link = other.with_name(f".{blob.name}.{os.getpid()}")
            with suppress(FileNotFoundError):  # another build has just put its own layout there
                if other.samefile(blob):
                    continue  # renaming one name of a file to another of it does nothing, and leaves the first
                link.hardlink_to(blob)
                link.rename(other)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def finish(out: Path, work: Path, record: Record) -> Path:
    """Write the record and put the layout in its place: after this, and not before, the image counts as built."""
    share_blobs(out, work)
    (work / RECORD).write_text(json.dumps(asdict(record), indent=2) + "\n", encoding="utf-8")
    final = directory_of(out, record.id)
    old = out / f".{final.name}.{os.getpid()}.old"
    try:
        if final.exists():
            final.rename(old)
        work.rename(final)
    except BaseException:
        if old.exists() and not final.exists():
            old.rename(final)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return final


def read_descriptor(layout: Path) -> Descriptor:
    """The one descriptor of a layout's index.

    :raises BuildError: if the directory is not a layout of one image.
    """
    try:
        (entry,) = json.loads((layout / "index.json").read_text(encoding="utf-8"))["manifests"]
        return Descriptor(media_type=entry["mediaType"], digest=entry["digest"], size=entry["size"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BuildError(f"{layout}: not an OCI layout of one image: {error}") from error


def size_of(layout: Path) -> int:
    """Bytes of all blobs of a layout."""
    return sum(path.stat().st_size for path in (layout / "blobs").rglob("*") if path.is_file())


def is_leftover(path: Path) -> bool:
    """Whether a folder below ``out/`` is that of a build whose process is no more: see ``partial`` and ``finish``."""
    match = re.fullmatch(r"\..+\.([0-9]+)(\.old)?", path.name)
    return match is not None and path.is_dir() and not _alive(int(match[1]))

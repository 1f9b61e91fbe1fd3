"""Finished builds into the engine, under the name that they are to have there."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from typing import IO, TYPE_CHECKING

from scripts.build import layout
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scripts.build.layout import Record


def engine_digest(reference: str) -> str | None:
    """The digest that a local image has, or None if the engine has no such image."""
    command = ["docker", "image", "inspect", reference, "--format", "{{.Id}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def load_into_engine(record: Record, reference: str, out: Path) -> bool:
    """Load a layout into the engine under ``reference``, unless the engine has it; says whether it did.

    :raises BuildError: if the engine refuses it.
    """
    before = engine_digest(reference)
    if before == record.digest:
        return False
    directory = layout.layout_of(out, record)
    # An engine that built the image itself has its layers already, so it is only told of the image. One that lacks a layer
    # refuses, and must not keep the name of what it could not unpack.
    if _load(directory, record.digest, reference, layers=False):
        subprocess.run(["docker", "image", "rm", "--force", reference], capture_output=True, check=False)
        if complaint := _load(directory, record.digest, reference, layers=True):
            raise BuildError(f"{reference}: the engine did not take the image: {complaint}")
    if before and not names_of(before):
        # The engine refuses where a container still uses it, which is right.
        subprocess.run(["docker", "image", "rm", before], capture_output=True, check=False)
    return True


def names_of(digest: str) -> list[str]:
    """The references that a local image still has; removing an image by its digest would take the last one away."""
    command = ["docker", "image", "inspect", digest, "--format", "{{json .RepoTags}}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return list(json.loads(done.stdout) or ()) if done.returncode == 0 else [digest]


def _load(directory: Path, digest: str, reference: str, *, layers: bool) -> str:
    """Run ``docker load`` on a layout; why the engine does not have the image then, or nothing."""
    command = ["docker", "image", "load", "--quiet"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdin  # noqa: S101 - it was asked for
        try:
            write_archive(directory, reference, process.stdin, layers=layers)
        except BrokenPipeError as error:
            # Closing the archive fails too when Ctrl-C has ended the engine's client; else its reason follows.
            if isinstance(error.__context__, KeyboardInterrupt):
                raise KeyboardInterrupt from None
        said = process.communicate()[0].decode(errors="replace").strip()
    taken = process.returncode == 0 and engine_digest(reference) == digest
    return "" if taken else said or f"docker image load ended with {process.returncode}"


def write_archive(directory: Path, reference: str, stream: IO[bytes], *, layers: bool = True) -> None:
    """Write a layout as the tar archive that ``docker load`` reads, with the name in its index.

    :param layers: False: only what describes the image.

    The name is no part of the product: the same bytes go to any registry. Its annotation is containerd's
    (https://pkg.go.dev/github.com/containerd/containerd/images#AnnotationImageName).
    """
    index = json.loads((directory / "index.json").read_text(encoding="utf-8"))
    for entry in index["manifests"]:
        entry["annotations"] = {"io.containerd.image.name": reference}
    # The layout of one platform has the blobs of all.
    shared = (directory / "blobs").is_symlink()
    apart = {part for entry in index["manifests"] for part in layout.parts_of(directory, entry["digest"]) if shared}
    with tarfile.open(fileobj=stream, mode="w|") as archive:
        archive.add(directory / "oci-layout", "oci-layout")
        add_text(archive, "index.json", json.dumps(index))
        for blob in sorted((directory / "blobs" / "sha256").iterdir()):
            if apart and f"sha256:{blob.name}" not in apart:
                continue
            with blob.open("rb") as file:
                document = file.read(1) == b"{"
            if layers or document:
                archive.add(blob, f"blobs/sha256/{blob.name}")


def add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    """Add a file with this content."""
    data = text.encode()
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))


def load_all(references: Iterable[tuple[str, str]], out: Path) -> Iterable[tuple[dict[str, object], bool]]:
    """Load finished builds, given as pairs of id and reference; a row for each, and whether it was loaded now.

    :raises BuildError: if one is not built, or the engine refuses it.
    """
    for image_id, reference in references:
        record = layout.load_record(out, image_id)
        if record is None:
            raise BuildError(f"{image_id}: not built")
        loaded = load_into_engine(record, reference, out)
        row: dict[str, object] = {
            "id": image_id,
            "digest": record.digest,
            "MB": round(record.size / 1e6),
            "size": record.size,
            "reference": reference,
            "layout": str(layout.directory_of(out, image_id)),
            "stand-in": record.stand_in,
        }
        yield row, loaded

"""The distribution's packages in an image, read from dpkg's own database, and how those of two images differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.contents.layers import LayerError, entries, load_image, open_layer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.contents.layers import Layer

STATUS = "var/lib/dpkg/status"
RECORD = "apt.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """A package that is not the same in two images; a version is empty where the image does not have it."""

    name: str
    before: str
    after: str

    def __str__(self) -> str:
        if self.before and self.after:
            return f"the distribution updated {self.name} {self.before} to {self.after}"
        return f"{self.name} {self.after} is new" if self.after else f"{self.name} {self.before} is gone"


def parse_status(text: str) -> dict[str, str]:
    """Name and version of each installed package (Debian Policy, "Control files and their fields"; dpkg(1)).

    A package that is installed for several architectures counts once.
    """
    packages = {}
    for paragraph in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in paragraph.splitlines() if ": " in line and line[:1] != " ")
        if fields.get("Status", "").endswith(" installed") and "Package" in fields:
            packages[fields["Package"]] = fields.get("Version", "")
    return dict(sorted(packages.items()))


def updates(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[Update, ...]:
    """What differs between the packages of two images, by name."""
    return tuple(
        Update(name=name, before=before.get(name, ""), after=after.get(name, ""))
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def read_packages(layout: Path, digest: str) -> dict[str, str]:
    """The packages of an image in an OCI layout; none where the image has no dpkg.

    Only the layers that a command or a base made are looked through, from the top: what is copied in is no package.

    :raises LayerError: if a layer is missing or damaged.
    """
    for layer in reversed(load_image(layout, digest).layers):
        if not layer.created_by.startswith("COPY ") and (text := _status(layout, layer)):
            return parse_status(text)
    return {}


def note_packages(layout: Path, digest: str, before: Mapping[str, str]) -> tuple[Update, ...]:
    """Note the packages of a build in ``apt.txt`` beside its ``build.json``, a line each as `apt-get install` takes it.

    :param before: those of the build before it, where there was one; what differs is given.
    """
    packages = read_packages(layout, digest)
    (layout / RECORD).write_text("".join(f"{name}={version}\n" for name, version in packages.items()), encoding="utf-8")
    return updates(before, packages) if before else ()


def load_packages(layout: Path) -> dict[str, str]:
    """What ``note_packages`` noted; empty where it did not."""
    try:
        lines = (layout / RECORD).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {name: version for name, _, version in (line.partition("=") for line in lines)}


def _status(layout: Path, layer: Layer) -> str:
    try:
        with open_layer(layout, layer) as stream:
            for entry, read in entries(stream):
                if entry.name.removeprefix("./") == STATUS:
                    return read().decode("utf-8", errors="replace")
    except LayerError as error:
        raise LayerError(f"{layer.digest}: {error}") from error
    return ""

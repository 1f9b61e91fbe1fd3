"""The distribution's packages in an image, read from dpkg's own database, and how those of two images differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from scripts.build import build as builds
from scripts.build.layout import layout_of, load_record
from scripts.contents.inventory_system import parse_status
from scripts.contents.layers import LayerError, entries, load_image, open_layer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from scripts.build.layout import Record
    from scripts.build.plan import Step
    from scripts.build.settings import Settings
    from scripts.contents.layers import Layer

STATUS = "var/lib/dpkg/status"
NOTE = "apt.txt"


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
            return dict(sorted((package.name, package.version) for package in parse_status(text)))
    return {}


def note_packages(layout: Path, digest: str, before: Mapping[str, str]) -> tuple[Update, ...]:
    """Note the packages of a build in ``apt.txt`` beside its ``build.json``, a line each as `apt-get install` takes it.

    :param before: those of the build before it, where there was one; what differs is given.
    """
    packages = read_packages(layout, digest)
    (layout / NOTE).write_text("".join(f"{name}={version}\n" for name, version in packages.items()), encoding="utf-8")
    return updates(before, packages) if before else ()


def build_and_note(steps: Sequence[Step], settings: Settings, say: Callable[[str], None]) -> tuple[Record, ...]:
    """Carry out a plan, note the packages of what was built, and say which were updated since the build before.

    :raises BuildError: as ``carry_out``.
    """
    before = {
        (image.id, image.platform): load_packages(layout_of(settings.out, image))
        for step in steps
        if (record := load_record(settings.out, step.spec.id))
        for image in record.images
    }
    try:
        records = builds.carry_out(steps, settings, say)
    except builds.PartlyBuiltError as error:
        _note(error.records, before, settings, say)
        raise
    _note(records, before, settings, say)
    return records


def _note(
    records: Iterable[Record],
    before: Mapping[tuple[str, str], Mapping[str, str]],
    settings: Settings,
    say: Callable[[str], None],
) -> None:
    for image in (image for record in records for image in record.images):
        packages = before.get((image.id, image.platform), {})
        for update in note_packages(layout_of(settings.out, image), image.digest, packages):
            say(f"{image.id}: {f'{image.platform}: ' if image.platform else ''}{update}")


def load_packages(layout: Path) -> dict[str, str]:
    """What ``note_packages`` noted; empty where it did not."""
    try:
        lines = (layout / NOTE).read_text(encoding="utf-8").splitlines()
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

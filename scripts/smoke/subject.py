"""The image under test: the one that was built here, else what the engine has under its name, else what is published."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.build import layout
from scripts.build.engine import first_line, this_platform
from scripts.build.load import load_into_engine
from scripts.contents.intact import faults_of
from scripts.errors import SmokeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.build.layout import Record
    from scripts.build.settings import Settings
    from scripts.recipe.matrix import ImageSpec


class NotTestedError(SmokeError):
    """There is no such image to test: neither built here nor to be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One image that the engine has, by digest: whatever the name points to later, these bytes are what was tested."""

    spec: ImageSpec
    reference: str
    digest: str
    source: str
    """Where it is from, in a word or two."""
    layout: Path | None
    """Its OCI layout, where it was built here."""
    stand_in: bool
    """Whether its base is a stand-in, by its own label."""
    platform: str = ""
    """Which platform of its image this is, where there are several."""

    @property
    def name(self) -> str:
        """How sentences name it: its id, with the platform where there are several."""
        return f"{self.spec.id} ({self.platform})" if self.platform else self.spec.id


def find_subject(
    spec: ImageSpec,
    settings: Settings,
    say: Callable[[str], None],
    *,
    reference: str | None = None,
    pull: bool = False,
    image: layout.Record | None = None,
) -> Subject:
    """The image to test for ``spec``, loaded into the engine or pulled where it has to be.

    :param image: the image of one platform of what was built, in place of the whole.

    :param reference: an image to test in place of the one that goes by the spec's name.
    :param pull: ask the registry for the newest, also where there is one here.
    :raises NotTestedError: if there is none.
    :raises UsageError: if the reference is none.
    :raises SmokeError: if the layout of what was built here is damaged.
    :raises BuildError: if the engine refuses what was built.
    """
    standard = f"{settings.registry}/{spec.repository}:{spec.tag}"
    if reference is not None:
        # An empty one is a variable of a script that is not set: what it was to name is not what would be tested.
        if not reference.strip() or reference.startswith("-"):
            raise UsageError(f"--reference: expected an image such as {standard}, got {reference!r}")
        if pull or inspect_image(reference) is None:
            pull_image(reference, spec, say)
        return _subject(spec, reference, "given")
    if not pull and (record := image or layout.load_record(settings.out, spec.id)):
        refuse_damaged(record, settings.out)
        # The images of an index by a name of their own: a tag of the engine is of one image.
        name = f"{standard}.{record.platform.replace('/', '-')}" if record.platform else standard
        if load_into_engine(record, name, settings.out):
            say(f"{spec.id}: loaded into the engine as {name}")
        return _subject(spec, name, "built here", layout.layout_of(settings.out, record), record.platform)
    if not pull and inspect_image(standard):
        return _subject(spec, standard, "in the engine")
    pull_image(standard, spec, say)
    return _subject(spec, standard, "pulled")


def refuse_damaged(record: Record, out: Path) -> None:
    """Refuse a layout that is no longer what was built: it is what would be published, whatever the engine has.

    :raises SmokeError: with all that is wrong with it.
    """
    directory = layout.layout_of(out, record)
    if faults := faults_of(directory, record.digest):
        lines = [f"{record.id}: {directory}: {fault}" for fault in faults]
        raise SmokeError(
            "\n".join([*lines, f"{record.id}: build it again with --force: what is damaged is not tested"])
        )


def inspect_image(reference: str) -> dict[str, Any] | None:
    """What ``docker image inspect`` says of an image, or None if the engine has none of that name."""
    command = ["docker", "image", "inspect", reference]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return dict(json.loads(done.stdout)[0]) if done.returncode == 0 else None


def pull_image(reference: str, spec: ImageSpec, say: Callable[[str], None]) -> None:
    """Pull an image for the platform of this machine where the spec has it, else for the first that it has.

    :raises NotTestedError: if it is not to be had.
    """
    say(f"{spec.id}: not built here: pulling {reference}")
    platform = this_platform() if this_platform() in spec.platforms else spec.platforms[0]
    command = ["docker", "pull", "--quiet", "--platform", platform, reference]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        why = first_line(done.stderr.removeprefix("Error response from daemon: "))
        raise NotTestedError(f"{spec.id}: neither built here nor to be had as {reference}: {why}")


def _subject(
    spec: ImageSpec, reference: str, source: str, directory: Path | None = None, platform: str = ""
) -> Subject:
    image = inspect_image(reference)
    if image is None:
        raise NotTestedError(f"{spec.id}: the engine has lost {reference}: is something removing images?")
    labels = (image["Config"] or {}).get("Labels") or {}
    return Subject(
        spec=spec,
        reference=reference,
        digest=image["Id"],
        source=source,
        layout=directory,
        stand_in=labels.get("ai.vessl.images.base") == "stand-in",
        platform=platform,
    )

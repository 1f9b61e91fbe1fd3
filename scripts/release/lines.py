"""What a line of the ledger may say, and which lines the ones before it allow."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, StringConstraints

from scripts.contents.platforms import USUAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Sentence = Annotated[str, StringConstraints(min_length=1, pattern=r"^[^\n]+$")]


def _is_there(time: str) -> str:
    datetime.fromisoformat(time)  # refuses the 31st of February
    return time


# One form only, so that lines sort as their times do (RFC 3339, UTC, whole seconds).
Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"), AfterValidator(_is_there)]
Revision = Annotated[StrictInt, Field(ge=1)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    repository: Text
    """With registry: ``quay.io/vessl-ai/torch``."""
    tag: Text
    """The standard tag."""
    revision: Revision
    time: Time
    reason: Sentence
    """For the people who pull: what changed, or why it must not be used."""

    @property
    def name(self) -> str:
        """``REPOSITORY:TAG-rN``."""
        return f"{self.repository}:{self.tag}-r{self.revision}"


class Smoke(BaseModel):
    """The smoke test that a digest had passed when it was published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    checks: Text
    """Hash of the checks."""
    started: Annotated[Text, AfterValidator(_is_there)]
    passed: StrictInt
    skipped: StrictInt


class PlatformImage(BaseModel):
    """The image of one platform, where a revision is an index of several."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    platform: Text
    """OCI platform, such as linux/arm64."""
    digest: Digest
    size: StrictInt
    """Bytes of its config and layers, compressed."""
    smoke: Smoke | None = None
    """None: it was not tested."""
    untested: str = ""
    """Why it was not."""


class Published(_Line):
    """A revision came to be."""

    kind: Literal["published"] = "published"
    digest: Digest
    size: StrictInt
    """Bytes of the config and all layers, compressed; of an index those of all platforms, each blob once."""
    recipe: str = ""
    """Hash of the recipe; empty where it is not known (adopted)."""
    base: str = ""
    """Digest of the base image."""
    commit: str = ""
    smoke: Smoke | None = None
    """None: published without (``--unsafe-skip-smoke``), or adopted; of an index also if a platform was not tested."""
    platforms: tuple[PlatformImage, ...] = ()
    """The images of an index; empty: ``digest`` is that of an image of one platform."""
    replaces: Revision | None = None
    """The revision that was the newest before."""
    same_as: Revision | None = None
    """The revision whose digest this is again, after a rollback."""
    late: bool = False
    """Its publish was cut off, and finished when there was a higher one already."""
    adopted: bool = False
    """Found in the registry, and not published with this ledger."""

    @property
    def image(self) -> str:
        """Digest of the image that stands for all: of an index that of linux/amd64, where it has one."""
        images = {item.platform: item.digest for item in self.platforms}
        return images.get(USUAL) or next(iter(images.values()), self.digest)


class Yanked(_Line):
    """A revision must not be used any more; it stays where it is."""

    kind: Literal["yanked"] = "yanked"


class Gone(_Line):
    """A revision is no longer in the registry; its number is never used again."""

    kind: Literal["gone"] = "gone"


class Back(_Line):
    """A revision that was gone is in the registry again, with the digest that it had."""

    kind: Literal["back"] = "back"


Line = Published | Yanked | Gone | Back


def broken_rules(lines: Iterable[Line], *, alone: bool = False) -> Iterator[tuple[int, str]]:
    """Number (from 1) and fault of every line that the lines before it do not allow.

    :param alone: the lines are of one family only: what they refer to may stand in the ledger of another, which had the
        row before.
    """
    published: dict[tuple[str, str], dict[int, Published]] = {}
    gone: dict[str, bool] = {}
    yanked: set[str] = set()
    for number, line in enumerate(lines, 1):
        known = published.setdefault((line.repository, line.tag), {})
        if isinstance(line, Published):
            yield from ((number, fault) for fault in _broken_by(line, known, alone=alone))
            known[line.revision] = line
            continue
        if line.revision not in known and not alone:
            yield number, f"{line.name} is {line.kind}, but was never published"
        if isinstance(line, Yanked):
            if line.name in yanked:
                yield number, f"{line.name} is yanked for the second time"
            yanked.add(line.name)
        else:
            was, now = gone.get(line.name, False), isinstance(line, Gone)
            if was == now and (now or not alone):
                yield (
                    number,
                    f"{line.name} is gone for the second time" if now else f"{line.name} is back, but was not gone",
                )
            gone[line.name] = now


def _broken_by(line: Published, known: Mapping[int, Published], *, alone: bool) -> Iterator[str]:
    highest = max(known, default=0)
    if line.revision in known:
        yield f"{line.name} is published for the second time"
    elif line.revision < highest and not (line.adopted or line.late):
        yield f"{line.name} comes after r{highest}: revisions only go up"
    if line.replaces is not None and line.replaces not in known and not alone:
        yield f"{line.name} replaces r{line.replaces}, which was never published"
    same = known.get(line.same_as or 0)
    if line.same_as is not None and not (alone and same is None) and (same is None or same.digest != line.digest):
        yield f"{line.name} is not the same as r{line.same_as}: that has another digest, or never was"

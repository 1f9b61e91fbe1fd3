"""The version manifest: one ``versions.toml`` a family, loaded into frozen types.

The types here are the format: the JSON Schema that editors use is generated from them (``python -m
scripts.recipe.family`` writes it), and their field descriptions are its documentation.
"""

from __future__ import annotations

import datetime
import json
import tomllib
from enum import StrEnum
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StringConstraints, ValidationError

from scripts.recipe.faults import ManifestError, describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILENAME = "versions.toml"
SCHEMA = Path(__file__).with_name("versions.schema.json")


def _refuse_datetime(value: object) -> object:
    # A TOML date-time would be cut to its date without a word, and a number be taken for seconds since 1970.
    if isinstance(value, (datetime.datetime, int, float)):
        raise ValueError("expected a date without a time, such as 2025-10-31")  # noqa: TRY004 - what pydantic reports
    return value


VERSION = r"^[0-9]+(\.[0-9A-Za-z]+)*([-+][0-9A-Za-z.-]+)?$"
MINOR_VERSION = r"^[0-9]+\.[0-9]+$"
ARG = r"^[A-Z][A-Z0-9_]*$"
# Normalised names only (PEP 503), so that a lock can be compared with the version manifest word by word.
DISTRIBUTION = r"^[a-z0-9]+(-[a-z0-9]+)*$"
PLATFORM = r"^linux/(amd64|arm64)$"
REPOSITORY = r"^[a-z0-9]+([._-][a-z0-9]+)*$"
BASE = r"^([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*:[A-Za-z0-9_][A-Za-z0-9_.-]*(@sha256:[0-9a-f]{64})?$"
# What a text that does not match is told to be.
WANTED = {
    VERSION: 'a version such as "12.1" or "2.3.1-cuda12.1"',
    MINOR_VERSION: 'a major and a minor version, such as "12.1"',
    ARG: "the name of a build argument: capitals, digits and underscores",
    DISTRIBUTION: "a normalised name: small letters and digits, joined by hyphens",
    PLATFORM: "linux/amd64 or linux/arm64",
    REPOSITORY: 'a repository without registry: small letters and digits, joined by one of ". _ -"',
    BASE: 'a reference with a tag, such as "python:3.11-slim-bookworm"',
}

Text = Annotated[str, StringConstraints(min_length=1)]
Version = Annotated[str, StringConstraints(pattern=VERSION)]
MinorVersion = Annotated[str, StringConstraints(pattern=MINOR_VERSION)]
ArgName = Annotated[str, StringConstraints(pattern=ARG)]
Distribution = Annotated[str, StringConstraints(pattern=DISTRIBUTION)]
Platform = Annotated[str, StringConstraints(pattern=PLATFORM)]
Platforms = Annotated[tuple[Platform, ...], Field(min_length=1)]
Day = Annotated[datetime.date, BeforeValidator(_refuse_datetime)]


class State(StrEnum):
    """What a maintainer promises for an image."""

    ACTIVE = "active"
    FROZEN = "frozen"
    DEPRECATED = "deprecated"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Stage(_Table):
    """A stage of the family's Dockerfile that is published, and the name it is published under."""

    repository: Annotated[str, StringConstraints(pattern=REPOSITORY)]
    """Repository below the registry and organisation, such as "torch"."""
    tag: Text
    """Template of the standard tag; fields: {version}, {python}, {cuda} and the row's packages, such as {torch}."""


class Defaults(_Table):
    """What every row has unless it says otherwise."""

    platforms: Platforms = ("linux/amd64",)
    """OCI platforms that the image is built for."""
    gpu: StrictBool = False
    """Whether the image is meant to run on a GPU."""
    state: State = State.ACTIVE
    """active: built by --all. frozen: no longer rebuilt. deprecated: to be left by its users."""
    reason: Text | None = None
    """Why the image is frozen or deprecated, for its users to read."""
    since: Day | None = None
    """Day from which the image is frozen or deprecated."""
    args: dict[ArgName, str] = {}
    """Build arguments; each must be declared by the family's Dockerfile."""


class Row(_Table):
    """One row of the matrix: a base and what is put on it. Each of its stages becomes an image."""

    version: Version
    """What --version selects; unique in the family."""
    base: Annotated[str, StringConstraints(pattern=BASE)]
    """Reference of the base image, in the familiar form: python:3.11-slim-bookworm, nvcr.io/nvidia/cuda:...

    With @sha256:... behind the tag it is pinned (`invoke bases --refresh` writes that)."""
    python: MinorVersion
    """The Python that runs in the image, such as "3.11"."""
    cuda: MinorVersion | None = None
    """The CUDA of the image, such as "12.1"; absent on CPU images."""
    packages: dict[Distribution, Version] = {}
    """Pinned distributions that the tag or the family promises: torch, torchvision, tensorflow-cpu."""
    constraints: tuple[Text, ...] = ()
    """PEP 508 constraints on all other distributions, such as "numpy<2"."""
    stages: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    """Stages that this row has; all of the family's when absent."""
    note: Text | None = None
    """What could not be verified about this row, for its maintainers to read."""
    platforms: Platforms | None = None
    """As in defaults."""
    gpu: StrictBool | None = None
    """As in defaults."""
    state: State | None = None
    """As in defaults."""
    reason: Text | None = None
    """As in defaults."""
    since: Day | None = None
    """As in defaults."""
    args: dict[ArgName, str] = {}
    """As in defaults; those of the row win."""

    @property
    def base_name(self) -> str:
        """The base without its pin."""
        return self.base.partition("@")[0]

    @property
    def base_digest(self) -> str | None:
        """The digest that the base is pinned to, if it is."""
        return self.base.partition("@")[2] or None


class Manifest(_Table):
    """The content of a ``versions.toml``."""

    description: Text
    """One sentence for the image tables."""
    dockerfile: Text = "Dockerfile"
    """Path of the Dockerfile below the family's directory."""
    default: Text
    """Version of the row that ``build FAMILY`` builds, and whose values are the Dockerfile's defaults."""
    lock: StrictBool = True
    """Whether the rows have locks; false only where the base brings its own Python packages."""
    torch_index: Text | None = None
    """Wheel index that torch comes from, if it is not the default package index."""
    layers: dict[Annotated[str, StringConstraints(pattern=DISTRIBUTION)], tuple[Text, ...]] = {}
    """Layers of Python packages, large and stable first: name to patterns of distribution names. First match wins."""
    stages: Annotated[dict[Text, Stage], Field(min_length=1)]
    """Stages of the Dockerfile that are published."""
    defaults: Defaults = Defaults()
    """What every row has unless it says otherwise."""
    image: Annotated[tuple[Row, ...], Field(min_length=1)]
    """The rows."""


class Family(BaseModel):
    """A version manifest and the directory it stands in."""

    model_config = ConfigDict(frozen=True)

    name: str
    path: Path
    manifest: Manifest

    @property
    def where(self) -> str:
        """The version manifest as errors name it."""
        return f"{self.name}/{FILENAME}"

    @property
    def dockerfile(self) -> Path:
        """The family's Dockerfile."""
        return self.path / self.manifest.dockerfile


def load_family(directory: Path) -> Family:
    """Load ``directory/versions.toml``.

    :raises ManifestError: with all faults of the file, each with its key path.
    """
    where = f"{directory.name}/{FILENAME}"
    path = directory / FILENAME
    try:
        table: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ManifestError(where, [f"not valid TOML: {error}"]) from error
    except UnicodeDecodeError as error:
        raise ManifestError(where, [f"not UTF-8 at byte {error.start}"]) from error
    except OSError as error:
        raise ManifestError(where, [f"cannot be read: {error.strerror}"]) from error
    try:
        manifest = Manifest.model_validate(table)
    except ValidationError as error:
        raise ManifestError(where, describe(error, Manifest, WANTED)) from error
    return Family(name=directory.name, path=directory, manifest=manifest)


def family_directories(root: Path) -> tuple[Path, ...]:
    """Directories below ``root`` that hold a version manifest, by name."""
    return tuple(sorted(path.parent for path in root.glob(f"*/{FILENAME}")))


def layer_of(distribution: str, layers: Mapping[str, Iterable[str]]) -> str | None:
    """The first layer that has a pattern for a distribution."""
    return next(
        (name for name, patterns in layers.items() if any(fnmatch(distribution, item) for item in patterns)), None
    )


def render_schema() -> str:
    """The JSON Schema of ``versions.toml`` as text, for the file beside this module."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Manifest.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(render_schema(), encoding="utf-8")

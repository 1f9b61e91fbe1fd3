"""What the catalogue tells: images and their revisions, as ledgers, registry and version manifests have them.

The types here are the format of ``data/images/``: its JSON Schema is generated from them, and their field descriptions
are its documentation.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import ConfigDict

_CONFIG = ConfigDict(use_attribute_docstrings=True, extra="forbid")
RETIRED = "retired"
"""State of an image that is published, and that no version manifest has any more."""


class Stand(StrEnum):
    """What became of a revision."""

    CURRENT = "current"
    """The standard tag is it."""
    OLDER = "older"
    YANKED = "yanked"
    GONE = "gone"
    """No longer in the registry."""


class Result(StrEnum):
    """How a smoke test ended."""

    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A layer, lowest first; sizes in bytes."""

    digest: str
    size: int
    """As it is pulled."""
    unpacked: int
    brings: str
    """What made it, or what it brings of Python, in a few words."""

    __pydantic_config__ = _CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A package, or all that are not told one by one."""

    name: str
    size: int
    """Bytes that it takes unpacked, by its own word."""

    __pydantic_config__ = _CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What the inventory that is attached to a digest says, in short."""

    platform: str
    """OCI platform, such as linux/amd64."""
    system: str
    """The distribution as it calls itself; empty: it does not say."""
    versions: Mapping[str, str]
    """What was measured: python, cuda, cudnn, nccl, torch, tensorflow and what else the image promises."""
    architectures: Mapping[str, str] | None
    """GPU code by framework, as the smoke test found it; null: unknown."""
    lowest_driver: str | None
    """Oldest driver of the host; null: unknown."""
    packages: Mapping[str, int]
    """How many there are: of Python, of the distribution, of conda."""
    layers: tuple[Layer, ...]
    weights: tuple[Weight, ...]
    """The largest packages, and last what all others weigh together; empty: unknown."""

    __pydantic_config__ = _CONFIG

    @property
    def count(self) -> int:
        """All packages."""
        return sum(self.packages.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """The smoke test of a digest."""

    result: Result
    counts: Mapping[str, int]
    """How many checks: passed, failed, skipped."""
    started: str
    """UTC, RFC 3339; empty: not told."""
    gpu: bool | None = None
    """Whether a GPU was there to test on; null: not told."""
    stand_in: bool = False
    """Whether the image stands on a stand-in base."""
    passed: tuple[str, ...] = ()
    """Names of checks; empty where only their number was written down."""
    failed: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Name to reason."""

    __test__ = False  # not pytest's
    __pydantic_config__ = _CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Why a revision must not be used, or is not there any more, and since when."""

    time: str
    reason: str

    __pydantic_config__ = _CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """A revision of an image."""

    number: int
    tag: str
    """TAG-rN."""
    digest: str
    image: str
    """Digest of the image whose contents are shown: of several platforms that of linux/amd64; else the same."""
    platforms: tuple[str, ...]
    """Of an index; none where it is an image of one platform."""
    untested: Mapping[str, str]
    """Platforms of an index that no smoke test has passed, and why."""
    size: int
    """Bytes as they are pulled; of an index those of the image whose contents are shown."""
    time: str
    """When it was published: UTC, RFC 3339."""
    reason: str
    """What changed, for the people who pull."""
    stand: Stand
    commit: str
    """Of the recipe; empty: not known."""
    base: str
    """Digest of the base; empty: not known."""
    replaces: int | None
    same_as: int | None
    """The older revision whose digest this is again."""
    adopted: bool
    """Found in the registry, and not published with the ledger."""
    yanked: Mark | None
    gone: Mark | None
    contents: Contents | None
    """Null: no inventory of this digest is known."""
    test: Test | None
    """Null: nobody knows of a smoke test of this digest."""

    __pydantic_config__ = _CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """Until when something in an image gets updates from those who make it."""

    what: str
    """As people call it: Debian 12 (bookworm)."""
    end: str
    """The last day on which its makers mend it."""
    extended: str
    """The last day on which others do; empty: nobody does."""
    by: str
    """Who these are; may be empty."""
    state: str
    """supported, ends soon, extended (only others mend it any more) or ended."""

    __pydantic_config__ = _CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A standard tag of a repository: what is declared of it, and its revisions."""

    id: str
    """REPO:TAG."""
    family: str
    repository: str
    """With registry: quay.io/vessl-ai/torch."""
    tag: str
    state: str
    """active, frozen, deprecated, or retired: published, and in no version manifest any more."""
    reason: str
    """Why it is not active; empty where it is."""
    since: str
    """Day from which it is not active; empty where it is."""
    instead: tuple[str, ...]
    """Ids of images to use in place of one that is not active."""
    base: str
    versions: Mapping[str, str]
    """What is declared: python, cuda, and the packages that the tag or the family promises."""
    platforms: tuple[str, ...]
    gpu: bool
    lifetimes: tuple[Lifetime, ...]
    drift: str
    """How the registry differs from the ledger about the standard tag; empty: it does not, or was not asked."""
    revisions: tuple[Revision, ...]
    """Newest first; empty: never published."""

    __pydantic_config__ = _CONFIG

    @property
    def current(self) -> Revision | None:
        """The revision that the standard tag is; None: there is none to pull."""
        return next((item for item in self.revisions if item.stand is Stand.CURRENT), None)

    @property
    def path(self) -> str:
        """Where its pages stand, without an ending."""
        return f"{self.id.rpartition(':')[0]}/{self.tag}"

    @property
    def reference(self) -> str:
        """What docker pulls."""
        return f"{self.repository}:{self.tag}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A directory of recipes."""

    name: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Everything that is published to one registry and organisation."""

    registry: str
    """Registry and organisation: quay.io/vessl-ai."""
    source: str
    """Address of the recipes; empty: not told."""
    as_of: str
    """When the newest line of the ledgers was written: UTC, RFC 3339; empty: there is none."""
    trouble: str
    """Why the registry was not asked, or did not answer; empty: it did."""
    families: tuple[Family, ...]
    images: tuple[Image, ...]
    # Found once and not for each page: there may be as many pages as images have revisions.
    paths: Mapping[str, str] = field(init=False, repr=False, compare=False)
    """Where the pages of an image stand, by its id."""
    gpus: frozenset[str] = field(init=False, repr=False, compare=False)
    """Ids of the images that use a GPU."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "paths", {image.id: image.path for image in self.images})
        object.__setattr__(self, "gpus", frozenset(image.id for image in self.images if image.gpu))

    @property
    def published(self) -> tuple[Image, ...]:
        """The images that have a revision."""
        return tuple(image for image in self.images if image.revisions)

    @property
    def unpublished(self) -> tuple[Image, ...]:
        """Images that are declared and have no revision yet."""
        return tuple(image for image in self.images if not image.revisions)

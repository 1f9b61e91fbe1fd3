"""Until when Python, Debian, Ubuntu and CUDA are mended by who makes them: ``lifetimes.toml``, kept by hand, with a date."""

from __future__ import annotations

import datetime  # noqa: TC003 - pydantic reads the annotations
import re
import tomllib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from scripts.recipe.faults import ManifestError, describe

if TYPE_CHECKING:
    from collections.abc import Mapping

DATA = Path(__file__).with_name("lifetimes.toml")
SOON = 180
"""Days before an end from which on it is near."""
OLD = 180
"""Days after which the data want to be looked up again."""
UBUNTU = re.compile(r"ubuntu([0-9]{2}\.[0-9]{2})")


class Part(NamedTuple):
    """What an image stands on."""

    product: str
    """python, debian, ubuntu or cuda."""
    version: str


class State(StrEnum):
    """Whether somebody mends it."""

    SUPPORTED = "supported"
    NEAR = "ends soon"
    EXTENDED = "extended"
    """Its makers have ended; others go on for a while."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """Until when a version is mended."""

    part: Part
    title: str
    """As people call it: Debian 12 (bookworm)."""
    end: datetime.date
    """The last day on which its makers mend it."""
    extended: datetime.date | None
    """The last day on which others do, for everybody; None: nobody does."""
    by: str
    """Who these are, or what ends it; may be empty."""

    @property
    def last(self) -> datetime.date:
        """The last day on which anybody mends it."""
        return self.extended or self.end

    def days_left(self, today: datetime.date) -> int:
        """Days until the last day on which anybody mends it; negative: days since."""
        return (self.last - today).days

    def state(self, today: datetime.date) -> State:
        """Whether somebody mends it on a day."""
        if self.days_left(today) < 0:
            return State.ENDED
        if self.days_left(today) <= SOON:
            return State.NEAR
        return State.EXTENDED if self.end < today else State.SUPPORTED


class Release(BaseModel):
    """A version, as the file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    end: datetime.date
    codename: str = ""
    extended: datetime.date | None = None
    by: str = ""


class Product(BaseModel):
    """A product, as the file has it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    title: str = Field(min_length=1)
    source: str = Field(min_length=1)
    as_of: datetime.date
    versions: dict[str, Release] = Field(min_length=1)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    python: Product
    debian: Product
    ubuntu: Product
    cuda: Product


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """The data file."""

    products: Mapping[str, Product]

    def find(self, part: Part) -> Lifetime | None:
        """How long a version lives, of whatever point release (12.11 of Debian is 12); None: the data do not say.

        :raises KeyError: if there is no such product.
        """
        product = self.products[part.product]
        words = part.version.split(".")
        for length in range(len(words), 0, -1):
            version = ".".join(words[:length])
            if found := product.versions.get(version):
                name = f" ({found.codename})" if found.codename else ""
                return Lifetime(
                    part=Part(part.product, version),
                    title=f"{product.title} {version}{name}",
                    end=found.end,
                    extended=found.extended,
                    by=found.by,
                )
        return None

    def parts_of(self, base: str, python: str, cuda: str | None) -> tuple[Part, ...]:
        """What an image stands on: its Python and CUDA, and the distribution where the tag of its base names it."""
        parts = [Part("python", python)]
        tag = base.partition("@")[0].rpartition(":")[2]
        if found := UBUNTU.search(tag):
            parts.append(Part("ubuntu", found[1]))
        for version, facts in self.products["debian"].versions.items():
            if facts.codename in tag.split("-"):
                parts.append(Part("debian", version))
        return (*parts, Part("cuda", cuda)) if cuda else tuple(parts)

    def of(self, base: str, python: str, cuda: str | None) -> tuple[Lifetime, ...]:
        """How long what an image stands on lives, as far as the data say."""
        found = (self.find(part) for part in self.parts_of(base, python, cuda))
        return tuple(item for item in found if item)

    def stale(self, today: datetime.date) -> tuple[str, ...]:
        """A line for each product whose dates were looked up long ago."""
        return tuple(
            f"the ends of life of {product.title} were looked up on {product.as_of}, {age} days ago: do it again "
            f"({product.source}), and edit {DATA.name}"
            for product in self.products.values()
            if (age := (today - product.as_of).days) > OLD
        )


def load_lifetimes(path: Path = DATA) -> Lifetimes:
    """Read the data file.

    :raises ManifestError: with every fault.
    """
    try:
        data = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(path.name, [f"not TOML: {error}"]) from error
    except OSError as error:
        raise ManifestError(path.name, [f"cannot be read: {error.strerror}"]) from error
    except ValidationError as error:
        raise ManifestError(path.name, describe(error, _File, {})) from error
    return Lifetimes({name: getattr(data, name) for name in _File.model_fields})

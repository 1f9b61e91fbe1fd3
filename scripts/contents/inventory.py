"""The inventory of an image: what is in it, as a document of one form, byte for byte the same for the same image.

The types here are the format: its JSON Schema is generated from them (``python -m scripts.contents.inventory`` writes
it), and their field descriptions are its documentation. Nothing in it depends on when, where or under which name an
image was looked at.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from scripts.errors import UsageError

VERSION = 1
NAME = "ai.vessl.images.inventory"
MEDIA_TYPE = "application/vnd.vessl.images.inventory.v1+json"
SCHEMA = Path(__file__).with_name("inventory.schema.json")

Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Bytes = Annotated[int, Field(ge=0)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, populate_by_name=True)


class Subject(_Table):
    """The image that an inventory is of."""

    digest: Digest
    """Digest of the image manifest; in an engine without the containerd image store that of the config."""
    platform: str
    """OCI platform, such as linux/amd64."""
    id: str | None
    """REPO:TAG that the image was built for, by its label; null for an image of another project."""


class System(_Table):
    """The distribution, from etc/os-release."""

    id: str
    """Such as debian or ubuntu."""
    name: str
    """As it calls itself: Debian GNU/Linux 12 (bookworm)."""
    version: str | None
    """Such as 12 or 22.04; null where it has none, as Debian testing."""


class Package(_Table):
    """A package that dpkg has installed."""

    name: str
    architecture: str
    version: str
    source: str
    """Source package that it is built from, often of the same name."""
    size: Bytes | None = None
    """Bytes that it takes, by its own word (Installed-Size); null: unknown, also where an older tool looked."""


class Distribution(_Table):
    """A Python distribution."""

    name: str
    """As it calls itself."""
    version: str
    direct: bool | None
    """Whether it was asked for by name, and not only needed by another; null: unknown."""
    installer: str | None
    """What installed it, by its own word: uv, pip, debian, conda."""
    url: str | None
    """Where it came from if not from an index (PEP 610), without a user's name and password."""
    size: Bytes | None = None
    """Bytes of its files, without bytecode, by its own word (RECORD); null: unknown, also where an older tool looked."""


class Environment(_Table):
    """A place that Python distributions are installed in."""

    path: str
    """Its prefix, such as /opt/venv or /usr."""
    directories: tuple[str, ...]
    """Where in it distributions are: .../site-packages, .../dist-packages."""
    python: str | None
    """Version of the Python that it belongs to, in full; null: unknown."""
    distributions: tuple[Distribution, ...]


class Interpreter(_Table):
    """What `python` (else `python3`) on the image's PATH is."""

    path: str
    version: str | None
    """In full, such as 3.11.9; null: unknown."""


class Python(_Table):
    """Everything of Python."""

    interpreter: Interpreter | None
    """Null: there is none on PATH."""
    environments: tuple[Environment, ...]
    asked_by: Literal["recipe", "installer"] | None
    """Whose word says what was asked for directly: our recipe's, or the installers' (REQUESTED, PEP 376); null: nobody's."""


class CondaPackage(_Table):
    """A package that conda has installed."""

    prefix: str
    name: str
    version: str
    build: str


class Library(_Table):
    """CUDA, cuDNN or NCCL."""

    name: Literal["CUDA", "cuDNN", "NCCL"]
    version: str
    where: str
    """What says so: a file, an apt package, or a Python distribution and its environment."""


class Architectures(_Table):
    """GPU architectures that a framework was compiled for."""

    sass: tuple[str, ...]
    """Machine code, such as sm_90."""
    ptx: tuple[str, ...]
    """Code that the driver can compile when it is loaded, such as compute_90."""


class Gpu(_Table):
    """What matters to GPUs."""

    libraries: tuple[Library, ...]
    architectures: dict[str, Architectures] | None
    """By framework, as the smoke test of this very digest measured them; null: unknown."""
    lowest_driver: str | None
    """Oldest driver of the host, as the smoke test of this very digest found; null: unknown."""


class Config(_Table):
    """How a container starts (image-spec, config.md)."""

    env: dict[str, str]
    entrypoint: tuple[str, ...] | None
    command: tuple[str, ...] | None
    user: str
    """Empty: root."""
    working_dir: str
    ports: tuple[str, ...]
    labels: dict[str, str]


class LayerFacts(_Table):
    """A layer, lowest first."""

    digest: Digest
    media_type: str
    size: Bytes
    """Bytes as it is stored and pulled."""
    unpacked: Bytes
    """Bytes of the tar archive in it."""
    made_by: str
    """The entry of the image's history; empty where it has none."""
    distributions: tuple[str, ...]
    """Normalised names of the Python distributions that it brings, as all steps of COPY look the same."""


class Inventory(_Table):
    """What is in an image."""

    name: Literal["ai.vessl.images.inventory"] = Field(default="ai.vessl.images.inventory", alias="schema")
    """What kind of document this is."""
    version: Literal[1] = 1
    """Version of its form."""
    image: Subject
    system: System | None
    """Null: it does not say."""
    apt: tuple[Package, ...]
    python: Python
    conda: tuple[CondaPackage, ...]
    gpu: Gpu
    config: Config
    layers: tuple[LayerFacts, ...]

    @property
    def size(self) -> int:
        """Bytes of all layers, each once, as they are pulled."""
        return sum({layer.digest: layer.size for layer in self.layers}.values())


def render_inventory(inventory: Inventory) -> bytes:
    """The document: JSON in its canonical form, with sorted keys, no spaces, UTF-8 and a line end."""
    content = inventory.model_dump(mode="json", by_alias=True)
    return f"{json.dumps(content, sort_keys=True, separators=(',', ':'), ensure_ascii=False)}\n".encode()


def parse_inventory(content: bytes, where: str) -> Inventory:
    """Read a document.

    :param where: what to call it in a message.
    :raises UsageError: if it is no inventory, or of a version that this tool does not know.
    """
    try:
        raw: Any = json.loads(content)
    except ValueError as error:
        raise UsageError(f"{where}: not an inventory: not JSON") from error
    if not isinstance(raw, dict) or raw.get("schema") != NAME:
        raise UsageError(f'{where}: not an inventory: expected JSON with "schema": "{NAME}"')
    if raw.get("version") != VERSION:
        raise UsageError(f"{where}: an inventory of version {raw.get('version')}, this tool knows {VERSION}: update it")
    try:
        return Inventory.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"{where}: not an inventory: {place}: {first['msg'].lower()}") from error


def render_schema() -> str:
    """The JSON Schema of an inventory as text, for the file beside this module."""
    schema = Inventory.model_json_schema(by_alias=True, mode="serialization")
    content = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(render_schema(), encoding="utf-8")

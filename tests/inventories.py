"""Inventories for tests of what is made of them: one that is whole, and changes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.contents.inventory import (
    MEDIA_TYPE,
    Config,
    Distribution,
    Environment,
    Gpu,
    Interpreter,
    Inventory,
    LayerFacts,
    Library,
    Package,
    Python,
    Subject,
    System,
)
from scripts.release.attestations import Document, attach_document

if TYPE_CHECKING:
    from scripts.build.layout import Descriptor
    from scripts.release.reference import Repository
    from scripts.release.registry import Manifest
    from scripts.release.transport import Transport


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def layer(number: int, size: int = 1_000_000, *, brings: tuple[str, ...] = (), made_by: str = "") -> LayerFacts:
    return LayerFacts(
        digest=digest(number),
        media_type="application/vnd.oci.image.layer.v1.tar+zstd",
        size=size,
        unpacked=size * 3,
        made_by=made_by or f"RUN step {number}",
        distributions=brings,
    )


def python(
    *items: tuple[str, str] | tuple[str, str, bool],
    version: str | None = "3.11.2",
    path: str = "/opt/venv",
    more: tuple[Environment, ...] = (),
) -> Python:
    """An environment of distributions: name, version, and whether it was asked for."""
    found = tuple(
        Distribution(
            name=item[0], version=item[1], direct=item[2] if len(item) == 3 else False, installer="uv", url=None
        )
        for item in items
    )
    place = Environment(
        path=path, directories=(f"{path}/lib/python3.11/site-packages",), python=version, distributions=found
    )
    interpreter = Interpreter(path=f"{path}/bin/python", version=version)
    return Python(interpreter=interpreter, environments=(place, *more), asked_by="recipe")


def apt(*items: tuple[str, str] | tuple[str, str, str], architecture: str = "amd64") -> tuple[Package, ...]:
    """Packages: name, version and source."""
    return tuple(
        Package(
            name=item[0], version=item[1], source=item[-1] if len(item) == 3 else item[0], architecture=architecture
        )
        for item in items
    )


def gpu(*libraries: tuple[Any, str]) -> Gpu:
    found = tuple(Library(name=name, version=version, where="/usr") for name, version in libraries)
    return Gpu(libraries=found, architectures=None, lowest_driver=None)


def config(**changes: Any) -> Config:
    start: dict[str, Any] = {
        "env": {"PATH": "/bin"}, "entrypoint": ("tini",), "command": ("start",), "user": "", "working_dir": "",
        "ports": ("8888/tcp",), "labels": {},
    }  # fmt: skip
    return Config(**{**start, **changes})


def inventory(number: int = 1, **parts: Any) -> Inventory:
    """An inventory of an image with this number for a digest, with other parts than the usual ones."""
    start: dict[str, Any] = {
        "image": Subject(digest=digest(number), platform="linux/amd64", id="app:1"),
        "system": System(id="debian", name="Debian GNU/Linux 12 (bookworm)", version="12"),
        "apt": (),
        "python": python(),
        "conda": (),
        "gpu": gpu(),
        "config": config(),
        "layers": (layer(1, 60_000_000), layer(2, 40_000_000)),
    }
    return Inventory(**{**start, **parts})


def attach_inventory(
    transport: Transport, repository: Repository, image: Manifest, content: bytes
) -> Descriptor | None:
    """Attach an inventory as publishing does it."""
    document = Document(kind=MEDIA_TYPE, content=content, annotations={})
    return attach_document(transport, repository.digest(image.digest), image.descriptor, document, ())

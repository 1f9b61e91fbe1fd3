"""The distribution of an image and the packages that dpkg has installed in it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

from scripts.contents.inventory import Package, System

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.contents.inventory_files import Tree

STATUS = "/var/lib/dpkg/status"
STATUS_FILES = r"/var/lib/dpkg/status\.d/(?!.*\.md5sums$).+"
FIELD = re.compile(r"^(Package|Status|Architecture|Version|Source|Installed-Size):[ \t]*(.*)$", re.MULTILINE)


def read_system(tree: Tree) -> System | None:
    """The distribution, as os-release(5) tells it; None if it does not."""
    content = tree.read("/etc/os-release") or tree.read("/usr/lib/os-release")
    return None if content is None else parse_os_release(content)


def parse_os_release(content: bytes) -> System:
    """The distribution, by the content of os-release(5)."""
    found = {}
    for line in content.decode(errors="replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            found[name] = _unquoted(value)
    identifier = found.get("ID") or "linux"  # os-release(5): the default
    name = found.get("PRETTY_NAME") or found.get("NAME") or identifier
    return System(id=identifier, name=name, version=found.get("VERSION_ID"))


def _unquoted(value: str) -> str:
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value


def read_packages(tree: Tree) -> tuple[Package, ...]:
    """What dpkg has installed, by name and architecture; not what it has only configuration left of.

    Images without dpkg (distroless ones) have a file for each package in place of one for all.
    """
    found = {}
    texts = [(tree.read(STATUS) or b"", False), *((content, True) for _, content in tree.find(STATUS_FILES))]
    for content, installed in texts:
        for package in parse_status(content.decode(errors="replace"), installed=installed):
            found[package.name, package.architecture] = package
    return tuple(found[key] for key in sorted(found))


def parse_status(text: str, *, installed: bool = False) -> Iterator[Package]:
    """The installed packages of deb-control(5) paragraphs; ``installed`` says what one without a status is."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = {name: value.strip() for name, value in FIELD.findall(paragraph)}
        status = fields.get("Status", "install ok installed" if installed else "").split()
        if "Package" in fields and "Version" in fields and status[-1:] == ["installed"]:
            yield Package(
                name=fields["Package"],
                architecture=fields.get("Architecture", ""),
                version=fields["Version"],
                source=fields.get("Source", fields["Package"]).partition(" ")[0],
                size=int(size) * 1024 if (size := fields.get("Installed-Size", "")).isdecimal() else None,
            )

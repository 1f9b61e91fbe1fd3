"""A base image of a few megabytes that runs on two platforms: Debian's busybox, which needs no library."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build.apt import install_packages, load_sources, render_source
from scripts.build.index import assemble, make_room
from scripts.build.layout import directory_of_platform
from scripts.release.product import Product, load_product
from tests.layouts import Made, write_layout

if TYPE_CHECKING:
    from collections.abc import Mapping

ARCHITECTURES = {"linux/amd64": "amd64", "linux/arm64": "arm64"}
HANDLERS = Path("/proc/sys/fs/binfmt_misc")
EMULATOR = Path("/usr/bin/qemu-aarch64-static")
# What begins a program for arm64, and which of those bytes count (https://docs.kernel.org/admin-guide/binfmt-misc.html).
# F: the kernel opens the emulator now, so that it is found from inside any container.
HANDLER = (
    r":qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
    rf":\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:{EMULATOR}:F"
)


def emulate_arm64() -> None:
    """Have the kernel of this machine run programs for arm64; stays so until it is started anew."""
    assert os.geteuid() == 0, "these tests need root: they have the kernel emulate another processor"
    if not EMULATOR.exists():
        install_packages(["qemu-user-static"], root=Path("/"))
    if not (HANDLERS / "register").exists():
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", HANDLERS], check=True)
    if not (HANDLERS / "qemu-aarch64").exists():
        (HANDLERS / "register").write_text(HANDLER)


def make_base(folder: Path, platforms: tuple[str, ...]) -> Product:
    """The base image for these platforms, as an index."""
    layout = folder / "base"
    make_room(layout, platforms)
    for platform in platforms:
        system, _, architecture = platform.partition("/")
        program = fetch_busybox(folder / architecture, architecture)
        files: Mapping[str, Made] = {"busybox": Made(data=program, mode=0o755)}
        write_layout(
            directory_of_platform(layout, platform),
            [("busybox", files)],
            {"os": system, "architecture": architecture, "config": {}},
        )
    assemble(layout, platforms, "base")
    return load_product(layout)


def fetch_busybox(folder: Path, architecture: str) -> bytes:
    """The program out of Debian's package for an architecture, which apt here need know nothing of."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    sources = [source for source in load_sources(Path("/")) if "bookworm" in source.suites or "trixie" in source.suites]
    assert sources, "this test takes busybox for two architectures from Debian, and the apt sources here are of none"
    suite = next(suite for suite in sources[0].suites if suite in {"bookworm", "trixie"})
    (folder / "debian.sources").write_text(render_source(sources[0], suite))
    options = {
        "Dir::State": folder,
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder,
        "Dir::Etc::sourcelist": folder / "debian.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": architecture,
        "APT::Architectures": architecture,
        "APT::Sandbox::User": "root",
    }
    words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    for command in (["update"], ["download", "busybox-static"]):
        subprocess.run(["apt-get", "-q", *words, *command], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("*.deb")
    unpacked = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as archive:
        member = next(item for item in archive if item.name.endswith("/bin/busybox"))
        file = archive.extractfile(member)
        assert file
        return file.read()

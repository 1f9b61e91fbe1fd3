"""Updates that wait for an image: by its packages and what the archive offers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.build.archive import Offer
from scripts.contents.apt import note_packages
from scripts.contents.inventory import System
from scripts.contents.layers import LayerError
from scripts.contents.waiting import Waiting, find_waiting, installed_in, read_installed, waiting_words
from tests.images import DEBIAN, Files, make_image, package
from tests.inventories import apt, inventory
from tests.test_scans import digest_of

if TYPE_CHECKING:
    from pathlib import Path

BOOKWORM = System(id="debian", name="Debian GNU/Linux 12 (bookworm)", version="12")


def offer(version: str, source: str = "x", *, security: bool = False) -> Offer:
    return Offer(version=version, source=source, security=security)


OFFERS = {
    "bash": offer("5.2-10", "bash"),
    "libssl3": offer("3.0.10-1", "openssl", security=True),
    "curl": offer("8.0-1", "curl", security=True),
    "zsh": offer("9", "zsh"),
    "mesa": offer("22", "mesa"),
    "same": offer("1"),
    "older": offer("1.0~rc1"),
}
PACKAGES = {
    "bash": "5.2-9",
    "libssl3": "3.0.9-1",
    "curl": "7.9-1",
    "same": "1",
    "older": "1.0",
    "cuda-13": "1",
    "zsh": "",
    "mesa": "0",
}


def test_what_is_newer_waits_and_nothing_else() -> None:
    found = find_waiting(PACKAGES, OFFERS)
    assert [item.name for item in found] == ["libssl3", "curl", "bash"]
    assert found[0] == Waiting(name="libssl3", before="3.0.9-1", after="3.0.10-1", source="openssl", security=True)
    assert waiting_words(found) == "3 packages, 2 of them security updates: openssl, curl and bash"
    assert waiting_words(found[2:]) == "1 package: bash"
    assert waiting_words(()) == "none"


def test_of_many_only_the_most_exposed_are_named() -> None:
    more = {f"p{number}": offer("2") for number in range(9)}
    found = find_waiting({**PACKAGES, **dict.fromkeys(more, "1")}, {**OFFERS, **more})
    assert waiting_words(found) == "12 packages, 2 of them security updates: openssl, curl, bash and 9 more"


def test_a_build_is_read_from_its_layers_or_from_what_was_noted(tmp_path: Path) -> None:
    base: Files = {"usr/lib/os-release": DEBIAN, "etc/os-release": ("symlink", "../usr/lib/os-release")}
    layout = make_image(tmp_path / "image", base, {"var/lib/dpkg/status": package("libssl3", "3.0.9-1", "openssl")})
    digest = digest_of(layout)
    found = read_installed(layout.folder, digest)
    assert (found.system, found.packages) == (BOOKWORM, {"libssl3": "3.0.9-1"})
    note_packages(layout.folder, digest, {})
    assert read_installed(layout.folder, digest) == found


def test_an_image_without_a_distribution_says_so(tmp_path: Path) -> None:
    layout = make_image(tmp_path / "image", {"app": "x"})
    found = read_installed(layout.folder, digest_of(layout))
    assert (found.system, found.packages) == (None, {})


def test_a_damaged_layer_is_said(tmp_path: Path) -> None:
    layout = make_image(tmp_path / "image", {"usr/lib/os-release": DEBIAN})
    for path in (layout.folder / "blobs" / "sha256").iterdir():
        if path.read_bytes()[:2] == b"\x1f\x8b" or path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd":
            path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(LayerError, match="damaged"):
        read_installed(layout.folder, digest_of(layout))


def test_an_inventory_has_it_too() -> None:
    found = installed_in(inventory(apt=apt(("libssl3", "3.0.9-1", "openssl"))))
    assert (found.system, found.packages) == (BOOKWORM, {"libssl3": "3.0.9-1"})

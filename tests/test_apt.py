"""What is read from apt's sources, and what is pinned."""

from __future__ import annotations

from scripts.build import apt
from scripts.build.apt import AptSource
from tests.system import DEB822, KEYRING, ONE_LINE, System


def test_parse_deb822() -> None:
    assert apt.parse_deb822(DEB822) == (
        AptSource(
            uri="https://mirror.example/debian",
            suites=("bookworm", "bookworm-updates"),
            components=("main", "contrib"),
            signed_by=KEYRING,
        ),
    )


def test_parse_deb822_with_the_key_inside() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n -----END PGP PUBLIC KEY BLOCK-----"
    text = (
        f"Types: deb\nURIs: https://a.example https://b.example\nSuites: bookworm\nComponents: main\nSigned-By:{key}\n"
    )
    first, second = apt.parse_deb822(text)
    assert (first.uri, second.uri) == ("https://a.example", "https://b.example")
    assert apt.parse_deb822(apt.render_source(first, "trixie"))[0].signed_by == first.signed_by == key.strip()


def test_parse_one_line() -> None:
    assert apt.parse_one_line(ONE_LINE) == (
        AptSource(
            uri="https://mirror.example/debian",
            suites=("bookworm",),
            components=("main", "contrib"),
            signed_by="/etc/apt/key.gpg",
            trusted="yes",
        ),
        AptSource(uri="https://security.example/debian-security", suites=("bookworm-security",), components=("main",)),
    )


def test_pinning_takes_the_mirror_of_the_machine(system: System) -> None:
    system.write("etc/apt/sources.list", "deb cdrom:[Debian 12]/ bookworm main\n")
    system.write("etc/apt/sources.list.d/debian.sources", DEB822)
    for _ in range(2):
        apt.pin_trixie(system.root)
        assert (system.root / "etc/apt/sources.list.d/trixie-docker.sources").read_text() == (
            f"Types: deb\nURIs: https://mirror.example/debian\nSuites: trixie\nComponents: main\nSigned-By: {KEYRING}\n"
        )
    assert (system.root / "etc/apt/preferences.d/trixie-docker").read_text() == (
        "# Debian 12's own Docker is too old to build the images.\n"
        "Package: docker.io docker-cli docker-buildx containerd\nPin: release n=trixie\nPin-Priority: 900\n"
        "\n# Nothing else comes from there.\nPackage: *\nPin: release n=trixie\nPin-Priority: -10\n"
    )


def test_a_trixie_source_of_the_machine_keeps_its_priority(system: System) -> None:
    system.write("etc/apt/sources.list.d/own.list", "deb https://mirror.example/debian trixie main\n")
    apt.pin_trixie(system.root)
    assert not (system.root / "etc/apt/sources.list.d/trixie-docker.sources").exists()
    assert (system.root / "etc/apt/preferences.d/trixie-docker").read_text() == apt.PIN_DOCKER


def test_no_mirror_to_pin_from(system: System) -> None:
    system.write("etc/apt/sources.list", "deb https://security.example/debian-security bookworm-security main\n")
    assert system.refusal() == "the apt sources of this machine name no mirror for bookworm/main to take Docker from"

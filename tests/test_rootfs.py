"""Which mirrors a stand-in's root filesystem is made from, as the machine's own apt sources name them."""

from __future__ import annotations

import pytest

from scripts.build.apt import parse_deb822, parse_one_line
from scripts.build.rootfs import Source, debian_suites, render_sources
from scripts.errors import BuildError

DEB822 = """\
# the mirror next door
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs:
 http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
Enabled: no
URIs: http://mirror.example/off
Suites: trixie
Components: main

Types: deb
URIs: http://vendor.example/tool
Suites: nodistro
Components: main
"""
ONE_LINE = """\
# deb http://mirror.example/commented bookworm main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.example/debian trixie main contrib # ours
deb-src http://mirror.example/debian trixie main
deb http://user:word@mirror.example/debian bookworm main
deb http://mirror.example/debian bookworm contrib
deb cdrom:[Debian]/ bookworm main
"""


def test_deb822_sources_give_the_debian_suites_that_are_enabled() -> None:
    assert debian_suites(parse_deb822(DEB822)) == [
        Source(uri="http://mirror.example/debian", suite="bookworm", pocket=""),
        Source(uri="http://mirror.example/debian", suite="bookworm", pocket="-updates"),
        Source(uri="http://mirror.example/debian-security", suite="bookworm", pocket="-security"),
    ]


def test_one_line_sources_pass_over_passwords_discs_and_other_components() -> None:
    assert debian_suites(parse_one_line(ONE_LINE)) == [
        Source(uri="http://mirror.example/debian", suite="trixie", pocket="")
    ]


def test_a_suite_that_the_machine_lacks_comes_from_the_mirror_of_another() -> None:
    sources = [
        *debian_suites(parse_deb822(DEB822)),
        Source(uri="http://trixie.example/debian", suite="trixie", pocket=""),
    ]
    lines = render_sources("trixie", sources).splitlines()
    assert [line for line in lines if line.startswith(("URIs", "Suites"))] == [
        "URIs: http://trixie.example/debian",
        "Suites: trixie",
        "URIs: http://mirror.example/debian",
        "Suites: trixie-updates",
        "URIs: http://mirror.example/debian-security",
        "Suites: trixie-security",
    ]


def test_a_machine_without_a_debian_mirror_is_told_what_to_add() -> None:
    with pytest.raises(BuildError) as raised:
        render_sources("bookworm", [Source(uri="http://mirror.example/s", suite="bookworm", pocket="-security")])
    assert str(raised.value) == (
        "no Debian mirror in /etc/apt/sources.list and sources.list.d, needed for a stand-in base of bookworm: "
        "expected a source with a Debian suite (bookworm, bullseye, forky, oldstable, sid, stable, testing, trixie), "
        "the component main and an http or https address without a password; add one there"
    )

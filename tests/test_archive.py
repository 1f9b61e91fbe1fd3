"""What a release offers, with an apt that only pretends: it notes how it was asked and puts lists where it was told."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from scripts.build.apt import AptSource, parse_deb822
from scripts.build.archive import Offer, Release, find_sources, load_offers, parse_index
from scripts.errors import BuildError

if TYPE_CHECKING:
    from pathlib import Path

CODENAMES = ("bullseye", "bookworm", "trixie")
BOOKWORM = Release(distribution="debian", codename="bookworm", architecture="amd64")
TRIXIE = Release(distribution="debian", codename="trixie", architecture="arm64")
MAIN = AptSource(
    uri="http://mirror.example/debian", suites=("bookworm", "bookworm-updates"), components=("main", "contrib")
)
SECURE = AptSource(uri="http://mirror.example/security", suites=("bookworm-security",), components=("main",))
APT = """\
import os, pathlib, re, sys
assert sys.argv[1:3] == ["update", "-q"], sys.argv
options = dict(word.split("=", 1) for word in sys.argv[4::2])
text = pathlib.Path(options["Dir::Etc::SourceList"]).read_text()
lists = pathlib.Path(options["Dir::State::Lists"])
here = pathlib.Path(__file__).parent
(here / "asked").write_text("\\n".join(sys.argv[1:]) + "\\n" + text)
for suite in re.findall("^Suites: (.*)$", text, re.M):
    source = here / suite
    if source.exists():
        name = f"mirror_dists_{suite}_main_binary-{options['APT::Architecture']}_Packages"
        (lists / name).write_text(source.read_text())
said = here / "said"
if said.exists():
    sys.exit(said.read_text())
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a pretended apt: a file named as a suite is what the mirror has of it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "apt-get").write_text(f"#!{sys.executable} -IS\n{APT}")
    (folder / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")
    return folder


def paragraph(name: str, version: str, source: str = "") -> str:
    return (
        f"Package: {name}\n{f'Source: {source}' if source else 'Priority: optional'}\nVersion: {version}\nSize: 1\n\n"
    )


def test_the_newest_of_all_pockets_is_offered(apt: Path, tmp_path: Path) -> None:
    (apt / "bookworm").write_text(paragraph("libssl3", "3.0.9-1", "openssl (3.0.9)") + paragraph("bash", "5.2-2"))
    (apt / "bookworm-updates").write_text(paragraph("bash", "5.2-10"))
    (apt / "bookworm-security").write_text(paragraph("libssl3", "3.0.10-1", "openssl") + paragraph("bash", "5.2-3"))
    assert load_offers(BOOKWORM, [MAIN, SECURE], CODENAMES, tmp_path / "cache") == {
        "libssl3": Offer(version="3.0.10-1", source="openssl", security=True),
        "bash": Offer(version="5.2-10", source="bash", security=False),
    }
    asked = (apt / "asked").read_text()
    assert "APT::Architectures=amd64" in asked
    assert "Dir::Etc::SourceParts=/dev/null" in asked
    stanzas = parse_deb822(asked[asked.index("Types:") :])
    assert [(item.uri, item.suites, item.components) for item in stanzas] == [
        (MAIN.uri, ("bookworm",), ("main",)),
        (MAIN.uri, ("bookworm-updates",), ("main",)),
        (SECURE.uri, ("bookworm-security",), ("main",)),
    ]


def test_a_mirror_of_another_release_is_asked_for_this_one() -> None:
    assert [item.suites for item in find_sources(TRIXIE, [MAIN, SECURE], CODENAMES)] == [
        ("trixie",),
        ("trixie-updates",),
        ("trixie-security",),
    ]
    own = AptSource(uri="http://own.example/debian", suites=("trixie",), components=("main",))
    assert find_sources(TRIXIE, [MAIN, SECURE, own], CODENAMES)[0].uri == own.uri
    stable = AptSource(
        uri="http://m.example", suites=("stable", "stable-updates", "stable-security"), components=("main",)
    )
    assert {item.uri for item in find_sources(TRIXIE, [stable], CODENAMES)} == {stable.uri}


@pytest.mark.parametrize(
    ("sources", "release", "lacks"),
    [
        ([], BOOKWORM, "Debian"),
        ([MAIN], BOOKWORM, "Debian-security"),
        ([MAIN, SECURE], Release(distribution="ubuntu", codename="jammy", architecture="amd64"), "Ubuntu"),
        ([AptSource(uri="cdrom:x", suites=MAIN.suites, components=("main",)), SECURE], BOOKWORM, "Debian"),
    ],
)
def test_without_a_mirror_that_is_said(sources: list[AptSource], release: Release, lacks: str) -> None:
    codenames = ("jammy", "noble") if release.distribution == "ubuntu" else CODENAMES
    with pytest.raises(BuildError) as caught:
        find_sources(release, sources, codenames)
    assert str(caught.value) == (
        f"the archive of {release} could not be asked: the apt sources of this machine name no mirror of {lacks}"
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "E: The repository 'http://u:secret@m.example/debian bookworm Release' is gone.",
            "E: The repository bookworm Release is gone.",
        ),
        ("W: Failed to fetch http://m.example/x  404  Not Found", "W: Failed to fetch 404 Not Found"),
        ("no matter", "no matter"),
    ],
)
def test_an_archive_that_does_not_answer_is_said_without_its_address(
    apt: Path, tmp_path: Path, said: str, told: str
) -> None:
    for pocket in ("", "-updates", "-security"):
        (apt / f"bookworm{pocket}").write_text(paragraph("a", "1"))
    (apt / "said").write_text(said)
    with pytest.raises(BuildError) as caught:
        load_offers(BOOKWORM, [MAIN, SECURE], CODENAMES, tmp_path / "cache")
    assert str(caught.value) == f"the archive of Debian bookworm (amd64) could not be asked: apt-get: {told}"


def test_a_pocket_that_is_missing_is_not_taken_for_no_updates(apt: Path, tmp_path: Path) -> None:
    (apt / "bookworm").write_text(paragraph("a", "1"))
    (apt / "bookworm-updates").write_text("")
    with pytest.raises(BuildError, match=r"could not be asked: it has no bookworm-security$"):
        load_offers(BOOKWORM, [MAIN, SECURE], CODENAMES, tmp_path / "cache")


def test_without_apt_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("scripts.build.apt.SBIN", "")
    with pytest.raises(BuildError, match=r"could not be asked: apt-get: No such file or directory$"):
        load_offers(BOOKWORM, [MAIN, SECURE], CODENAMES, tmp_path / "cache")


def test_a_strange_index_is_read_as_far_as_it_makes_sense() -> None:
    text = "Version: 1\n\nPackage: a\n\nPackage: b\nVersion: ~~/\\\n\nVersion: 2\nPackage: c\n Version: 3\n"
    assert dict(parse_index(text, security=False)) == {"c": Offer(version="2", source="c", security=False)}

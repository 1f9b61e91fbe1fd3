"""Two builds of one recipe: the checkouts that they are made from, and what is told where they differ. No engine."""

from __future__ import annotations

import os
import stat
import subprocess
import tempfile
from typing import TYPE_CHECKING

import pytest

from scripts.build.settings import Settings
from scripts.contents import reproduce
from scripts.contents.reproduce import FIRST, SECOND, make_checkout, report
from scripts.errors import BuildError, UsageError
from tests.layouts import Made, write_layout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Layers = Sequence[tuple[str, Mapping[str, Made]]]

IMAGE = "python:3.11"


def status(**packages: str) -> Made:
    return Made(
        text="\n\n".join(
            f"Package: {name}\nStatus: install ok installed\nVersion: {version}" for name, version in packages.items()
        )
    )


def system(version: str, **more: Made) -> tuple[str, dict[str, Made]]:
    """A layer of the distribution with one package in some version, and what else."""
    return "RUN /build/make-system openssl", {
        "var/lib/dpkg/status": status(openssl=version),
        "var/lib/dpkg/info/openssl.list": Made(text="/usr\n/usr/bin/openssl\n/lib/libssl.so\n"),
        "usr/bin/openssl": Made(text=version),
        "usr/lib/libssl.so": Made(text=version),
        **more,
    }


def told(tmp_path: Path, before: Layers, after: Layers) -> tuple[str, bool]:
    one, two = tmp_path / "one", tmp_path / "two"
    return report((one, write_layout(one, before)), (two, write_layout(two, after)))


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout with a committed file, a program, and a change that is not committed."""
    root = tmp_path / "root"
    root.mkdir()
    (root / "file").write_text("committed\n", encoding="utf-8")
    (root / "program").write_text("#!/bin/sh\n", encoding="utf-8")
    (root / "program").chmod(0o755)
    identity = ["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "core.hooksPath=/dev/null"]
    for arguments in (["init", "-q"], ["add", "."], [*identity, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(root), *arguments], check=True)
    (root / "file").write_text("changed\n", encoding="utf-8")
    return root


def test_an_update_of_the_distribution_explains_its_files_and_leaves_no_noise(tmp_path: Path) -> None:
    assert told(tmp_path, [system("3.0.1")], [system("3.0.2")]) == (
        "the distribution updated openssl 3.0.1 to 3.0.2\n3 files differ because of that",
        True,
    )


def test_what_an_update_does_not_explain_is_told_with_its_layer(tmp_path: Path) -> None:
    python = ("COPY /layer/ /", {"opt/a.py": Made(text="1")})
    other = ("COPY /layer/ /", {"opt/a.py": Made(text="2", mode=0o600)})
    text, explained = told(tmp_path, [system("3.0.1"), python], [system("3.0.2"), other])
    assert not explained
    assert text.splitlines()[:2] == [
        "the distribution updated openssl 3.0.1 to 3.0.2",
        "3 files differ because of that",
    ]
    assert " ".join(text.split()).endswith("1 opt/a.py mode 0644, then 0600; content")


def test_without_an_update_every_difference_counts(tmp_path: Path) -> None:
    text, explained = told(tmp_path, [system("1", x=Made(text="a"))], [system("1", x=Made(text="b"))])
    assert not explained
    assert text.splitlines()[-1].split() == ["0", "x", "content"]


def test_a_config_that_differs_is_told_too(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    before = write_layout(one, [system("1")], {"created": "2024"})
    after = write_layout(two, [system("1")], {"created": "2025"})
    text, explained = report((one, before), (two, after))
    assert not explained
    assert text.splitlines()[-1].split(maxsplit=1) == ["created", "'2024', then '2025'"]


def test_only_so_many_differences_are_shown(tmp_path: Path) -> None:
    many = {f"f{number}": Made(text="a") for number in range(reproduce.MOST + 5)}
    text, _ = told(tmp_path, [("RUN x", many)], [("RUN x", dict.fromkeys(many, Made(text="b")))])
    assert text.splitlines()[-1] == "and 5 more"


def test_a_checkout_has_the_changes_that_are_not_committed_yet(repository: Path, tmp_path: Path) -> None:
    for circumstances in (FIRST, SECOND):
        assert (make_checkout(repository, tmp_path, circumstances) / "file").read_text() == "changed\n"


def test_the_second_checkout_is_under_another_umask_of_another_day_and_owner(repository: Path, tmp_path: Path) -> None:
    first, second = (make_checkout(repository, tmp_path, item) / "program" for item in (FIRST, SECOND))
    assert [stat.S_IMODE(path.stat().st_mode) for path in (first, second)] == [0o755, 0o700]
    assert first.stat().st_mtime - second.stat().st_mtime > 300 * 86400
    if os.geteuid() == 0:
        assert [path.stat().st_uid for path in (first, second)] == [0, reproduce.NOBODY]


def test_a_folder_that_is_no_checkout_is_an_error_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^git diff in .*: .*Not a git repository"):
        make_checkout(tmp_path, tmp_path, FIRST)


def settings_of(root: Path) -> Settings:
    return Settings(root=root, out=root / "out", cache=root / "cache", registry="localhost:5000")


def test_an_image_that_there_is_not_is_told_before_anything_is_built() -> None:
    with pytest.raises(UsageError, match=r'^no image "python:3.1", did you mean'):
        reproduce.reproduce("python:3.1", reproduce.ROOT, settings_of(reproduce.ROOT), cold=False, keep=False)


@pytest.mark.parametrize(
    ("second", "code", "line"),
    [
        ([system("1")], 0, "built twice, the same to the last bit: "),
        ([system("2")], 0, "the distribution updated packages meanwhile"),
        ([system("1", x=Made(text="x"))], 3, "see the table"),
    ],
)
def test_the_exit_code_says_whether_there_is_something_to_mend(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    second: Layers,
    code: int,
    line: str,
) -> None:
    layers = iter([[system("1")], second])

    def build_in(checkout: Path, *_: object) -> tuple[Path, str]:
        return checkout, write_layout(checkout, next(layers))

    def checkout_of(_root: Path, _work: Path, circumstances: reproduce.Circumstances) -> Path:
        folder = tmp_path / circumstances.folder
        folder.mkdir()
        return folder

    monkeypatch.setattr(reproduce, "build_in", build_in)
    monkeypatch.setattr(reproduce, "make_checkout", checkout_of)
    monkeypatch.setattr(reproduce, "require_engine", lambda **_: None)
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: str(tmp_path / "work"))
    found = reproduce.reproduce(IMAGE, reproduce.ROOT, settings_of(tmp_path), cold=False, keep=False)
    assert found == code
    assert line in capsys.readouterr().err

"""The edit of a base in a version manifest: one line moves, everything else stays byte for byte."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

from scripts.errors import UsageError
from scripts.recipe.pinning import pin_bases

ROOT = Path(__file__).resolve().parent.parent
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
TEXT = f"""\
# Why this family is there.
default = "1"
base = "not a row's"

[[image]] # the first
version = "1"
base = "python:3.11"   # slim enough
python = "3.11"

  [[ image ]]
  base = 'a.b/c:1@{OLD}'
  version = "2"
args = {{ base = "x" }}

[defaults]
base = "not a row's either"
"""


def moved(text: str, digests: dict[str, str]) -> list[str]:
    """The lines that a pin takes out and puts in."""
    diff = difflib.ndiff(text.splitlines(), pin_bases(text, digests, "fam/versions.toml").splitlines())
    return [line for line in diff if line.startswith(("-", "+"))]


def test_a_base_without_a_pin_gets_one_and_its_comment_stays() -> None:
    assert moved(TEXT, {"1": NEW}) == [
        '- base = "python:3.11"   # slim enough',
        f'+ base = "python:3.11@{NEW}"   # slim enough',
    ]


def test_a_pin_is_moved_on_in_the_quotes_that_are_there() -> None:
    assert moved(TEXT, {"2": NEW}) == [f"-   base = 'a.b/c:1@{OLD}'", f"+   base = 'a.b/c:1@{NEW}'"]


def test_several_rows_are_pinned_at_once_and_unknown_ones_change_nothing() -> None:
    assert len(moved(TEXT, {"1": NEW, "2": NEW})) == 4
    assert pin_bases(TEXT, {}, "fam/versions.toml") == TEXT
    assert pin_bases(TEXT, {"3": NEW}, "fam/versions.toml") == TEXT


def test_line_ends_stay_as_they_are() -> None:
    text = TEXT.replace("\n", "\r\n")
    assert pin_bases(text, {"1": NEW}, "fam/versions.toml") == text.replace('3.11"   #', f'3.11@{NEW}"   #')


@pytest.mark.parametrize(
    "text",
    [
        'image = [{ version = "1", base = "python:3.11" }]\n',
        '[[image]]\nversion = "1"\n"base" = "python:3.11"\n',
        '[[image]]\nversion = "1"\nbase = """python:3.11"""\n',
    ],
)
def test_a_layout_that_cannot_be_edited_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        pin_bases(text, {"1": NEW}, "fam/versions.toml")
    assert str(caught.value) == (
        'fam/versions.toml: cannot be edited: expected each row as [[image]] with base = "..." on a line of its own; '
        f"pin by hand (NAME:TAG@DIGEST): 1 {NEW}"
    )


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/versions.toml")), ids=lambda path: path.parent.name)
def test_the_real_version_manifests_can_be_pinned(path: Path) -> None:
    import tomllib

    text = path.read_text(encoding="utf-8")
    rows = [row["version"] for row in tomllib.loads(text)["image"]]
    pinned = tomllib.loads(pin_bases(text, dict.fromkeys(rows, NEW), "fam/versions.toml"))
    assert {row["base"].partition("@")[2] for row in pinned["image"]} == {NEW}

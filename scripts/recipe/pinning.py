"""Edit the base of a row in a version manifest, and nothing else of it: comments and layout are a person's."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROW_HEADER = re.compile(r"^\s*\[\[\s*image\s*\]\]")
ANY_HEADER = re.compile(r"^\s*\[")
BASE_LINE = re.compile(r"""^(\s*base\s*=\s*)(["'])([^"']+)\2(.*)$""", re.DOTALL)


def pin_bases(text: str, digests: Mapping[str, str], where: str) -> str:
    """The version manifest with the bases of some rows pinned.

    :param digests: version of a row to the digest that its base gets, in place of one that it has.
    :param where: name of the file, for errors.
    :raises UsageError: if the file is not laid out so that one line can be changed; then nothing may be written.
    """
    wanted = _pinned(tomllib.loads(text), digests)
    lines = text.splitlines(keepends=True)
    row = -1
    inside = False
    for number, line in enumerate(lines):
        if ANY_HEADER.match(line):
            inside = ROW_HEADER.match(line) is not None
            row += inside
        elif inside and (found := BASE_LINE.match(line)):
            base = wanted["image"][row]["base"]
            lines[number] = f"{found[1]}{found[2]}{base}{found[2]}{found[4]}"
    edited = "".join(lines)
    # The lines were found by their looks; what they mean now is what counts.
    if tomllib.loads(edited) != wanted:
        asked = ", ".join(f"{version} {digest}" for version, digest in digests.items())
        raise UsageError(
            f'{where}: cannot be edited: expected each row as [[image]] with base = "..." on a line of its own; '
            f"pin by hand (NAME:TAG@DIGEST): {asked}"
        )
    return edited


def _pinned(table: dict[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    for row in table["image"]:
        if digest := digests.get(row["version"]):
            row["base"] = f"{row['base'].partition('@')[0]}@{digest}"
    return table

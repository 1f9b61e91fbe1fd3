"""Dropping symbols, on ELF files that are made here byte by byte: a loaded part, what debuggers read, section headers."""

from __future__ import annotations

import importlib
import random
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

HEADER, SEGMENT, SECTION = "<16sHHIQQQIHHHHHH", "<IIQQQQQQ", "<IIQQQQIIQQ"
LOADED = struct.calcsize(HEADER) + struct.calcsize(SEGMENT) + 200
PROGBITS, SYMTAB, STRTAB, NOBITS, DYNSYM = 1, 2, 3, 8, 11
ALLOC = 2


@dataclass
class Elf:
    """A shared library with these sections; each a name, kind, flags, content and the number of the one it links to."""

    sections: list[tuple[str, int, int, bytes, int]] = field(
        default_factory=lambda: [
            (".dynsym", DYNSYM, ALLOC, b"", 0),
            (".bss", NOBITS, ALLOC, b"", 0),
            (".comment", PROGBITS, 0, b"GCC: 12\0", 0),
            (".debug_info", PROGBITS, 0, b"d" * 500, 0),
            (".symtab", SYMTAB, 0, b"s" * 240, 6),
            (".strtab", STRTAB, 0, b"\0main\0", 0),
        ]
    )
    kind: int = 3
    after: bytes = b""
    """What follows the section headers."""

    def write(self, path: Path) -> bytes:
        """Write the file, and give its bytes."""
        everything = [*self.sections, (".shstrtab", STRTAB, 0, b"", 0)]
        names = b"\0" + b"".join(name.encode() + b"\0" for name, *_ in everything)
        everything[-1] = (".shstrtab", STRTAB, 0, names, 0)
        body, headers = b"", [bytes(64)]
        for name, kind, flags, content, link in everything:
            body += bytes(-len(body) % 8)
            place, size = (LOADED + len(body), len(content)) if not flags & ALLOC else (LOADED - 100, 100)
            headers.append(
                struct.pack(SECTION, names.index(name.encode() + b"\0"), kind, flags, 0, place, size, link, 0, 8, 0)
            )
            body += content
        body += bytes(-len(body) % 8)
        ident = b"\x7fELF\x02\x01\x01" + bytes(9)
        count = len(headers)
        header = struct.pack(
            HEADER, ident, self.kind, 62, 1, 0, 64, LOADED + len(body), 0, 64, 56, 1, 64, count, count - 1
        )
        loaded = (header + struct.pack(SEGMENT, 1, 5, 0, 0, 0, LOADED, LOADED, 4096)).ljust(LOADED, b"L")
        data = loaded + body + b"".join(headers) + self.after
        path.write_bytes(data)
        return data


def read_sections(path: Path) -> dict[str, tuple[bytes, int]]:
    """Name to content and link of the sections of a file."""
    data = path.read_bytes()
    header = struct.unpack_from(HEADER, data)
    sections = [struct.unpack_from(SECTION, data, header[6] + 64 * i) for i in range(header[12])]
    names = sections[header[13]]
    titles = data[names[4] : names[4] + names[5]]
    return {
        titles[s[0] : titles.index(b"\0", s[0])].decode(): (data[s[4] : s[4] + s[5]], s[6])
        for s in sections[1:]
        if all(s[4] % s[8] == 0 for s in sections[1:] if not s[2] & ALLOC)
    }


@pytest.fixture
def elf(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "scripts" / "image" / "python"))
    return importlib.import_module("elf")


def test_symbols_and_debug_information_go_and_the_rest_stays(elf: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "libx.so"
    before = Elf().write(path)
    assert elf.drop_symbols(path)
    data, found = path.read_bytes(), read_sections(path)
    assert list(found) == [".dynsym", ".bss", ".comment", ".shstrtab"]
    assert found[".comment"][0] == b"GCC: 12\0"
    header = struct.calcsize(HEADER)
    assert data[header:LOADED] == before[header:LOADED]  # what is loaded
    assert len(before) - len(data) > 500 + 240
    assert not elf.drop_symbols(path)  # nothing more to drop
    assert path.read_bytes() == data


def test_links_between_sections_follow_their_numbers(elf: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "libx.so"
    kept = [(".note", 7, 0, b"n", 9), (".other", PROGBITS, 0, b"o", 8)]
    file = Elf()
    file.sections += kept  # they are 7 and 8, and link to 9 and 8; without the three that go, to 6 and 5
    file.write(path)
    assert elf.drop_symbols(path)
    assert {name: link for name, (_, link) in read_sections(path).items() if link} == {".note": 6, ".other": 5}


@pytest.mark.parametrize(
    "file",
    [
        Elf(kind=1),  # an object file, which is linked by its symbols
        Elf(after=b"an archive that the program reads out of itself"),
        Elf(
            [
                (".symtab", SYMTAB, 0, b"s" * 240, 2),
                (".strtab", STRTAB, 0, b"\0", 0),
                (".data", PROGBITS, ALLOC, b"", 0),
            ]
        ),
        Elf([(".symtab", SYMTAB, 0, b"s", 2), (".strtab", STRTAB, 0, b"\0", 0), (".rela.text", 4, 0, b"", 1)]),
        Elf([(".symtab", SYMTAB, 0, b"s", 2), (".symbols", PROGBITS, 0, b"", 0)]),
        Elf(
            [(".data", PROGBITS, ALLOC, b"", 0), (".symtab", SYMTAB, 0, b"s", 3)]
        ),  # its strings are the sections' names
        Elf([(".data", PROGBITS, ALLOC, b"", 0), (".comment", PROGBITS, 0, b"c", 0)]),
    ],
    ids=["object", "payload", "loaded after", "linked to", "no strings", "one string table", "nothing to drop"],
)
def test_a_file_that_is_not_as_linkers_make_it_is_left_alone(elf: ModuleType, tmp_path: Path, file: Elf) -> None:
    path = tmp_path / "x"
    before = file.write(path)
    assert not elf.drop_symbols(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (6, b"\2"),  # version
        (20, b"\2"),
        (52, b"\77"),  # sizes of header and entries
        (54, b"\100"),
        (58, b"\110"),
        (32, b"\xff" * 8),  # places of the tables
        (40, b"\xff" * 8),
        (60, b"\xff\xff"),
        (62, b"\xff\xff"),
        (-64 + 24, b"\xff" * 8),  # place of the names, the last section
        (-64 + 32, b"\xff" * 7),
        (-64 + 40, b"\xff" * 4),
        (-64 + 48, b"\0\0\x20"),
    ],
)
def test_a_damaged_file_is_left_alone(elf: ModuleType, tmp_path: Path, place: int, value: bytes) -> None:
    path = tmp_path / "x"
    data = bytearray(Elf().write(path))
    place %= len(data)
    data[place : place + len(value)] = value
    path.write_bytes(data)
    assert not elf.drop_symbols(path)
    assert path.read_bytes() == data


def test_what_no_section_has_is_kept(elf: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "x"
    data = Elf().write(path)
    (table,) = struct.unpack_from("<Q", data, 40)
    moved = bytearray(data[:table] + b"P" * 64 + data[table:])
    struct.pack_into("<Q", moved, 40, table + 64)
    path.write_bytes(moved)
    assert not elf.drop_symbols(path)
    assert path.read_bytes() == moved


def test_any_damage_ends_in_no_error(elf: ModuleType, tmp_path: Path) -> None:
    path, chance = tmp_path / "x", random.Random(1)  # noqa: S311 - the same each time
    whole = Elf().write(path)
    places = [*range(64), *range(len(whole) - 8 * 64, len(whole))]
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            data[chance.choice(places)] = chance.choice((0, 1, 2, 127, 128, 255))
        path.write_bytes(data)
        shorter = elf.drop_symbols(path)
        assert path.stat().st_size < len(whole) if shorter else path.read_bytes() == data


def test_a_file_that_is_none_or_cut_off_is_left_alone(elf: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "x"
    whole = Elf().write(path)
    for content in (b"", b"#!/bin/sh\n" * 20, whole[:30], whole[:100], whole[:-70], whole[:-700]):
        path.write_bytes(content)
        assert not elf.drop_symbols(path)
        assert path.read_bytes() == content


def test_sections_below_the_end_of_a_segment_are_left_alone(elf: ModuleType, tmp_path: Path) -> None:
    """As in files that were changed after they were linked, where the loaded part goes on behind the symbols."""
    path = tmp_path / "x"
    data = bytearray(Elf().write(path))
    struct.pack_into("<Q", data, struct.calcsize(HEADER) + 32, len(data))  # size of the segment in the file
    path.write_bytes(data)
    assert not elf.drop_symbols(path)
    assert path.read_bytes() == data

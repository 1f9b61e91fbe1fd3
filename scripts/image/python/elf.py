"""Drop from a shared library or program what only debuggers read: its symbol table and debug information.

The symbols that are linked by are another table, and stay. Only the end of a file is written anew, and where the header
says that its sections are: all else that is ever loaded is as it was. So the result does not depend on the base, as that
of its ``strip`` would.

For any Python that an image has. System V ABI, chapters 4 and 5:
https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

IDENT: Final = b"\x7fELF\x02\x01\x01"
"""What begins with it is ELF, has 64 bits, is little-endian, and of the one version that there is."""
LINKED: Final = (2, 3)
"""Programs and shared libraries, not what is still to be linked."""
SYMBOLS, STRINGS, NO_BITS, MORE_SYMBOLS = 2, 3, 8, 18
ALLOCATED: Final = 2
DEBUG: Final = (b".debug_", b".zdebug_", b".gdb_index", b".rela.debug_")
PAGE: Final = 4096


class Header(NamedTuple):
    """The first bytes of a file, field by field."""

    ident: bytes
    kind: int
    machine: int
    version: int
    entry: int
    segments_at: int
    sections_at: int
    flags: int
    size: int
    segment_size: int
    segments: int
    section_size: int
    sections: int
    names: int
    """Number of the section that has the sections' names."""


class Segment(NamedTuple):
    """An entry of the program header table."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    size: int
    memory: int
    align: int


class Section(NamedTuple):
    """An entry of the section header table."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    bytes: int
    link: int
    info: int
    align: int
    entry: int

    @property
    def end(self) -> int:
        """Where it ends in the file."""
        return self.offset + (0 if self.kind == NO_BITS else self.bytes)


HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT: Final = struct.Struct("<IIQQQQQQ")
SECTION: Final = struct.Struct("<IIQQQQIIQQ")
SIZES: Final = (HEADER.size, SEGMENT.size, SECTION.size)


class _OddError(Exception):
    """The file is not as linkers make them."""


def drop_symbols(path: Path) -> bool:
    """Drop symbol table and debug information of a file, in place.

    :returns: whether there was something to drop. A file that is no ELF file, or whose parts are not where linkers put
        them, is left as it is.
    :raises OSError: if it cannot be read or written.
    """
    with path.open("r+b") as file:
        head = file.read(HEADER.size)
        if len(head) < HEADER.size or not head.startswith(IDENT):
            return False
        try:
            start, header, end = _without_symbols(file, Header._make(HEADER.unpack(head)), path.stat().st_size)
        except _OddError:
            return False
        if start + len(end) >= path.stat().st_size:
            return False
        file.seek(0)
        file.write(HEADER.pack(*header))
        file.seek(start)
        file.write(end)
        file.truncate()
    return True


def _without_symbols(file: BinaryIO, header: Header, size: int) -> tuple[int, Header, bytes]:
    """Where the end of a file begins that is to be another, its header then, and that end."""
    _require(header.kind in LINKED and header.version == 1)
    _require((header.size, header.segment_size, header.section_size) == SIZES)
    segments = [Segment._make(entry) for entry in _table(file, SEGMENT, header.segments_at, header.segments, size)]
    sections = [Section._make(entry) for entry in _table(file, SECTION, header.sections_at, header.sections, size)]
    _require(bool(segments) and header.names < len(sections))
    _require(all(part.end <= size and part.link < len(sections) for part in sections))
    _require(all(part.offset + part.size <= size for part in segments))
    gone = _for_debuggers(sections, _read(file, sections[header.names]))
    kept = [i for i in range(len(sections)) if i not in gone]
    loaded = [i for i, part in enumerate(sections) if part.flags & ALLOCATED]
    start = max(
        header.segments_at + SEGMENT.size * len(segments),
        *(part.offset + part.size for part in segments),
        *(sections[i].end for i in loaded),
    )
    _require(all(part.align <= PAGE for part in sections if not part.flags & ALLOCATED))
    _require(bool(gone) and header.names not in gone and not gone & set(loaded))
    # Symbols that stay name their sections by number.
    _require(min(gone) > max(loaded, default=0))
    _require(not any(sections[i].link in gone for i in kept))
    _require_nothing_else(file, sections, loaded, start, header, size)

    number = {old: new for new, old in enumerate(kept)}
    end, written = b"", []
    for i in kept:
        part = sections[i]._replace(link=number[sections[i].link])
        if i and i not in loaded:
            end += bytes(-(start + len(end)) % max(part.align, 1))
            part = part._replace(offset=start + len(end))
            end += _read(file, sections[i])
        written.append(part)
    end += bytes(-(start + len(end)) % 8)
    header = header._replace(sections_at=start + len(end), sections=len(kept), names=number[header.names])
    return start, header, end + b"".join(SECTION.pack(*part) for part in written)


def _for_debuggers(sections: list[Section], names: bytes) -> set[int]:
    """Numbers of the sections that can go, with the strings of the symbols."""
    found = {
        i
        for i, part in enumerate(sections)
        if not part.flags & ALLOCATED and (part.kind in {SYMBOLS, MORE_SYMBOLS} or names.startswith(DEBUG, part.name))
    }
    strings = {sections[i].link for i in found if sections[i].kind == SYMBOLS}
    _require(all(sections[i].kind == STRINGS for i in strings))
    return found | strings


def _require_nothing_else(
    file: BinaryIO, sections: list[Section], loaded: list[int], start: int, header: Header, size: int
) -> None:
    """See that behind ``start`` are these sections and their table only: a program may read more out of its own file."""
    table = (header.sections_at, header.sections_at + SECTION.size * len(sections))
    parts = [(part.offset, part.end) for i, part in enumerate(sections) if i and i not in loaded]
    place = start
    for begin, end in sorted([*parts, table]):
        _require(begin >= start)
        file.seek(place)
        _require(not any(file.read(max(begin - place, 0))))
        place = max(place, end)
    _require(place == size)


def _read(file: BinaryIO, part: Section) -> bytes:
    file.seek(part.offset)
    return file.read(part.end - part.offset)


def _table(file: BinaryIO, entry: struct.Struct, place: int, count: int, size: int) -> list[tuple[int, ...]]:
    _require(place + entry.size * count <= size)
    file.seek(place)
    return [entry.unpack(file.read(entry.size)) for _ in range(count)]


def _require(holds: bool) -> None:  # noqa: FBT001 - what else could it take
    if not holds:
        raise _OddError

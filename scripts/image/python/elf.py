"""Drop from a shared library or program what only debuggers read: its symbol table and debug information.

The symbols that are linked by are another table, and stay. Only the end of a file is written anew: no byte of a segment,
which is all that is ever loaded, is touched. So the result does not depend on the base, as that of its ``strip`` would.

For any Python that an image has. System V ABI, chapters 4 and 5:
https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

HEADER: Final = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT: Final = struct.Struct("<IIQQQQQQ")
SECTION: Final = struct.Struct("<IIQQQQIIQQ")
ELF64: Final = b"\x7fELF\x02\x01"
"""Magic number of what has 64 bits and is little-endian."""
LINKED: Final = (2, 3)
"""Programs and shared libraries, not what is still to be linked."""
SYMBOLS, STRINGS, NO_BITS, MORE_SYMBOLS = 2, 3, 8, 18
ALLOCATED: Final = 2
DEBUG: Final = (b".debug_", b".zdebug_", b".gdb_index", b".rela.debug_")


class Section(NamedTuple):
    """An entry of the section header table, field by field."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    align: int
    entry: int


def drop_symbols(path: Path) -> bool:
    """Drop symbol table and debug information of a file, in place.

    :returns: whether there was something to drop. A file that is no ELF file, or whose parts are not where linkers put
        them, is left as it is.
    """
    with path.open("r+b") as file:
        head = file.read(HEADER.size)
        if len(head) < HEADER.size or not head.startswith(ELF64):
            return False
        try:
            end = _end_without_symbols(file, list(HEADER.unpack(head)))
        except (struct.error, IndexError):  # a table that is cut off, or not there
            return False
        if end is None:
            return False
        file.write(end)
        file.truncate()
    return True


def _end_without_symbols(file: BinaryIO, header: list[int]) -> bytes | None:
    """What the file has to end with, and the place where that begins as the file's position; writes the header."""
    kind, segments_at, sections_at, names = header[1], header[5], header[6], header[13]
    segments = _table(file, SEGMENT, segments_at, header[10])
    sections = [Section(*entry) for entry in _table(file, SECTION, sections_at, header[12])]
    size = file.seek(0, 2)
    if kind not in LINKED or not segments or names >= len(sections):
        return None
    table = sections[names]
    file.seek(table.offset)
    titles = file.read(table.size)
    gone = {i for i, section in enumerate(sections) if _is_for_debuggers(section, titles)}
    strings = {sections[i].link for i in gone if sections[i].kind == SYMBOLS}
    gone |= strings
    kept = [i for i in range(len(sections)) if i not in gone]
    loaded = [i for i, section in enumerate(sections) if section.flags & ALLOCATED]
    start = max(
        HEADER.size,
        segments_at + SEGMENT.size * len(segments),
        *(offset + length for _, _, offset, _, _, length, _, _ in segments),
        *(sections[i].offset + sections[i].size for i in loaded if sections[i].kind != NO_BITS),
    )
    last = max(section.offset + section.size for section in sections if section.kind != NO_BITS)
    movable = [i for i in range(1, len(sections)) if i not in loaded]
    if (
        not gone
        or names in gone
        or gone & set(loaded)
        # Symbols that stay name their sections by number.
        or min(gone) < max(loaded, default=0)
        or any(sections[i].offset < start for i in movable)
        or sections_at < start
        # Something that a program reads out of its own file.
        or max(last, sections_at + SECTION.size * len(sections)) != size
        or any(sections[i].link in gone for i in kept)
        or any(sections[i].kind != STRINGS for i in strings)
    ):
        return None
    number = {old: new for new, old in enumerate(kept)}
    end, written = b"", []
    for i in kept:
        section = sections[i]._replace(link=number[sections[i].link])
        if i in movable:
            file.seek(section.offset)
            content = file.read(section.size if section.kind != NO_BITS else 0)
            end += bytes(-(start + len(end)) % max(section.align, 1))
            section = section._replace(offset=start + len(end))
            end += content
        written.append(section)
    end += bytes(-(start + len(end)) % 8)
    header[6], header[12], header[13] = start + len(end), len(kept), number[names]
    file.seek(0)
    file.write(HEADER.pack(*header))
    file.seek(start)
    return end + b"".join(SECTION.pack(*section) for section in written)


def _is_for_debuggers(section: Section, titles: bytes) -> bool:
    if section.flags & ALLOCATED:
        return False
    return section.kind in {SYMBOLS, MORE_SYMBOLS} or titles.startswith(DEBUG, section.name)


def _table(file: BinaryIO, entry: struct.Struct, place: int, count: int) -> list[tuple[int, ...]]:
    file.seek(place)
    return [entry.unpack(file.read(entry.size)) for _ in range(count)]

"""Look into the compiled GPU code of an image, without a GPU; a script for the image's own Python, of any version from 3.8.

Prints JSON: which GPU architectures a framework's libraries were compiled for (SASS) and can be compiled for when they
are loaded (PTX), and which libraries that they load only when needed cannot be loaded.
"""

from __future__ import annotations

import ctypes
import glob
import importlib
import json
import mmap
import os
import re
import struct
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

# Fatbins: one header, then entries, each a program for one architecture. No document of NVIDIA's has the format; it is
# stable since CUDA 4 and what `cuobjdump --list-elf --list-ptx` shows was compared with what this reads.
MAGIC = 0xBA55ED50
HEADER = struct.Struct("<IHHQ")  # magic, version, bytes of this header, bytes that follow
ENTRY = struct.Struct("<HHIQ")  # kind, version, bytes of this header, bytes that follow
ARCHITECTURE = 28  # offset in an entry's header, 32 bits
PTX, SASS = 1, 2
SONAME = re.compile(rb"lib(?:cu[a-zA-Z]\w*|nv\w+|nccl)\.so(?:\.\d+)*")
# The driver's own libraries come from the host.
DRIVER = re.compile(r"libcuda\.so|libnvidia-|libnvcuvid|libnvoptix|libcudadebugger")


def sections(data: Any) -> dict[str, tuple[int, int]]:
    """Name to offset and size of the sections of an ELF file (64 bits, little-endian); {} if it is none."""
    if data[:6] != b"\x7fELF\x02\x01":
        return {}
    start, size, count, names = struct.unpack_from("<Q10xHHH", data, 40)
    table = [struct.unpack_from("<IIQQQQ", data, start + number * size) for number in range(count)]
    offset = table[names][4] if count else 0
    found = {}
    for name, kind, _, _, where, length in table:
        if kind != 8:  # SHT_NOBITS has no bytes in the file
            end = data.find(b"\0", offset + name)
            found[data[offset + name : end].decode()] = (where, length)
    return found


def architectures(data: Any, start: int, size: int) -> tuple[set[int], set[int]]:
    """Architectures of a run of fatbins, as two sets of numbers such as 90: SASS and PTX."""
    found: dict[int, set[int]] = {SASS: set(), PTX: set()}
    at, end = start, start + size
    while at + HEADER.size <= end:
        magic, _, header, length = HEADER.unpack_from(data, at)
        if magic != MAGIC:
            at += 8  # they are aligned
            continue
        entry, at = at + header, at + header + length
        while entry + ARCHITECTURE + 4 <= min(at, end):
            kind, _, header, length = ENTRY.unpack_from(data, entry)
            if kind in found and header > ARCHITECTURE:
                found[kind].add(struct.unpack_from("<I", data, entry + ARCHITECTURE)[0])
            if not header:
                break
            entry += header + length
    return found[SASS], found[PTX]


def libraries(package: ModuleType) -> list[str]:
    """The shared objects of a package, and of the NVIDIA packages beside it."""
    folder = os.path.dirname(package.__file__ or "")
    beside = os.path.join(os.path.dirname(folder), "nvidia")
    return sorted(
        path
        for top in (folder, beside)
        for path in glob.glob(os.path.join(top, "**", "*.so*"), recursive=True)
        if os.path.isfile(path) and not os.path.islink(path)
    )


def probe(name: str) -> dict[str, Any]:
    """What the module docstring says, for one framework."""
    package = importlib.import_module(name)
    sass: set[int] = set()
    ptx: set[int] = set()
    wanted: set[str] = set()
    for path in libraries(package):
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size < 64:
                continue
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                parts = sections(data)
                if name in os.path.basename(path) and ".nv_fatbin" in parts:
                    more = architectures(data, *parts[".nv_fatbin"])
                    sass, ptx = sass | more[0], ptx | more[1]
                where, size = parts.get(".rodata", (0, 0))
                wanted |= {item.decode() for item in SONAME.findall(data[where : where + size])}
    return {
        "sass": [f"sm_{number}" for number in sorted(sass)],
        "ptx": [f"compute_{number}" for number in sorted(ptx)],
        "wanted": len(wanted),
        "failed": unloadable(wanted),
    }


def unloadable(names: Iterable[str]) -> dict[str, str]:
    """Name to reason of the libraries that cannot be loaded into this process."""
    failed = {}
    for name in sorted(names):
        if not DRIVER.match(name):
            try:
                ctypes.CDLL(name)
            except OSError as error:
                failed[name] = str(error)
    return failed


if __name__ == "__main__":
    print(json.dumps(probe(sys.argv[1])))

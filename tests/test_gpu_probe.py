"""The format of fatbins and ELF sections, on small ones made here; drivers and what asks for them."""

from __future__ import annotations

import struct

import pytest

from scripts.contents.drivers import asks_enough, lowest_driver, required_cuda
from scripts.contents.gpu_probe import DRIVER, SONAME, architectures, sections, unloadable


def entry(kind: int, architecture: int, payload: int = 16) -> bytes:
    header = struct.pack("<HHIQIIHHI", kind, 0x101, 64, payload, 0, 0, 0, 0, architecture)
    return header.ljust(64, b"\0") + b"\xff" * payload


def fatbin(*parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack("<IHHQ", 0xBA55ED50, 1, 16, len(body)) + body


def test_architectures_of_all_fatbins_of_a_section() -> None:
    data = fatbin(entry(2, 80), entry(1, 90)) + b"\0" * 24 + fatbin(entry(2, 100, 0)) + fatbin()
    assert architectures(data, 0, len(data)) == ({80, 100}, {90})


@pytest.mark.parametrize("data", [b"", b"\0" * 100, fatbin(entry(2, 80))[:30], fatbin(entry(7, 80)), b"x" * 999])
def test_what_is_no_fatbin_has_none(data: bytes) -> None:
    assert architectures(data, 0, len(data)) == (set(), set())


def test_an_entry_without_a_length_does_not_hang() -> None:
    data = fatbin(b"\0" * 64)
    assert architectures(data, 0, len(data)) == (set(), set())


def test_sections_of_an_elf_file() -> None:
    names = b"\0.shstrtab\0.nv_fatbin\0.bss\0"
    body = b"\x7fELF\x02\x01".ljust(64, b"\0") + names.ljust(32, b"\0")
    rows = [
        struct.pack("<IIQQQQ", names.index(b".shstrtab"), 3, 0, 0, 64, len(names)).ljust(64, b"\0"),
        struct.pack("<IIQQQQ", names.index(b".nv_fatbin"), 1, 0, 0, 96, 8).ljust(64, b"\0"),
        struct.pack("<IIQQQQ", names.index(b".bss"), 8, 0, 0, 96, 999).ljust(64, b"\0"),
    ]
    data = bytearray(body + b"".join(rows))
    struct.pack_into("<Q10xHHH", data, 40, len(body), 64, len(rows), 0)
    assert sections(bytes(data)) == {".shstrtab": (64, len(names)), ".nv_fatbin": (96, 8)}


def test_the_real_format_of_elf() -> None:
    import sys
    from pathlib import Path

    found = sections(Path(sys.executable).resolve().read_bytes())
    assert found[".text"][1] > 100


def test_what_is_no_elf_file_has_no_sections() -> None:
    assert sections(b"#!/bin/sh\n" * 10) == {}


def test_names_of_libraries() -> None:
    data = b"\0libcudnn_ops_infer.so.8\0libnvrtc.so\0libc.so.6\0libcublasLt.so.12.1\0libnccl.so.2\0libcu.so\0"
    assert SONAME.findall(data) == [b"libcudnn_ops_infer.so.8", b"libnvrtc.so", b"libcublasLt.so.12.1", b"libnccl.so.2"]
    assert [bool(DRIVER.match(name)) for name in ("libcuda.so.1", "libnvidia-ml.so.1", "libcudart.so.12")] == [
        True,
        True,
        False,
    ]


def test_libraries_that_do_not_load() -> None:
    assert list(unloadable(["libc.so.6", "libcuda.so.1", "libnvno_such.so.9"])) == ["libnvno_such.so.9"]


@pytest.mark.parametrize(("runtime", "driver"), [("12.1", "525.60.13"), ("11.8.0", "450.80.02"), ("99.0", None)])
def test_lowest_driver(runtime: str, driver: str | None) -> None:
    assert lowest_driver(runtime) == driver


@pytest.mark.parametrize(
    ("requirement", "runtime", "enough"),
    [
        ("cuda>=12.1 brand=tesla,driver>=470,driver<471", "12.1", True),
        ("cuda>=12.0", "12.8", True),
        ("cuda>=11.0", "12.1", False),
        ("cuda>=12.1 cuda>=11.8", "12.1", False),
        ("", "12.1", False),
        ("driver>=525", "12.1", False),
    ],
)
def test_asks_enough(requirement: str, runtime: str, *, enough: bool) -> None:
    assert asks_enough(requirement, runtime) is enough


def test_required_cuda() -> None:
    assert required_cuda("cuda>=12.10 cuda>=12.9") == (12, 9)

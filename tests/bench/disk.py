"""A file system for one engine, made new for it.

On the machine's own disk, an engine would pay for what was removed before it: ext4 steps over every inode that was freed
in the last minutes before it gives a new file one, and an engine with an image or two frees 100,000. Profiled in pulls of
python:3.11, that was up to half of the kernel's time, more for each pull after the first.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from scripts.console import say

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE: Final = 200_000_000_000
"""Bytes that it can hold; those that are not written take no place."""
# Tables that would be written in the background are left to be written when they are needed.
MAKE: Final = ("mkfs.ext4", "-q", "-F", "-E", "nodiscard,lazy_itable_init=1,lazy_journal_init=1")


@contextlib.contextmanager
def own_disk(work: Path) -> Iterator[Path]:
    """A directory below ``work`` with a file system of its own where loop devices are to be had, gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="e", dir=work))
    image = folder.with_suffix(".img")
    if problem := _mount(image, folder):
        say(f"no file system of its own for the engine, so its figures depend on what was removed before: {problem}")
    try:
        yield folder
    finally:
        unmount(folder)
        image.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def unmount(path: Path) -> None:
    """Unmount a directory and what is below it."""
    with Path("/proc/self/mounts").open(encoding="utf-8") as mounts:
        points = [line.split()[1] for line in mounts]
    for point in sorted((point for point in points if f"{point}/".startswith(f"{path}/")), reverse=True):
        if subprocess.run(["umount", point], capture_output=True, check=False).returncode:
            subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)


def _mount(image: Path, folder: Path) -> str:
    """Mount a new file system; why it could not be."""
    with image.open("wb") as file:
        file.truncate(SIZE)
    try:
        _run(*MAKE, str(image))
        # Past the page cache, which would have everything twice.
        device = _run("losetup", "--find", "--show", "--direct-io=on", str(image))
        try:
            _run("mount", "-o", "noinit_itable", device, str(folder))
        finally:
            _run("losetup", "--detach", device)  # as soon as it is unmounted
    except (OSError, subprocess.CalledProcessError) as error:
        return str(getattr(error, "stderr", "") or error).strip().rpartition("\n")[2]
    return ""


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

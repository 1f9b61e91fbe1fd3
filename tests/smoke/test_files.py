"""The files of an image fit together: links lead somewhere, libraries find each other, bytecode is its source's."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import TYPE_CHECKING

from tests.containers import run

if TYPE_CHECKING:
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

# Links that lead nowhere on purpose, and why.
LINKS = {
    "/usr/share/doc/*": "the base leaves documentation out",
    "/etc/mtab": "leads to /proc, which another container runtime may not mount",
    "/usr/local/cuda/*/stubs/*": "stubs are for linking only",
    "/etc/systemd/system/*": "units of the distribution's packages; no systemd runs in a container",
}
# Libraries that an image does not have on purpose, and why.
ABSENT = {
    "libcuda.so.1": "comes with the host's driver",
    "libnvidia-ml.so.1": "comes with the host's driver",
    "libnvcuvid.so.1": "comes with the host's driver",
    "libnvidia-encode.so.1": "comes with the host's driver",
}
# Modules of which a package has one for each version of a library, and loads the one that fits, if any: path, why.
OPTIONAL = {
    "*/torio/lib/*ffmpeg*": "torchaudio has one for each FFmpeg; the image has none",
    "*/torchaudio/lib/*ffmpeg*": "torchaudio has one for each FFmpeg; the image has none",
    "*/torchaudio/lib/*sox*": "torchaudio looks for SoX when it is used; the image has none",
    "*/torchaudio/lib/_torchaudio_sox*": "torchaudio looks for SoX when it is used; the image has none",
    "*/torchcodec/*": "one for each FFmpeg; the image has none",
}
# Each batch is sifted on its own: the output of two at a time would be mixed.
LIBRARIES = r"""
sift='/^[^ \t].*:$/ { file = substr($0, 1, length($0) - 1) } /not found/ { print file "\t" $1 }'
export sift
find / -xdev \( -path /proc -o -path /sys -o -path /usr/local/cuda/\*/stubs \) -prune -o \
    -type f \( -name '*.so' -o -name '*.so.*' \) -print0 |
xargs -0 -P2 -n 40 sh -c 'ldd "$@" /bin/sh 2>/dev/null | awk "$sift"' sh
echo looked
"""
SONAMES = "find / -xdev -path /proc -prune -o -name '*.so*' -printf '%f\\n' | sort -u"
# Everything that is imported from: the standard library and the packages.
BYTECODE = """
import importlib.util, os, sys, sysconfig, site
places = {sysconfig.get_path(name) for name in ('stdlib', 'purelib', 'platlib')} | set(site.getsitepackages())
places |= {place for place in sys.path if place.endswith('-packages')}
seen, count = set(), 0
def fault(source):
    path = importlib.util.cache_from_source(source)
    try:
        with open(path, 'rb') as file:
            head = file.read(16)
    except FileNotFoundError:
        head = b''
    with open(source, 'rb') as file:
        data = file.read()
    if len(head) < 16 or head[:4] != importlib.util.MAGIC_NUMBER:
        try:
            compile(data, source, 'exec', dont_inherit=True)
        except (SyntaxError, ValueError):
            return None  # a template, or for another Python: it cannot be imported anyway
        return 'no bytecode' if not head else 'bytecode of another Python'
    if head[4] & 1:
        return None if head[8:] == importlib.util.source_hash(data) else 'bytecode of another source'
    info = os.stat(source)
    fits = head[8:] == (int(info.st_mtime) & 0xffffffff).to_bytes(4, 'little') + (info.st_size & 0xffffffff).to_bytes(4, 'little')
    return None if fits else 'bytecode of another time'
import warnings
warnings.simplefilter('ignore')
for place in sorted(places):
    for folder, folders, files in os.walk(place):
        real = os.path.realpath(folder)
        if real in seen:
            folders[:] = []
            continue
        seen.add(real)
        # nobody imports tests, and lib2to3 has some that are no Python
        folders[:] = [name for name in folders if name not in ('__pycache__', 'test', 'tests', 'idle_test', 'lib2to3')]
        for name in files:
            if name.endswith('.py'):
                count += 1
                if wrong := fault(os.path.join(folder, name)):
                    print(f'{os.path.join(folder, name)}: {wrong}')
print(count)
"""
IMPORTS = r"""
set -e
start=$(mktemp)
python -W ignore -c 'import asyncio, json, sqlite3, numpy, scipy.stats, pandas, sklearn, jupyterlab, vessl'
find / -xdev -path /proc -prune -o -name '*.pyc' -newer "$start" -print
echo nothing
"""


def first_of(wrong: list[str]) -> str:
    return wrong[0] + (f", and {len(wrong) - 1} more" if wrong[1:] else "")


def test_links(rest: Container, claim: Claim) -> None:
    found = rest.read(
        "sh", "-c", r"find / -xdev \( -path /proc -o -path /sys -o -path /dev \) -prune -o -xtype l -print"
    )
    wrong = [path for path in found.split("\n") if path and not any(fnmatch(path, glob) for glob in LINKS)]
    claim(f"{first_of(wrong)} leads nowhere" if wrong else "none is broken", "none is broken")


def test_libraries(rest: Container, claim: Claim) -> None:
    """Each library's own libraries are found, or are loaded before it by the package that has both."""
    *lines, last = rest.exec("bash", "-c", LIBRARIES, seconds=120).stdout.splitlines()
    assert last == "looked"
    there = set(rest.read("sh", "-c", SONAMES).split("\n"))
    wrong = []
    for line in lines:
        path, _, wanted = line.partition("\t")
        packaged = "-packages/" in path and wanted in there
        if not (packaged or wanted in ABSENT or any(fnmatch(path, glob) for glob in OPTIONAL)):
            wrong.append(f"{path} wants {wanted}")
    claim(first_of(sorted(wrong)) if wrong else "all are found", "all are found")


def test_bytecode(rest: Container, claim: Claim) -> None:
    """There is some for every source, and it is that source's: else imports compile, each time, in every container."""
    *wrong, count = rest.exec("python", "-I", "-c", BYTECODE, seconds=120).stdout.splitlines() or ["0"]
    claim(first_of(wrong) if wrong else f"{count} sources", "valid for all", ok=not wrong and int(count) > 1000)


def test_imports_write_nothing(image: str, claim: Claim) -> None:
    done = run(image, "bash", "-c", IMPORTS, seconds=60, network_mode="none")
    *wrote, _ = done.stdout.splitlines() or [""]
    claim(first_of(wrote) if wrote else done.stdout.strip() or done.stderr.strip().rpartition("\n")[2], "nothing")

"""What must not be in any layer: keys, tokens, caches, logs, and what else a build leaves behind.

A file that a later layer removes is still in the layer below, for everyone who pulls; so each layer counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatch, translate
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tarfile
    from collections.abc import Callable, Iterator

CONTENT_LIMIT = 2_000_000
"""Bytes; larger files are models, archives and libraries, in which such patterns mean nothing."""
CAPABILITY = "SCHILY.xattr.security.capability"


class Kind(StrEnum):
    """What a finding is."""

    HOST_KEY = "host key"
    PRIVATE_KEY = "private key"
    CREDENTIAL = "credential"
    CERTIFICATE = "certificate of the build machine"
    INDEX = "index address"
    CACHE = "package cache"
    LOG = "log"
    LEFTOVER = "leftover"
    SET_UID = "set-uid"
    WORLD_WRITABLE = "world-writable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that must not be there."""

    kind: Kind
    path: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Markers:
    """What is known of the machine that builds, as bytes to look for: it is in no pattern."""

    certificates: tuple[bytes, ...] = ()
    """A line of the body of each certificate."""
    indexes: tuple[bytes, ...] = ()
    """Hosts of package indexes."""


HOST_KEY = re.compile(r"/ssh_host_\w+_key(\.pub)?$")
# By their place in a home directory, or anywhere.
CREDENTIALS = (
    "*/.netrc", "*/.pypirc", "*/.git-credentials", "*/.docker/config.json", "*/.aws/credentials", "*/.ssh/id_*",
    "*/.ssh/authorized_keys", "*/.config/gcloud/*", "*/huggingface/token", "*/.kube/config", "*/.vessl/*",
)  # fmt: skip
CACHES = (
    "/root/.cache/*", "/home/*/.cache/*", "/var/cache/apt/*", "/var/cache/uv/*", "/var/lib/apt/lists/*", "*/.npm/*",
    "*/conda/pkgs/*", "*/uv_cache.json", "/root/.local/share/uv/*",
)  # fmt: skip
LEFTOVERS = ("/tmp/*", "/var/tmp/*", "/run/*", "/.dockerenv", "/root/.bash_history", "/root/.python_history")  # noqa: S108
# Empty ones are the distribution's own: directories that programs want, and locks.
EMPTY_ALLOWED = ("/var/log/*", "/run/*", "/var/cache/apt/*", "/var/lib/apt/lists/*")
# Programs that Debian and Ubuntu ship with the bit: each lets a user do one thing that needs root.
SET_UID = {
    "/usr/bin/" + name
    for name in (
        "su", "mount", "umount", "passwd", "chsh", "chfn", "gpasswd", "newgrp", "chage", "expiry", "ssh-agent", "wall",
        "write.ul", "bsd-write", "dotlockfile", "crontab", "sudo", "fusermount3", "pkexec",
    )
} | {"/usr/lib/openssh/ssh-keysign", "/usr/sbin/unix_chkpwd", "/usr/lib/dbus-1.0/dbus-daemon-launch-helper"}  # fmt: skip
KEY_BLOCK = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+[A-Za-z0-9+/=\s]{64}")
TOKENS = {
    # AWS's own documentation has keys that end so.
    b"AKIA": (re.compile(rb"\bAKIA(?![0-9A-Z]*EXAMPLE)[0-9A-Z]{16}\b"), "AWS access key"),
    b"ghp_": (re.compile(rb"\bghp_[A-Za-z0-9]{36}\b"), "GitHub token"),
    b"gho_": (re.compile(rb"\bgho_[A-Za-z0-9]{36}\b"), "GitHub token"),
    b"ghs_": (re.compile(rb"\bghs_[A-Za-z0-9]{36}\b"), "GitHub token"),
    b"github_pat_": (re.compile(rb"\bgithub_pat_\w{60,}"), "GitHub token"),
    b"glpat-": (re.compile(rb"\bglpat-[\w-]{20}\b"), "GitLab token"),
    b"hf_": (re.compile(rb"\bhf_[A-Za-z]{34}\b"), "Hugging Face token"),
    b"xox": (re.compile(rb"\bxox[abp]-[0-9]{8,}-\w+"), "Slack token"),
    b"AIza": (re.compile(rb"\bAIza[\w-]{35}\b"), "Google key"),
    b"pypi-AgE": (re.compile(rb"\bpypi-AgE[\w-]{50,}"), "PyPI token"),
}
URL_WITH_PASSWORD = re.compile(rb"https?://[^/\s:@'\"<>{}$]{1,64}:[^/\s:@'\"<>{}$]{3,}@[\w.-]")
CONFIGURATION = ("/etc/*", "/root/*", "/home/*", "/opt/venv/etc/*", "*/pip.conf", "*/uv.toml")
INDEX_FILES = ("*/pip.conf", "*/.pip/*", "*/uv.toml", "*/uv.toml.d/*", "*/.condarc")
INDEX_SETTING = re.compile(rb"(?m)^\s*(?:extra-)?(?:index-url|index|find-links)\s*=|^\[\[index\]\]")
# A wheel that was installed from a folder or an address says so (PEP 610).
DIRECT = re.compile(rb'"url"\s*:\s*"(?:file|https?)://')
# What packages ship on purpose: kind, path, and why it is no secret.
KNOWN = (
    (Kind.PRIVATE_KEY, "*/*-packages/*/test*/*", "keys of a package's own tests, public with its source"),
    (Kind.PRIVATE_KEY, "*/*-packages/*/test_*.py", "keys of a package's own tests, public with its source"),
)  # fmt: skip


def inspect_entry(entry: tarfile.TarInfo, read: Callable[[], bytes], markers: Markers) -> Iterator[Finding]:
    """What an entry of a layer has that must not be there."""
    path = "/" + entry.name.removeprefix("./").strip("/")
    if path.rpartition("/")[2].startswith(".wh."):
        return  # a whiteout has no content; what it hides is in a layer below, and found there
    found = [*_by_place(path, entry), *_by_mode(path, entry)]
    if entry.isfile() and 0 < entry.size <= CONTENT_LIMIT and not path.endswith(".pyc"):
        found += _by_content(path, read(), markers)
    yield from (item for item in found if not any(item.kind is kind and fnmatch(path, glob) for kind, glob, _ in KNOWN))


def _by_place(path: str, entry: tarfile.TarInfo) -> Iterator[Finding]:
    if entry.isfile() or entry.issym():
        if HOST_KEY.search(path):
            yield Finding(kind=Kind.HOST_KEY, path=path, detail="the same in every container")
        if _fits(path, CREDENTIALS):
            yield Finding(kind=Kind.CREDENTIAL, path=path, detail="a file that holds credentials")
        if entry.size or not _fits(path, EMPTY_ALLOWED):
            for kind, globs in ((Kind.CACHE, CACHES), (Kind.LEFTOVER, LEFTOVERS), (Kind.LOG, ("/var/log/*",))):
                if _fits(path, globs):
                    yield Finding(kind=kind, path=path, detail=f"{entry.size} bytes")
        if path.startswith("/usr/local/share/ca-certificates/"):
            yield Finding(kind=Kind.CERTIFICATE, path=path, detail="an authority that the distribution does not have")


def _by_mode(path: str, entry: tarfile.TarInfo) -> Iterator[Finding]:
    if (
        entry.isfile()
        and entry.mode & 0o6000
        and path.replace("/bin/", "/usr/bin/", path.startswith("/bin/")) not in SET_UID
    ):
        yield Finding(kind=Kind.SET_UID, path=path, detail=f"mode {entry.mode:o}")
    if CAPABILITY in entry.pax_headers:
        yield Finding(kind=Kind.SET_UID, path=path, detail="file capabilities")
    open_file = entry.isfile() and entry.mode & 0o002
    open_folder = entry.isdir() and entry.mode & 0o1002 == 0o002
    if open_file or open_folder:
        yield Finding(kind=Kind.WORLD_WRITABLE, path=path, detail=f"mode {entry.mode:o}")


def _by_content(path: str, data: bytes, markers: Markers) -> Iterator[Finding]:
    if b"PRIVATE KEY-----" in data and KEY_BLOCK.search(data):
        yield Finding(kind=Kind.PRIVATE_KEY, path=path, detail="the block of a private key")
    for start, (pattern, name) in TOKENS.items():
        if start in data and pattern.search(data):
            yield Finding(kind=Kind.CREDENTIAL, path=path, detail=name)
    if _fits(path, CONFIGURATION) and b"://" in data and URL_WITH_PASSWORD.search(data):
        yield Finding(kind=Kind.CREDENTIAL, path=path, detail="an address with a password")
    if any(marker in data for marker in markers.certificates):
        yield Finding(kind=Kind.CERTIFICATE, path=path, detail="is in the bundle of the build machine")
    if (_fits(path, INDEX_FILES) and INDEX_SETTING.search(data)) or any(marker in data for marker in markers.indexes):
        yield Finding(kind=Kind.INDEX, path=path, detail="the address of a package index")
    if path.endswith(".dist-info/direct_url.json") and DIRECT.search(data):
        yield Finding(kind=Kind.INDEX, path=path, detail="the address that a wheel was installed from")


def _fits(path: str, globs: tuple[str, ...]) -> bool:
    return _compiled(globs).match(path) is not None


@cache
def _compiled(globs: tuple[str, ...]) -> re.Pattern[str]:
    # One pattern for all: a hundred thousand paths are compared with each.
    return re.compile("|".join(translate(glob) for glob in globs))


SECRET_NAME = re.compile(r"(?i)(token|password|passwd|secret|api_?key|private_?key|credential|ssl_cert|ca_bundle)")
# Names of settings that say where a secret is to be found, or that there is none.
HARMLESS_NAME = re.compile(r"(?i)_(file|dir|path)$|^VESSL_ALLOW_NO_TOKEN$")
ADDRESS = re.compile(r"\b(?:https?|file)://[^\s'\"]+")


def inspect_words(where: str, text: str, markers: Markers) -> Iterator[Finding]:
    """What a line of the history, a label or a command has that must not be there."""
    data = text.encode()
    for pattern, name in TOKENS.values():
        if pattern.search(data):
            yield Finding(kind=Kind.CREDENTIAL, path=where, detail=name)
    if URL_WITH_PASSWORD.search(data):
        yield Finding(kind=Kind.CREDENTIAL, path=where, detail="an address with a password")
    if any(marker in data for marker in markers.indexes):
        yield Finding(kind=Kind.INDEX, path=where, detail="the address of a package index")


def inspect_variable(name: str, value: str, markers: Markers) -> Iterator[Finding]:
    """What a variable of the image's environment, or a build argument in its history, has that must not be there."""
    if value and SECRET_NAME.search(name) and not HARMLESS_NAME.search(name):
        yield Finding(kind=Kind.CREDENTIAL, path=name, detail="a variable whose name says that it is a secret")
    if value and re.fullmatch(r"(PIP|UV)_(\w*INDEX\w*|FIND_LINKS|TRUSTED_HOST)|\w*_PROXY", name.upper()):
        yield Finding(kind=Kind.INDEX, path=name, detail="a setting of the build machine")
    yield from inspect_words(name, value, markers)

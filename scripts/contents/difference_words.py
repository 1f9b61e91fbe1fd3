"""A difference in one sentence, as the people who pull an image understand it: why there is a new revision."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from scripts.contents.changes import KINDS, Kind
from scripts.contents.difference import GPU_CODE
from scripts.contents.exposure import exposure_words
from scripts.contents.words import count_of, harmless, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scripts.contents.changes import Change
    from scripts.contents.difference import Difference, Setting

NOTHING = "nothing a user can see"
NAMED = 4
"""Changes of one sort that are named one by one."""
LISTED = 3
"""Names in a list."""
# Debian and Ubuntu source packages whose updates people wait for, the most exposed first, and what they call them.
EXPOSED = {
    "openssl": "openssl", "openssh": "openssh", "curl": "curl", "git": "git", "glibc": "libc6",
    "ca-certificates": "ca-certificates", "gnutls28": "gnutls", "krb5": "krb5", "nghttp2": "nghttp2",
    "libxml2": "libxml2", "expat": "expat", "zlib": "zlib", "xz-utils": "xz", "sqlite3": "sqlite3", "pam": "pam",
    "systemd": "systemd", "perl": "perl", "bash": "bash", "gnupg2": "gnupg", "git-lfs": "git-lfs",
}  # fmt: skip
VERBS = {
    Kind.UPGRADED: "updated",
    Kind.DOWNGRADED: "downgraded",
    Kind.CHANGED: "changed",
    Kind.ADDED: "added",
    Kind.REMOVED: "removed",
}
PARTS = {
    "entrypoint": "entrypoint",
    "command": "command",
    "user": "user",
    "working_dir": "working directory",
    "ports": "ports",
}
OWN_LABELS = ("ai.vessl.images.", "org.opencontainers.image.")
"""Of every build; they say nothing that the rest of a difference does not."""


def sentence(difference: Difference) -> str:
    """Why a user would want the new image, or need not: a line without a full stop."""
    parts = [
        *(_named(change) for change in difference.programs),
        *_python_words(difference.python),
        *_counted(difference.apt, f"{distribution(difference)} package", "", _exposed(difference.apt)),
        *_counted(difference.conda, "conda package", "", []),
        *exposure_words(difference.exposure),
        *_setting_words(difference),
    ]
    # A variable of an image that is not ours may be called anything; a ledger wants a line.
    return " ".join(harmless("; ".join(parts) or _other_words(difference)).split())


def distribution(difference: Difference) -> str:
    """What to call the distribution's packages: Debian, Ubuntu."""
    system = difference.new.system or difference.old.system
    return system.id.capitalize() if system else "dpkg"


def _python_words(changes: Sequence[Change]) -> Iterator[str]:
    direct = [change for change in changes if change.direct]
    others = [change for change in changes if not change.direct]
    if not direct and len(others) <= 2:
        direct, others = others, []
    if direct:
        more = len(direct) - NAMED
        words = [_named(change) for change in direct[:NAMED]]
        yield ", ".join(words) + (f" and {more} more" if more > 0 else "")
    yield from _counted(others, "Python package", "other " if direct else "", [])


def _named(change: Change) -> str:
    if change.name.startswith(GPU_CODE):
        return _gpu_words(change)
    if change.kind in {Kind.ADDED, Kind.REMOVED}:
        return f"{change.name} {change.old or change.new} {VERBS[change.kind]}"
    back = "back from " if change.kind is Kind.DOWNGRADED else ""
    return f"{change.name} {back}{change.old} to {change.new}"


def _gpu_words(change: Change) -> str:
    old, new = change.old.split(), change.new.split()
    words = [f"{name} added" for name in new if name not in old] + [
        f"{name} removed" for name in old if name not in new
    ]
    return f"{change.name}: {', '.join(words)}" if words else f"{change.name} in another order"


def _counted(changes: Sequence[Change], noun: str, other: str, notable: Sequence[str]) -> Iterator[str]:
    """So many of them, and which ones where those are few or matter."""
    if not changes:
        return
    ordered = sorted(changes, key=lambda change: KINDS.index(change.kind))
    counts = [(VERBS[kind], len(list(group))) for kind, group in groupby(ordered, key=lambda change: change.kind)]
    (verb, count), *rest = counts
    text = f"{count_of(count, other + noun)} {verb}"
    text += "".join(f", {number} {word}" for word, number in rest)
    names = list(dict.fromkeys([*notable, *(_known_as(change) for change in changes)]))
    if not rest and count <= LISTED:
        yield f"{text}: {listed(names)}"
    elif notable:
        yield f"{text}, {listed(notable[:LISTED])} among them"
    else:
        yield text


def _exposed(changes: Iterable[Change]) -> list[str]:
    found = {change.source for change in changes}
    return [name for source, name in EXPOSED.items() if source in found]


def _known_as(change: Change) -> str:
    return EXPOSED.get(change.source, change.name)


def _setting_words(difference: Difference) -> Iterator[str]:
    # A variable that has a program's version for its value, such as PYTHON_VERSION, has been told with the program.
    told = {(change.old, change.new) for change in difference.programs}
    env = [item for item in difference.settings if item.part == "env" and (item.old, item.new) not in told]
    yield from _variable_words(env)
    changed = [PARTS[item.part] for item in difference.settings if item.part in PARTS]
    if changed:
        yield f"{listed(changed)} changed"


def _variable_words(env: Sequence[Setting]) -> Iterator[str]:
    if not env:
        return
    verbs = {"added" if item.old is None else "removed" if item.new is None else "changed" for item in env}
    verb = verbs.pop() if len(verbs) == 1 else "changed"
    if len(env) > LISTED:
        yield f"{len(env)} environment variables {verb}"
    else:
        yield f"environment variable{'' if len(env) == 1 else 's'} {listed([item.name for item in env])} {verb}"


def _other_words(difference: Difference) -> str:
    """What is left to tell where neither a package nor a setting changed."""
    pulled = len(difference.layers.pulled)
    if pulled:
        return f"files in {count_of(pulled, 'layer')} changed, but no package and no setting"
    if [layer.digest for layer in difference.old.layers] != [layer.digest for layer in difference.new.layers]:
        return "put together from other layers, but no package and no setting changed"
    labels = [
        item.name for item in difference.settings if item.part == "labels" and not item.name.startswith(OWN_LABELS)
    ]
    if labels:
        return f"label{'' if len(labels) == 1 else 's'} {listed(labels)} changed"
    return NOTHING

"""What this project has left on the machine and can do without: layouts, images in the engine, BuildKit's cache.

Never another project's, never what a container uses, and the newest layout of a row only where everything is to go.
"""

from __future__ import annotations

import datetime
import json
import re
import shutil
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from scripts.build.cache import drop_cached, find_cached, ours
from scripts.build.layout import RECORD, directory_of, is_leftover
from scripts.build.tenants import find_tenants, remove_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from scripts.build.cache import Cached
    from scripts.build.settings import Settings
    from scripts.build.tenants import Tenant

STALE = datetime.timedelta(days=7)
"""For how long a step of BuildKit's cache has not been used when it goes by itself."""
_REVISION = re.compile(r"(?P<tag>.+)-r(?P<number>[1-9][0-9]*)")


class Kind(StrEnum):
    """What a thing is; the value is the word in the table."""

    LAYOUT = "layout"
    IMAGE = "image"
    CACHE = "cache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing, and whether it goes."""

    kind: Kind
    name: str
    size: int
    """Bytes that go with it; of an image in the engine at most, since images share layers."""
    goes: bool
    why: str
    path: Path | None = None
    """Of a layout."""
    builder: str = ""
    records: tuple[Cached, ...] = ()
    """Of a cache."""


def plan_prune(
    images: Iterable[str],
    settings: Settings,
    kinds: Iterable[Kind],
    *,
    every: bool,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Item, ...]:
    """Everything of ours, with what goes and why.

    :param images: ids of the images that rows make.
    :param every: the newest builds too, and all of the cache.
    :param say: told what could not be looked at.
    """
    known, found, wanted = frozenset(images), list[Item](), set(kinds)
    if Kind.LAYOUT in wanted:
        found += _layouts(settings.out, known, every=every)
    if Kind.IMAGE in wanted:
        built = _built(settings.out)
        tested = {path.name.replace("-", ":", 1) for path in (settings.out / "smoke").glob("sha256-*")}
        tenants = find_tenants(settings.registry, {*built.values(), *tested}, say)
        found += _images(tenants, known, built, every=every)
    if Kind.CACHE in wanted:
        now = datetime.datetime.now(datetime.UTC)
        for builder in settings.builder.split(","):
            found += _cache(builder.strip(), ours(find_cached(builder.strip(), now, say)), now, every=every)
    return tuple(found)


def apply_prune(items: Iterable[Item]) -> Iterator[Item]:
    """Remove what goes; each as it went, with why where it did not."""
    for item in items:
        if not item.goes:
            continue
        if item.path:
            shutil.rmtree(item.path, ignore_errors=True)
            yield item if not item.path.exists() else replace(item, goes=False, size=0, why="cannot be removed")
        elif item.kind is Kind.CACHE:
            gone = drop_cached(item.builder, item.records)
            short = "" if len(gone) == len(item.records) else f"; {len(item.records) - len(gone)} are in use"
            yield replace(item, size=sum(record.size for record in gone), why=f"{item.why}{short}")
        else:
            refused = remove_name(item.name)
            yield replace(item, goes=False, size=0, why=refused) if refused else item


def item_row(item: Item, verb: str) -> dict[str, Any]:
    """A row of ``prune``.

    :param verb: what became of what goes, or would.
    """
    return {
        "what": str(item.kind),
        "name": item.name,
        "MB": round(item.size / 1e6),
        "action": verb if item.goes else "kept",
        "why": item.why,
    }


def freed(items: Iterable[Item]) -> int:
    """Bytes of what goes."""
    return sum(item.size for item in items if item.goes)


def _built(out: Path) -> dict[str, str]:
    """Digest of each layout, by image."""
    return {str(raw.get("id")): str(raw.get("digest")) for _, raw in _records(out)}


def _records(out: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for path in sorted(out.glob(f"[!.]*/{RECORD}")):
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(raw, dict) and directory_of(out, str(raw.get("id"))) == path.parent:
            yield path.parent, raw


def _layouts(out: Path, known: frozenset[str], *, every: bool) -> list[Item]:
    chosen: list[tuple[Path, str, bool, str]] = [
        (path, path.name, True, "left by a build that was killed")
        for path in sorted(out.glob(".*"))
        if is_leftover(path)
    ]
    for path, raw in _records(out):
        name = str(raw["id"])
        if name not in known:
            chosen.append((path, name, True, "no row makes it any more"))
        else:
            chosen.append((path, name, every, "asked for by --all" if every else "the newest build of its row"))
    links = _links([path for path, _, goes, _ in chosen if goes])
    return [
        Item(
            kind=Kind.LAYOUT,
            name=name,
            size=links.get(path, 0) if goes else sum(item.stat().st_size for item in _files(path)),
            goes=goes,
            why=why,
            path=path,
        )
        for path, name, goes, why in chosen
    ]


def _links(paths: Sequence[Path]) -> dict[Path, int]:
    """Bytes that go with each folder where all of them go: a file with a link elsewhere stays, one with two goes once."""
    seen: dict[tuple[int, int], list[Path]] = {}
    facts: dict[tuple[int, int], tuple[int, int]] = {}
    for path in paths:
        for file in _files(path):
            stat = file.stat()
            key = (stat.st_dev, stat.st_ino)
            seen.setdefault(key, []).append(path)
            facts[key] = (stat.st_nlink, stat.st_size)
    found = dict.fromkeys(paths, 0)
    for key, owners in seen.items():
        links, size = facts[key]
        if len(owners) >= links:
            found[owners[-1]] += size
    return found


def _files(path: Path) -> Iterator[Path]:
    return (item for item in path.rglob("*") if item.is_file() and not item.is_symlink())


def _images(tenants: Iterable[Tenant], known: frozenset[str], built: dict[str, str], *, every: bool) -> Iterator[Item]:
    tenants = tuple(tenants)
    newest: dict[str, int] = {}
    for name in (name for tenant in tenants for name in tenant.names):
        if match := _REVISION.fullmatch(name):
            newest[match["tag"]] = max(newest.get(match["tag"], 0), int(match["number"]))
    for tenant in tenants:
        verdicts: dict[str, tuple[bool, str]] = {}
        for name in tenant.names or (tenant.digest,):
            goes, why = _verdict(tenant, name, known, built, newest)
            if tenant.used_by:
                goes, why = False, f"used by container {', '.join(tenant.used_by[:2])}"
            elif every and not goes:
                goes, why = True, "asked for by --all"
            verdicts[name] = goes, why
        # Its bytes go with its last name, where all of them go.
        staying = [name for name, (goes, _) in verdicts.items() if not goes]
        holder = "" if tenant.others else (staying or list(verdicts))[-1]
        for name, (goes, why) in verdicts.items():
            yield Item(kind=Kind.IMAGE, name=name, size=tenant.size if name == holder else 0, goes=goes, why=why)


def _verdict(
    tenant: Tenant, name: str, known: frozenset[str], built: dict[str, str], newest: dict[str, int]
) -> tuple[bool, str]:
    if not tenant.names:
        return True, "has no name any more"
    if tenant.image not in known:
        return True, "no row makes it any more"
    if match := _REVISION.fullmatch(name):
        highest = newest[match["tag"]]
        return (
            (False, "the newest revision here") if int(match["number"]) == highest else (True, f"r{highest} is newer")
        )
    if built.get(tenant.image, tenant.digest) != tenant.digest:
        return True, "a newer build is in out/"
    return False, "the newest build"


def _cache(builder: str, records: Sequence[Cached], now: datetime.datetime, *, every: bool) -> Iterator[Item]:
    """Two rows: the steps that go, and those that stay; hundreds of them would tell nobody anything."""
    free = [record for record in records if record.reclaimable]
    stale = [record for record in free if every or (record.used is not None and now - record.used > STALE)]
    rest = [record for record in records if record not in stale]
    name = f"BuildKit, {builder}" if builder else "BuildKit"
    for chosen, goes, why in (
        (stale, True, "asked for by --all" if every else f"not used for {STALE.days} days"),
        (rest, False, "in use" if every else f"used within {STALE.days} days, or in use"),
    ):
        if chosen:
            yield Item(
                kind=Kind.CACHE,
                name=f"{name}: {len(chosen)} steps",
                size=sum(record.size for record in chosen),
                goes=goes,
                why=why,
                builder=builder,
                records=tuple(chosen) if goes else (),
            )

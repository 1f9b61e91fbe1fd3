"""The maintainer's choices for a build: invoke.yaml, then INVOKE_* (Invoke merges both), then flags."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.build.wanted import Evidence, Scan, load_evidence, load_scan
from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

# Host with an optional port, then path components (distribution-spec 1.1, "Pulling manifests": <name>).
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REGISTRY = re.compile(rf"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{{1,5}})?(?:/{_COMPONENT})*")
BUILDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is the maintainer's to choose: from invoke.yaml, the environment and the tasks' flags."""

    root: Path
    out: Path
    cache: Path
    registry: str
    source: str = ""
    builder: str = ""
    """Builders of buildx, comma-separated; empty: the current one."""
    ca_bundle: str = ""
    index_url: str = ""
    wheels: tuple[str, ...] = ()
    """Folders with wheels; none: those that pip is set up with."""
    cache_to: str = ""
    """A repository, or options of BuildKit, for the cache of its steps; empty: none. No part of any recipe."""
    cache_from: str = ""
    parallel: int = 0
    """Rows that are built at a time; 0: as many as cores, memory and disk carry."""
    progress: str = "auto"
    no_cache: bool = False
    force: str = ""
    """Why everything is to be built whatever its recipe; empty: only what changed."""
    overrides: tuple[str, ...] = ()
    """``KEY=VALUE`` settings of bake targets (``docker buildx bake --set``), without the target."""
    evidence: Evidence = field(default_factory=Evidence)
    scan: Scan = field(default_factory=Scan)

    @property
    def builders(self) -> tuple[str, ...]:
        """Names of the builders; none: the current one."""
        return tuple(dict.fromkeys(name for name in self.builder.split(",") if name))


def load_settings(root: Path, configured: Any, environment: Mapping[str, str], flags: Mapping[str, Any]) -> Settings:
    """Settings of a build.

    :param configured: the section ``images`` of Invoke's configuration.
    :param flags: what was given on the command line; None where it was not.
    """
    cache = configured.cache or Path(environment.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "images"
    index = configured.index_url or next(filter(None, map(environment.get, INDEX_VARIABLES)), "")
    chosen = {name: getattr(configured, name) for name in ("builder", "registry", "cache_to", "cache_from")}
    chosen |= {name: value for name, value in flags.items() if value is not None}
    registry = chosen["registry"].rstrip("/")
    if not REGISTRY.fullmatch(registry):
        raise UsageError(
            f'registry: {registry!r} is not a registry with an organisation, such as "quay.io/vessl-ai" or "localhost:5000"'
        )
    chosen["builder"] = ",".join(name.strip() for name in chosen["builder"].split(","))
    for name in filter(None, chosen["builder"].split(",")):
        if not BUILDER.fullmatch(name):
            raise UsageError(f"--builder: {name!r} is no name of a builder (docker buildx ls)")
    return Settings(
        parallel=_parallel(getattr(configured, "parallel", 0)),
        root=root,
        out=root / (configured.out or "out"),
        cache=Path(cache),
        source=configured.source,
        ca_bundle=configured.ca_bundle or environment.get("SSL_CERT_FILE", ""),
        index_url=index,
        wheels=_words(configured.wheels, os.pathsep) or _words(environment.get("PIP_FIND_LINKS", "")),
        evidence=load_evidence(getattr(configured, "evidence", None)),
        scan=load_scan(getattr(configured, "scan", None)),
        **{**chosen, "registry": registry},
    )


def _words(text: str, separator: str | None = None) -> tuple[str, ...]:
    return tuple(filter(None, text.split(separator)))


def _parallel(value: Any) -> int:
    try:
        if (found := int(value or 0)) >= 0:
            return found
    except (TypeError, ValueError):
        pass
    raise UsageError(f"images.parallel: expected a number of rows, got {value!r}")

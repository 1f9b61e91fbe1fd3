"""Which image of an index is meant: by platform, the same on every machine (image-spec, image-index.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scripts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

USUAL = "linux/amd64"
"""What is taken where nothing else is asked for; never that of the machine which asks."""
INDEXES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)


def platform_of(raw: Mapping[str, Any]) -> str:
    """The platform of a config, or of a descriptor's ``platform``, in one word: linux/arm64/v8."""
    parts = (raw.get("os"), raw.get("architecture"), raw.get("variant"))
    return "/".join(str(part) for part in parts if part)


def fits(platform: str, wanted: str) -> bool:
    """Whether a platform is the wanted one; a variant counts only where one is asked for."""
    return platform == wanted or platform.startswith(f"{wanted}/")


def choose(
    entries: Iterable[Mapping[str, Any]], wanted: str | None, where: str, say: Callable[[str], None]
) -> Mapping[str, Any]:
    """The descriptor of the image that is meant, of those of an index.

    :param wanted: the platform that was asked for; None: the only one, else the usual one, which is said.
    :raises UsageError: if it is not there, or there are several.
    """
    # BuildKit's attestations stand in an index as images of an unknown platform.
    images = [entry for entry in entries if platform_of(entry.get("platform") or {}) != "unknown/unknown"]
    platforms = [platform_of(entry.get("platform") or {}) for entry in images]
    if not images:
        raise UsageError(f"{where}: an index without images")
    if wanted is None and len(images) == 1:
        return images[0]
    target = wanted or USUAL
    found = [entry for entry, platform in zip(images, platforms, strict=True) if not platform or fits(platform, target)]
    if len(found) != 1:
        there = ", ".join(sorted({platform or "unknown" for platform in platforms}))
        many = f"{len(found)} images" if found else "no image"
        hint = "" if wanted else "; choose with --platform"
        raise UsageError(f"{where}: {many} for {target}, there: {there}{hint}")
    if wanted is None:
        say(f"{where}: has {len(images)} platforms, taking {target} (--platform takes another)")
    return found[0]

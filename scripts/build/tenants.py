"""The images in the engine that are this project's, and the containers that use them.

A label tells that an image is one of ours or was built on one by somebody: labels are inherited. So the name has to be the
label's in our registry too, and of those without a name only what was built or tested here is known to be ours.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.build.bake import LABELS
from scripts.build.engine import first_line
from scripts.errors import BuildError

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """An image of ours in the engine."""

    digest: str
    image: str
    """Its id, as its label says: ``torch:2.3.1-cuda12.1``."""
    names: tuple[str, ...]
    """Those that a build or a publish gives it, in our registry."""
    others: tuple[str, ...]
    """Names that somebody else gave it."""
    size: int
    """Bytes; layers that it shares with others are counted too."""
    used_by: tuple[str, ...]
    """Names of the containers that were made of it, running or not."""


def find_tenants(
    registry: str, known: Container[str], say: Callable[[str], None] = lambda _: None
) -> tuple[Tenant, ...]:
    """The images in the engine that are ours; none where there is no engine, which is said.

    :param registry: with organisation, that our names begin with.
    :param known: digests of what was built or tested here, whatever it is called.
    """
    try:
        listed = _lines("image", "ls", "--all", "--no-trunc", "--quiet", "--filter", f"label={LABELS}.id")
        containers = _lines("container", "ls", "--all", "--no-trunc", "--quiet")
    except BuildError as error:
        say(f"warning: images in the engine: not looked at: {error}")
        return ()
    images = _inspect("image", tuple(dict.fromkeys(listed)))
    users: dict[str, list[str]] = {}
    for container in _inspect("container", containers):
        users.setdefault(str(container.get("Image")), []).append(str(container.get("Name", "")).lstrip("/"))
    found = []
    for image in images:
        digest, names = str(image["Id"]), tuple(image.get("RepoTags") or ())
        own = re.compile(rf"{re.escape(f'{registry}/{_label(image)}')}(-r[1-9][0-9]*)?")
        ours = tuple(name for name in names if own.fullmatch(name))
        if ours or (not names and digest in known):
            found.append(
                Tenant(
                    digest=digest,
                    image=_label(image),
                    names=ours,
                    others=tuple(name for name in names if name not in ours),
                    size=int(image.get("Size") or 0),
                    used_by=tuple(users.get(digest, ())),
                )
            )
    return tuple(found)


def remove_name(name: str) -> str:
    """Take a name, or an image without one, out of the engine; why the engine refused, or nothing.

    Never by force: the engine keeps what a container uses.
    """
    done = subprocess.run(["docker", "image", "rm", name], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["refused"])[-1]


def _label(image: Mapping[str, Any]) -> str:
    """The id that an image is labelled with."""
    return str(((image.get("Config") or {}).get("Labels") or {}).get(f"{LABELS}.id", ""))


def _lines(*words: str) -> tuple[str, ...]:
    try:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BuildError("there is no docker command on PATH") from None
    if done.returncode:
        raise BuildError(first_line(done.stderr))
    return tuple(done.stdout.split())


def _inspect(kind: str, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """What the engine knows of images or containers; one that is gone meanwhile is left out."""
    if not names:
        return []
    done = subprocess.run(["docker", kind, "inspect", *names], capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    except ValueError:
        return []
    return found

"""Trials of publishing against a real registry: a repository that has one revision, as often as wanted, and what must hold.

What is published is read without the client that published it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import requests

from scripts.release.ledger import load_ledger
from scripts.release.revision import parse_revisions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.registries import RealRegistry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TEMPLATE = "template"
REPOSITORIES = "docker/registry/v2/repositories"
"""Below the storage of docker-registry (its `registry/storage/paths.go`)."""


@dataclass
class Published:
    """A repository as others see it, asked of the registry itself."""

    host: str
    name: str
    tag: str
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.trust_env = False  # no proxy to loopback

    def tags(self) -> dict[str, str]:
        """The digest of each tag, hashed from what the registry gives for it."""
        listed = self._get("tags/list").json()
        return {tag: sha256(self._get(f"manifests/{tag}").content) for tag in listed["tags"] or ()}

    def revisions(self) -> dict[int, str]:
        """The digest of each revision."""
        now = self.tags()
        return {number: now[f"{self.tag}-r{number}"] for number in parse_revisions(now, self.tag)}

    def check(self, before: dict[str, str]) -> dict[str, str]:
        """What holds at any moment: no revision has changed, and the standard tag is a whole revision."""
        now = self.tags()
        for name, digest in before.items():
            if name != self.tag:
                assert now.get(name) == digest, f"{name} has changed"
        assert now[self.tag] in self.revisions().values(), "the standard tag is no revision"
        manifest = self._get(f"manifests/{self.tag}").json()
        for blob in (manifest["config"], *manifest["layers"]):
            content = self._get(f"blobs/{blob['digest']}").content
            assert sha256(content) == blob["digest"], "the standard tag is not whole"
        return now

    def check_settled(self, ledger: Path, repository: str, *digests: str) -> None:
        """What holds in the end: a revision for each digest, in this order, no other, in the registry as in the ledger."""
        revisions = self.revisions()
        assert list(revisions.values()) == list(digests), revisions
        now = self.tags()
        assert now[self.tag] == digests[-1]
        others = [name for name in now if name != self.tag and not re.fullmatch(r".+-r\d+(\.claim-.+)?", name)]
        assert others == []
        lines = load_ledger(ledger).published(repository, self.tag)
        assert {line.revision: line.digest for line in lines} == revisions

    def _get(self, path: str) -> requests.Response:
        answer = self.session.get(f"http://{self.host}/v2/{self.name}/{path}", headers={"Accept": MANIFEST}, timeout=30)
        assert answer.status_code == 200, f"{path}: {answer.status_code}: {answer.text}"
        return answer


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Template:
    """One repository with one revision, and its ledger; copied on the disk, which is faster than to publish it anew."""

    registry: RealRegistry
    repository: str
    """Its name in the ledger: with the registry that the publisher was told."""
    name: str
    ledger: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def copy(self, host: str, ledger: Path) -> str:
        """A new repository like it, in the same organisation's stead; gives its name, and writes its ledger."""
        name = self.name.replace(TEMPLATE, f"t{next(self.numbers)}", 1)
        root = self.registry.storage / REPOSITORIES
        shutil.copytree(root / self.name, root / name)
        lines = [json.loads(line) for line in self.ledger.splitlines()]
        ledger.parent.mkdir(parents=True, exist_ok=True)
        ledger.write_text("".join(json.dumps(_named(line, f"{host}/{name}")) + "\n" for line in lines))
        return name

    def forget(self, name: str) -> None:
        """Remove a copy."""
        shutil.rmtree(self.registry.storage / REPOSITORIES / name)


def _named(line: dict[str, Any], repository: str) -> dict[str, Any]:
    return {**line, "repository": repository}

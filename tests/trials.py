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
from typing import TYPE_CHECKING

import requests

from scripts.release.ledger import load_ledger
from scripts.release.revision import parse_revisions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.registries import RealRegistry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CLAIM = re.compile(r".+-r\d+\.claim-.+")
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

    def names(self) -> list[str]:
        """All tags but the claims."""
        listed = self._get("tags/list").json()["tags"] or ()
        # A claim may be listed when it is gone: docker-registry deletes a tag after what it points to, if it gets there.
        return [tag for tag in listed if not CLAIM.fullmatch(tag)]

    def digest(self, tag: str) -> str:
        """The digest of a tag, hashed from what the registry gives for it."""
        return sha256(self._get(f"manifests/{tag}").content)

    def tags(self) -> dict[str, str]:
        """The digest of each tag but the claims."""
        return {tag: self.digest(tag) for tag in self.names()}

    def revisions(self, above: int = 0) -> dict[int, str]:
        """The digest of each revision above one."""
        numbers = (number for number in parse_revisions(self.names(), self.tag) if number > above)
        return {number: self.digest(f"{self.tag}-r{number}") for number in numbers}

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
        assert set(now) == {self.tag, *(f"{self.tag}-r{number}" for number in revisions)}
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
    name: str
    ledger: str
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def copy(self, host: str, ledger: Path) -> str:
        """A new repository like it, in an organisation of its own; gives its name, and writes its ledger.

        :param host: the registry as the publisher is told, which may be a proxy.
        """
        name = self.name.replace(TEMPLATE, f"t{next(self.numbers)}", 1)
        root = self.registry.storage / REPOSITORIES
        shutil.copytree(root / self.name, root / name)
        lines = [json.loads(line) | {"repository": f"{host}/{name}"} for line in self.ledger.splitlines()]
        ledger.parent.mkdir(parents=True, exist_ok=True)
        ledger.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return name

    def forget(self, name: str) -> None:
        """Remove a copy."""
        shutil.rmtree(self.registry.storage / REPOSITORIES / name)

"""A family of one image with a registry of its own, for tests of what is decided by what is published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.build import sources
from scripts.build.layout import Record as Build
from scripts.build.settings import Settings
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.against import plan_against
from scripts.release.attestations import attach_document, statement_document
from scripts.release.ledger import append_lines
from scripts.release.lines import Published
from scripts.release.place import load_history, place_of
from scripts.release.provenance import provenance_of
from scripts.release.statements import PROVENANCE, Statement, render_statement
from tests.conftest import DOCKERFILE
from tests.faulty_registry import connect
from tests.images import LAYERS, make_image, publish

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scripts.build.plan import Step
    from scripts.recipe.matrix import ImageSpec
    from scripts.release.registry import Manifest
    from tests.conftest import Docker, Repository
    from tests.faulty_registry import FaultyRegistry

NAME = "vessl-ai/app"
TIME = "2026-11-25T12:00:00Z"
SOURCE = "https://example.com/images"


@dataclass
class World:
    """A family of one image, its registry, and what of it is published."""

    repository: Repository
    registry: FaultyRegistry
    folder: Path

    def __post_init__(self) -> None:
        family = self.repository.family(dockerfile=DOCKERFILE + "COPY fam/locks/${ROW}/rest.txt /lock/\n")
        (family / "locks" / "1").mkdir(parents=True)
        self.lock = family / "locks" / "1" / "rest.txt"
        self.lock.write_text("one==1\n")
        (self.repository.root / "files" / "hello").chmod(0o755)

    @property
    def spec(self) -> ImageSpec:
        (spec,) = expand_all(load_families(self.repository.root))
        return spec

    def settings(self, **chosen: Any) -> Settings:
        root = self.repository.root
        found = {"root": root, "out": root / "out", "cache": self.folder, "registry": f"{self.registry.host}/vessl-ai"}
        return Settings(**{**found, "source": SOURCE, **chosen})

    def plan(self, **chosen: Any) -> Step:
        settings = self.settings(**chosen)
        with connect() as client:
            (step,) = plan_against([self.spec], settings, client.transport, load_history(settings))
        return step

    def said(self, **chosen: Any) -> tuple[str, str]:
        step = self.plan(**chosen)
        return str(step.action), step.why

    def publish(
        self, *, provenance: bool = True, line: bool = False, untrue: Mapping[str, str] | None = None
    ) -> Manifest:
        """Publish what a build of now would be, as r1.

        :param untrue: parts of the recipe that the provenance has otherwise.
        """
        step = self.plan()
        labels = {
            "ai.vessl.images.recipe": step.recipe.hash,
            "org.opencontainers.image.base.digest": step.base.digest,
        }
        image = publish(
            self.registry, make_image(self.folder / "image", *LAYERS, Labels=labels), "1", "1-r1", name=NAME
        )
        build = Build(
            id="app:1",
            digest=image.digest,
            size=1,
            recipe={**step.recipe.parts, **(untrue or {})},
            base=step.base.digest,
            stand_in=False,
            commit="",
            epoch=0,
        )
        place = place_of(self.spec, self.settings())
        if provenance:
            predicate = provenance_of(build, self.settings(), {})
            statement = Statement(subject=image.digest, predicate_type=PROVENANCE, predicate=predicate)
            document = statement_document(render_statement(statement, place.repository), PROVENANCE)
            with connect() as client:
                target = place.repository.digest(image.digest)
                assert attach_document(client.transport, target, image.descriptor, document, ())
        if line:
            append_lines(place.ledger, self.line(1, image.digest, recipe=step.recipe.hash, base=step.base.digest))
        return image

    def line(self, revision: int, digest: str, **more: Any) -> Published:
        fields = {"repository": f"{self.registry.host}/{NAME}", "tag": "1", "time": TIME, "reason": "New", "size": 1}
        return Published(**{**fields, "revision": revision, "digest": digest, **more})


def move_base(docker: Docker) -> None:
    docker.answer(registry={"python:3.11": "sha256:" + "cd" * 32})
    sources._digest_in_registry.cache_clear()


def lose_base(docker: Docker) -> None:
    docker.answer(registry={})
    sources._digest_in_registry.cache_clear()

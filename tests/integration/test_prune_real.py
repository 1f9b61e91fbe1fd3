"""`prune` on a real engine, with images of two layers and a name of its own: nothing else on the machine is touched."""

from __future__ import annotations

import datetime
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

from scripts.build.cache import drop_cached, find_cached, ours
from scripts.build.prune import Kind, apply_prune, plan_prune
from scripts.build.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

DOCKERFILE = """\
FROM scratch
LABEL ai.vessl.images.id=app:1
COPY scripts/image/{name} /file
CMD ["/file"]
"""


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout.strip()


def build(folder: Path, text: str, tag: str) -> None:
    (folder / "Dockerfile").write_text(text)
    docker("buildx", "build", "--quiet", "--provenance=false", "--load", "--tag", tag, str(folder))


@pytest.fixture
def name() -> str:
    return f"prune-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def registry(name: str, tmp_path: Path) -> Iterator[str]:
    """A registry that nobody asks, with one of our images in the engine and one that somebody built on it."""
    registry = f"localhost:9/{name}"
    (tmp_path / "scripts" / "image").mkdir(parents=True)
    (tmp_path / "scripts" / "image" / name).write_text(name)
    build(tmp_path, DOCKERFILE.format(name=name), f"{registry}/app:1")
    build(tmp_path, f"FROM {registry}/app:1\nCOPY scripts /{name}\n", f"{registry}/training:1")
    yield registry
    subprocess.run(
        ["docker", "image", "rm", "--force", f"{registry}/app:1", f"{registry}/training:1"],
        capture_output=True,
        check=False,
    )


def test_an_image_goes_when_no_container_uses_it_and_what_is_built_on_it_stays(registry: str, tmp_path: Path) -> None:
    settings = Settings(root=tmp_path, out=tmp_path / "out", cache=tmp_path, registry=registry)
    container = docker("create", f"{registry}/app:1")
    try:
        (item,) = plan_prune(["app:1"], settings, [Kind.IMAGE], every=True)
        assert (item.name, item.goes) == (f"{registry}/app:1", False)
        assert item.why.startswith("used by container ")
        assert list(apply_prune([item])) == []
    finally:
        docker("rm", container)
    (item,) = plan_prune(["app:1"], settings, [Kind.IMAGE], every=False)
    assert (item.goes, item.why) == (False, "the newest build")
    (item,) = apply_prune(plan_prune(["app:1"], settings, [Kind.IMAGE], every=True))
    assert (item.name, item.goes) == (f"{registry}/app:1", True)
    assert item.size > 0
    left = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={registry}/*")
    assert left == f"{registry}/training:1"


def test_a_step_of_buildkits_cache_is_known_by_what_made_it_and_goes_alone(registry: str, name: str) -> None:
    assert registry.endswith(name)
    now = datetime.datetime.now(datetime.UTC)
    before = find_cached("", now)
    mine = [record for record in ours(before) if name in record.description]
    assert len(mine) == 1
    (record,) = mine
    assert record.reclaimable
    assert record.used is None or abs(now - record.used) < datetime.timedelta(minutes=10)
    docker("image", "rm", f"{registry}/training:1", f"{registry}/app:1")
    (dependent,) = [item for item in find_cached("", now) if item.description.endswith(f"COPY scripts /{name}")]
    gone = drop_cached("", [record, dependent])
    assert {item.id for item in gone} == {record.id, dependent.id}
    assert record.id not in {item.id for item in find_cached("", now)}

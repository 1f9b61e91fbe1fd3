"""A checkout with as many images as is asked for, all of them built and published, and the registry that has them.

The recipes are this repository's own CUDA family: its Dockerfile, its files and one of its locks, row after row.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build.layout import RECORD, directory_of
from scripts.build.plan import plan_build
from scripts.build.settings import Settings
from scripts.build.sources import Base
from scripts.contents.inventory import MEDIA_TYPE, Subject, render_inventory
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.ledger import FILENAME, render_line
from scripts.release.lines import Published
from scripts.release.place import ledger_root, place_of
from scripts.release.revision import revision_tag
from tests import inventories
from tests.faulty_registry import FaultyRegistry
from tests.memory_registry import INDEX, Reply, Seen, sha256

if TYPE_CHECKING:
    from scripts.recipe.inputs import Recipe
    from scripts.recipe.matrix import ImageSpec

ROOT = Path(__file__).resolve().parents[2]
ORGANISATION = "vessl-ai"
LOCK = "12.1"
ROWS_OF_A_BASE = 10
CHANGED = 10
"""One image in so many was built with another base than there is now."""
STAGES = 2
MARK = f"sha256:{'0' * 64}"
SOURCE = "https://github.com/vessl-ai/images"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
MEGABYTES = 5_000
PACKAGES = 40
"""Of each kind, in the inventory of each revision; the real ones have about 200."""
ROW = """
[[image]]
version = "{version}"
base = "{base}"
python = "3.11"
cuda = "12.1"
packages = {{ torch = "2.3.1", torchvision = "0.18.1", torchaudio = "2.3.1" }}
"""


class Registry(FaultyRegistry):
    """One that keeps no requests, but their number, and finds referrers without looking at all it has."""

    def __init__(self) -> None:
        super().__init__()
        self.page = 1000
        self.asked = 0
        self.attached: dict[str, list[dict[str, object]]] = {}

    def answer(self, seen: Seen) -> Reply:
        self.asked += 1
        self.requests.clear()
        return super().answer(seen)

    def attach(self, digest: str, name: str, document: bytes) -> None:
        """Attach an inventory to a digest."""
        described = {"mediaType": MEDIA_TYPE, "digest": self.put_blob(document, name), "size": len(document)}
        subject = {"mediaType": MANIFEST, "digest": digest, "size": 1}
        raw = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": MEDIA_TYPE, "subject": subject}
        content = json.dumps({**raw, "layers": [described]}).encode()
        own = self.put(content, MANIFEST, name=name)
        entry = {"mediaType": MANIFEST, "digest": own, "size": len(content), "artifactType": MEDIA_TYPE}
        self.attached.setdefault(digest, []).append(entry)

    def _referrers(self, _: Seen, _name: str, digest: str) -> Reply:
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.attached.get(digest, [])}
        return Reply(200, {"Content-Type": INDEX}, json.dumps(index).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A checkout, and what its tasks are run with."""

    root: Path
    images: tuple[ImageSpec, ...]
    revisions: int
    registry: Registry
    environment: dict[str, str]

    def command(self, *words: str) -> list[str]:
        """A task, as a person calls it."""
        return [str(Path(sys.executable).with_name("invoke")), "--search-root", str(self.root), *words]


def make_world(folder: Path, registry: Registry, *, images: int, revisions: int) -> World:
    """A checkout below ``folder``, and all of it in the registry.

    :param images: an even number: each row has two stages.
    """
    root = folder / "checkout"
    rows = images // STAGES
    _write_family(root, rows)
    _commit(root)
    specs = expand_all(load_families(root))
    settings = Settings(
        root=root, out=root / "out", cache=folder / "cache", registry=f"{registry.host}/{ORGANISATION}", source=SOURCE
    )
    bases = {spec.base: sha256(spec.base.encode()) for spec in specs}
    for number, spec in enumerate(specs):
        digest = sha256(b"another base") if number % CHANGED == 0 else bases[spec.base]
        base = Base(reference=spec.base, digest=digest, context="")
        recipe = plan_build(spec, base, None, settings).recipe
        _note_build(spec, settings, _publish(registry, spec, settings, revisions, recipe.hash, base), recipe, base)
    return World(
        root=root,
        images=specs,
        revisions=revisions,
        registry=registry,
        environment=_environment(folder, settings, bases),
    )


def _write_family(root: Path, rows: int) -> None:
    shutil.copytree(
        ROOT / "scripts" / "image", root / "scripts" / "image", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("tasks.py", "invoke.yaml", ".dockerignore"):
        shutil.copy(ROOT / name, root)
    family = root / "cuda"
    family.mkdir()
    shutil.copy(ROOT / "cuda" / "Dockerfile", family)
    head = (ROOT / "cuda" / "versions.toml").read_text(encoding="utf-8").partition("\n[[image]]")[0]
    for line, other in (
        (f'default = "{LOCK}"', 'default = "12.1.0"'),
        ('tag = "{cuda}"', 'tag = "{version}"'),
        ('tag = "{torch}-cuda{cuda}"', 'tag = "{torch}-cuda{version}"'),
    ):
        assert line in head, line
        head = head.replace(line, other)
    for row in range(rows):
        base = f"nvcr.io/nvidia/cuda:12.1.{row // ROWS_OF_A_BASE}-cudnn8-devel-ubuntu22.04"
        head += ROW.format(version=f"12.1.{row}", base=base)
        shutil.copytree(ROOT / "cuda" / "locks" / LOCK, family / "locks" / f"12.1.{row}")
    (family / "versions.toml").write_text(head, encoding="utf-8")


def _commit(root: Path) -> None:
    (root / ".gitignore").write_text("out/\n", encoding="utf-8")
    identity = ("-c", "user.name=scale", "-c", "user.email=scale@example.org", "-c", "commit.gpgsign=false")
    for words in (("init", "--quiet"), ("add", "."), (*identity, "commit", "--quiet", "--message", "recipes")):
        subprocess.run(["git", *words], cwd=root, check=True, capture_output=True)


def _publish(registry: Registry, spec: ImageSpec, settings: Settings, revisions: int, recipe: str, base: Base) -> str:
    """Publish an image so often, with a line of the ledger each; the digest of its newest revision."""
    place = place_of(spec, settings)
    name = place.repository.name
    path = ledger_root(settings, place.repository) / spec.family / FILENAME
    path.parent.mkdir(parents=True, exist_ok=True)
    shared = registry.put_blob(b"the base", name)
    inventory = template(spec)
    digest = ""
    with path.open("a", encoding="utf-8") as ledger:
        for revision in range(1, revisions + 1):
            own = registry.put_blob(f"{spec.id} {revision}".encode(), name)
            blobs = [
                {"digest": own, "size": len(f"{spec.id} {revision}")},
                {"digest": shared, "size": len(b"the base")},
            ]
            content = json.dumps({"schemaVersion": 2, "config": blobs[0], "layers": blobs[1:]}).encode()
            tags = [revision_tag(spec.tag, revision), *([spec.tag] if revision == revisions else [])]
            digest = registry.put(content, MANIFEST, *tags, name=name)
            registry.attach(digest, name, inventory.replace(MARK, digest).replace("2.4.0", f"2.4.{revision}").encode())
            line = Published(
                repository=str(place.repository),
                tag=spec.tag,
                revision=revision,
                time="2026-11-25T12:00:00Z",
                reason="numpy 2.4.5 to 2.4.6",
                digest=digest,
                size=MEGABYTES * 1_000_000,
                recipe=recipe,
                base=base.digest,
                commit="1234567",
                replaces=revision - 1 or None,
            )
            ledger.write(f"{render_line(line)}\n")
    return digest


def template(spec: ImageSpec) -> str:
    """The inventory of a revision, before its digest and the version of numpy are put in."""
    names = [f"library-{number}" for number in range(PACKAGES)]
    made = inventories.inventory(
        image=Subject(digest=MARK, platform="linux/amd64", id=spec.id),
        apt=inventories.apt(*((name, "1.0") for name in names)),
        python=inventories.python(("numpy", "2.4.0", True), *((name, "1.0") for name in names)),
    )
    return render_inventory(made).decode()


def _note_build(spec: ImageSpec, settings: Settings, digest: str, recipe: Recipe, base: Base) -> None:
    """Leave what a build leaves that ``plan`` looks at."""
    directory = directory_of(settings.out, spec.id)
    (directory / "blobs" / "sha256").mkdir(parents=True)
    for name in ("oci-layout", "index.json"):
        (directory / name).touch()
    record = {"id": spec.id, "digest": digest, "size": MEGABYTES * 1_000_000, "recipe": recipe.parts}
    record |= {"base": base.digest, "stand_in": False, "commit": "1234567", "epoch": 0}
    (directory / RECORD).write_text(json.dumps(record), encoding="utf-8")


def _environment(folder: Path, settings: Settings, bases: dict[str, str]) -> dict[str, str]:
    """What the tasks see: a docker that only pretends, and whose registries have every base."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "docker"
    program.write_text(f"#!{sys.executable} -IS\n{(ROOT / 'tests' / 'data' / 'docker').read_text()}")
    program.chmod(0o755)
    (programs / "answers.json").write_text(json.dumps({"registry": bases, "complaint": "", "slow": 0}))
    return {
        "PATH": f"{programs}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "127.0.0.1",
        "INVOKE_IMAGES_CACHE": str(settings.cache),
        "INVOKE_IMAGES_REGISTRY": settings.registry,
    }

"""Images of a few files with contents as real ones have them, published with the real code, for tests of the catalogue."""

from __future__ import annotations

import json
import random
import re
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build.layout import RECORD as BUILD_FILE
from scripts.build.layout import Record as Build
from scripts.build.settings import Settings
from scripts.build.wanted import Evidence, Need
from scripts.recipe.family import load_family
from scripts.recipe.matrix import expand_all, load_families
from scripts.release.commands import connect, reader_of
from scripts.release.correct import yank
from scripts.release.place import place_of
from scripts.release.product import load_product
from scripts.release.push import Order, Pusher
from scripts.smoke.record import Outcome, hash_checks, save_record
from tests.conftest import DIGEST
from tests.images import DEBIAN, make_image, package, wheel
from tests.test_smoke_record import RECORD, RESULT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from scripts.recipe.matrix import ImageSpec
    from tests.images import Files

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = '"><img src=x onerror="document.title=1"><script>document.title=2'
DOCKERFILE = "ARG BASE_IMAGE\nFROM ${BASE_IMAGE} AS app\nARG PYTHON_VERSION=3.11\nARG ROW=1\n"
HEAD = """\
description = "{description}"
default = "{default}"
lock = false
[stages.app]
repository = "{repository}"
tag = "{{version}}"
"""
ROW = """
[[image]]
version = "{version}"
base = "{base}"
python = "{python}"
{more}
"""
FAMILIES = {
    "cpu": HEAD.format(description="Official Python images with CPU PyTorch", default="3.11", repository="python")
    + ROW.format(
        version="3.9",
        base="python:3.9-slim-bookworm",
        python="3.9",
        more='packages = { torch = "2.8.0" }\nstate = "frozen"\nreason = "Python 3.9 is past its end of life"\nsince = 2025-10-31',
    )
    + ROW.format(
        version="3.11", base="python:3.11-slim-bookworm", python="3.11", more='packages = { torch = "2.13.0", tensorflow-cpu = "2.21.0" }'
    )
    + ROW.format(version="3.13", base="python:3.13-slim-trixie", python="3.13", more='packages = { torch = "2.13.0" }'),
    "cuda": HEAD.format(description="NVIDIA CUDA and PyTorch on it", default="2.6.0-cuda12.4", repository="torch")
    + "[defaults]\ngpu = true\n"
    + "".join(
        ROW.format(
            version=f"{torch}-cuda{cuda}",
            base=f"nvcr.io/nvidia/cuda:{cuda}.1-cudnn-devel-ubuntu22.04",
            python="3.11",
            more=f'cuda = "{cuda}"\npackages = {{ torch = "{torch}" }}',
        )
        for torch, cuda in (("2.3.1", "12.1"), ("2.6.0", "12.4"), ("2.1.0", "11.8"))
    ),
    "old-ngc": HEAD.format(description="Framework images, kept for those who still run them", default="2.14.0-cuda12.3", repository="tensorflow")
    + '[defaults]\ngpu = true\nstate = "deprecated"\nreason = "No longer published"\nsince = 2024-07-01\n'
    + ROW.format(
        version="2.14.0-cuda12.3",
        base="nvcr.io/nvidia/tensorflow:23.12-tf2-py3",
        python="3.10",
        more='cuda = "12.3"\npackages = { tensorflow = "2.14.0" }',
    ),
}  # fmt: skip
RETIRED = "torch:2.1.0-cuda11.8"
"""Its row is removed when it is published; its words are hostile."""
APT = ("bash", "ca-certificates", "curl", "git", "libc6", "libssl3", "openssh-server", "perl-base", "tini", "zlib1g")


@dataclass(frozen=True)
class Shop:
    """A checkout whose images are published to one registry."""

    root: Path
    settings: Settings

    def families(self) -> tuple[object, ...]:
        return load_families(self.root)

    def spec(self, name: str) -> ImageSpec:
        return next(spec for spec in expand_all(load_families(self.root)) if spec.id == name)


def locked(row: str = "3.11") -> dict[str, str]:
    """Names and versions of a real lock."""
    text = "".join(path.read_text() for path in sorted((ROOT / "cpu" / "locks" / row).glob("*.txt")))
    return dict(re.findall(r"^([a-z0-9-]+)==([^ \\+]+)", text, re.MULTILINE))


def open_shop(root: Path, host: str) -> Shop:
    """A checkout with families, nothing of which is built or published yet."""
    for name, versions in FAMILIES.items():
        (root / name).mkdir(parents=True)
        (root / name / "versions.toml").write_text(versions)
        (root / name / "Dockerfile").write_text(DOCKERFILE)
    (root / "scripts" / "image").mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "image" / "requirements.txt", root / "scripts" / "image")
    shutil.copy(ROOT / "invoke.yaml", root)
    evidence = Evidence(sbom=Need.OFF, provenance=Need.OFF, signature=Need.OFF)
    settings = Settings(
        root=root, out=root / "out", cache=root / "cache", registry=f"{host}/vessl-ai",
        source="https://github.com/vessl-ai/images", evidence=evidence,
    )  # fmt: skip
    return Shop(root, settings)


def layers_of(spec: ImageSpec, changed: Mapping[str, str], apt: Mapping[str, str], seed: int) -> Sequence[Files]:
    """A system, a large library, and the packages of a real lock with some versions changed."""
    packages = {name: version for name, version in locked().items() if name != "tensorflow-cpu"}
    packages |= {**spec.packages, **changed}
    site = "opt/venv/lib/python3.11/site-packages"
    status = "".join(
        package(name, apt.get(name, "1.0-1"), arch="all" if name == "tini" and seed > 1 else "amd64").replace(
            "Description", f"Installed-Size: {300 + 90 * len(name)}\nDescription"
        )
        for name in APT
    )
    base: Files = {
        "etc/os-release": DEBIAN,
        "var/lib/dpkg/status": status,
        "usr/lib/base.so": _bulk(spec.base, 900_000),
    }
    cuda: Files = (
        {"usr/local/cuda/version.json": json.dumps({"cuda": {"version": f"{spec.cuda}.1"}})} if spec.cuda else {}
    )
    torch: Files = {
        **_weighed("torch", packages.pop("torch"), 240_000_000, asked=True),
        f"{site}/torch/lib.so": _bulk(spec.id, 2_400_000),
    }
    python = {
        "opt/venv/bin/python": ("symlink", "/usr/local/bin/python3"),
        "opt/venv/pyvenv.cfg": f"home = /usr/local/bin\nversion = {spec.python}.9\n",
    }
    small: Files = {f"{site}/more/{seed}": _bulk(f"{spec.id} {seed}", 120_000 + 30_000 * seed)}
    for name, version in packages.items():
        weight = 90_000 + 7_000_000 // (1 + len(small) // 3)
        small = {**small, **_weighed(name, version, weight, asked=name in {"numpy", "jupyterlab"})}
    return ({**base, **cuda}, {**torch, **python}, small)  # type: ignore[dict-item]


def _weighed(name: str, version: str, weight: int, *, asked: bool) -> dict[str, str]:
    """The files of a distribution that says what it weighs."""
    files = wheel(name, version, asked=asked)
    folder = next(iter(files)).rpartition("/")[0]
    return {**files, f"{folder}/RECORD": f"{name}/__init__.py,sha256=x,{weight}\n{name}/x.pyc,,\n"}


def _bulk(seed: str, size: int) -> str:
    """Text that is half as large when it is compressed, the same for the same seed."""
    return random.Random(seed).randbytes(size // 2).hex()  # noqa: S311 - no secret, only bytes


def build(shop: Shop, spec: ImageSpec, layers: Sequence[Files], **config: object) -> str:
    """What `build` and the smoke test leave; gives the digest."""
    folder = shop.settings.out / spec.id.replace(":", "_")
    shutil.rmtree(folder, ignore_errors=True)
    labels = {"org.opencontainers.image.title": spec.id}
    env = ["PATH=/opt/venv/bin:/usr/bin:/bin", "LANG=C.UTF-8"]
    usual = {"Labels": labels, "Env": env, "Cmd": ["start-workspace"], "ExposedPorts": {"8888/tcp": {}}}
    make_image(folder, *layers, **{**usual, **config})
    product = load_product(folder)
    digest = product.manifest.digest
    record = Build(id=spec.id, digest=digest, size=product.size, recipe={"a": digest}, base=DIGEST, stand_in=True, commit="1234567890ab", epoch=0)  # fmt: skip
    (folder / BUILD_FILE).write_text(json.dumps(asdict(record)))
    names = (
        "command.exit_code",
        "declared.python",
        "declared.torch",
        "files.owners",
        "pip.constraints",
        "workspace.starts",
    )
    skipped = replace(RESULT, check="gpu.runs", outcome=Outcome.SKIP, reason="there is no GPU here")
    results = (*(replace(RESULT, check=name) for name in names), skipped)
    facts = (
        {
            "gpu architectures of torch": {"sass": ["sm_80", "sm_90"], "ptx": ["compute_90"]},
            "lowest driver": "525.60.13",
        }
        if spec.gpu
        else {}
    )
    tested = replace(
        RECORD, id=spec.id, digest=digest, checks=hash_checks(shop.root, spec), stand_in=True, results=results,
        planned=tuple(item.check for item in results), facts=facts,
    )  # fmt: skip
    save_record(shop.settings.out, tested)
    return digest


@contextmanager
def publisher(shop: Shop, day: int, reason: str = "") -> Iterator[Pusher]:
    """The real publishing code, on a day of November 2026."""
    specs = expand_all(load_families(shop.root))
    with connect(_quiet) as transport:
        reader = reader_of(specs, shop.settings, transport, _quiet)
        order = Order(time=f"2026-11-{day:02}T08:00:00Z", reason=reason)
        yield Pusher(shop.settings, transport, order, _quiet, reader)


def fill(shop: Shop) -> None:
    """Publish: three revisions of most images, one of them yanked; one of each that nobody maintains any more."""
    for number, changed, apt in (
        (1, {}, {}),
        (2, {"numpy": "2.4.0", "requests": "2.33.0"}, {"openssh-server": "1.0-2"}),
        (
            3,
            {"numpy": "2.4.1", "requests": "2.33.0", "xgboost": "3.1.0"},
            {"openssh-server": "1.0-2", "libssl3": "1.0-3"},
        ),
    ):
        with publisher(shop, 3 * number) as pusher:
            for name in ("python:3.9", "python:3.11", "torch:2.3.1-cuda12.1", "torch:2.6.0-cuda12.4"):
                spec = shop.spec(name)
                build(shop, spec, layers_of(spec, changed, apt, number))
                pusher.push(spec)
    with publisher(shop, 5, HOSTILE) as pusher:
        for name in ("tensorflow:2.14.0-cuda12.3", RETIRED):
            spec = shop.spec(name)
            bad = {"evil-package": HOSTILE} if name == RETIRED else {"torch": "2.1.0"}
            labels = {"Labels": {HOSTILE: HOSTILE}, "Env": [f"EVIL={HOSTILE}"]} if name == RETIRED else {}
            build(shop, spec, layers_of(spec, {"torch": "2.1.0", **bad}, {}, 1), **labels)
            pusher.push(spec)
    place = place_of(shop.spec("torch:2.3.1-cuda12.1"), shop.settings)
    with connect(_quiet) as transport:
        yank(transport, place, 2, "numpy 2.4.0 reads past the end of arrays; use r3", "2026-11-10T08:00:00Z", _quiet)
    versions = shop.root / "cuda" / "versions.toml"
    head, *rows = versions.read_text().split("\n[[image]]\n")
    versions.write_text("\n[[image]]\n".join([head, *(row for row in rows if "2.1.0" not in row)]))
    load_family(shop.root / "cuda")


def _quiet(_: str) -> None:
    pass

"""``invoke inventory`` and ``invoke diff``, as people run them: every word that names an image, and every wrong one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scripts.contents.inventory import parse_inventory, render_inventory
from scripts.smoke.record import directory_of, save_record
from tests.faulty_registry import FaultyRegistry, connect
from tests.images import DEBIAN, REPOSITORY, Layout, make_image, package, publish, wheel
from tests.inventories import attach_inventory
from tests.test_inventory_read import take
from tests.test_smoke_record import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.contents.inventory import Inventory
    from tests.conftest import Docker, Tasks

OLD = (
    {"etc/os-release": DEBIAN, "var/lib/dpkg/status": package("libssl3", "3.0.1-1", "openssl")},
    wheel("numpy", "2.4.5"),
)
NEW = (OLD[0], wheel("numpy", "2.4.6"))
LABELS = {"ai.vessl.images.id": "app:1"}
VENV = {"Env": ["PATH=/opt/venv/bin"], "Labels": LABELS}
PYTHON = {"opt/venv/bin/python": ""}


@pytest.fixture
def registry() -> Iterator[FaultyRegistry]:
    with FaultyRegistry() as made:
        yield made


@pytest.fixture
def old(tmp_path: Path) -> Layout:
    return make_image(tmp_path / "old", *OLD, PYTHON, **VENV)


@pytest.fixture
def new(tmp_path: Path) -> Layout:
    return make_image(tmp_path / "new", *NEW, PYTHON, **VENV)


def built(tasks: Tasks, layout: Layout, image: str = "app:1") -> None:
    """Let a layout count as built."""
    folder = tasks.out / image.replace(":", "_")
    shutil.copytree(layout.folder, folder)
    digest = json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
    record = {
        "id": image,
        "digest": digest,
        "size": 1,
        "recipe": {},
        "base": "",
        "stand_in": False,
        "commit": "",
        "epoch": 0,
    }
    (folder / "build.json").write_text(json.dumps(record))


def shown(tasks: Tasks, *words: str, **environment: str) -> tuple[str, str]:
    done = tasks.run(*words, **environment)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def inventory(tasks: Tasks, word: str, *words: str, **environment: str) -> Inventory:
    out, _ = shown(tasks, "inventory", word, "--format", "json", *words, **environment)
    return parse_inventory(out.encode(), word)


def refused(tasks: Tasks, *words: str, code: int, **environment: str) -> str:
    done = tasks.run(*words, **environment)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.rstrip("\n")


def test_a_layout_is_found_from_where_the_caller_is(tasks: Tasks, old: Layout) -> None:
    out, err = shown(tasks, "inventory", "old", "--format", "json", IMAGES_CALLER=str(old.folder.parent))
    assert err == ""
    assert json.loads(out)["image"]["id"] == "app:1"
    assert out.encode() == render_inventory(parse_inventory(out.encode(), "x"))
    assert inventory(tasks, str(old.folder)) == parse_inventory(out.encode(), "x")


def test_the_table_says_what_it_is(tasks: Tasks, old: Layout) -> None:
    out, _ = shown(tasks, "inventory", str(old.folder))
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [" ".join(line.split()) for line in lines]
    for row in (
        "built as app:1", "system Debian GNU/Linux 12 (bookworm)", "python unknown (/opt/venv/bin/python)",
        "packages /opt/venv: 1 of Python unknown", "entrypoint none", "user root", "numpy 2.4.5",
        "libssl3 3.0.1-1 amd64", "0.0 0.0 numpy",
    ):  # fmt: skip
        assert row in rows


def test_what_was_built_here_goes_by_its_id(tasks: Tasks, old: Layout) -> None:
    built(tasks, old)
    out, err = shown(tasks, "inventory", "app:1", "--format", "json")
    assert err == "app:1: as it was built here\n"
    assert json.loads(out)["image"]["digest"] == take(old.folder).image.digest


def test_the_recipe_of_our_own_images_says_what_was_asked_for(tasks: Tasks, old: Layout) -> None:
    place = inventory(tasks, str(old.folder)).python
    assert (place.asked_by, [item.direct for item in place.environments[0].distributions]) == ("recipe", [False])
    (tasks.repository.root / "scripts" / "image" / "requirements.txt").write_text("numpy>=2\n")
    place = inventory(tasks, str(old.folder)).python
    assert [item.direct for item in place.environments[0].distributions] == [True]


def test_a_smoke_test_of_the_digest_says_what_only_it_can_know(tasks: Tasks, old: Layout) -> None:
    digest = take(old.folder).image.digest
    facts = {"gpu architectures of torch": {"sass": ["sm_90"], "ptx": []}, "lowest driver": "525.60.13"}
    save_record(tasks.out, replace(RECORD, digest=digest, facts=facts))
    assert inventory(tasks, str(old.folder)).gpu.lowest_driver == "525.60.13"
    other = "sha256:" + "0" * 64
    save_record(tasks.out, replace(RECORD, digest=other, facts=facts))
    directory_of(tasks.out, digest).joinpath("record.json").write_bytes(
        directory_of(tasks.out, other).joinpath("record.json").read_bytes()
    )
    assert inventory(tasks, str(old.folder)).gpu.lowest_driver is None


@pytest.mark.parametrize(
    "word", ["app:1-r1", "app:1", "app@{digest}", "{host}/vessl-ai/app:1-r1", "{host}/vessl-ai/app@{digest}"]
)
def test_what_is_published_goes_by_tag_revision_and_digest(
    tasks: Tasks, registry: FaultyRegistry, old: Layout, word: str
) -> None:
    image = publish(registry, old, "1", "1-r1", name="vessl-ai/app")
    name = word.format(host=registry.host, digest=image.digest)
    found = inventory(tasks, name, "--registry", f"{registry.host}/vessl-ai")
    assert found.image.digest == image.digest


def test_an_attached_inventory_is_taken_unless_the_layers_are_to_be_read(
    tasks: Tasks, registry: FaultyRegistry, old: Layout
) -> None:
    image = publish(registry, old, "1")
    # So that it can be told from what is read of the layers.
    content = render_inventory(take(old.folder)).replace(b"2.4.5", b"9.9.9")
    with connect() as client:
        attach_inventory(client.transport, registry.repository(REPOSITORY), image, content)
    word = f"{registry.host}/{REPOSITORY}:1"
    assert inventory(tasks, word).python.environments[0].distributions[0].version == "9.9.9"
    assert inventory(tasks, word, "--reread").python.environments[0].distributions[0].version == "2.4.5"


def test_an_inventory_that_was_tampered_with_is_told_of_and_the_layers_are_read(
    tasks: Tasks, registry: FaultyRegistry, old: Layout, new: Layout
) -> None:
    image, other = publish(registry, old, "1"), publish(registry, new, "2")
    repository = registry.repository(REPOSITORY)
    with connect() as client:
        attach_inventory(client.transport, repository, other, render_inventory(take(new.folder)))
    for own, (kind, manifest) in list(registry.manifests[REPOSITORY].items()):
        if b"subject" in manifest:
            registry.manifests[REPOSITORY][own] = (kind, manifest)
            forged = manifest.replace(other.digest.encode(), image.digest.encode())
            registry.put(forged, kind, name=REPOSITORY)
    out, err = shown(tasks, "inventory", f"{repository}:1", "--format", "json")
    assert json.loads(out)["image"]["digest"] == image.digest
    assert f"it is the inventory of {other.digest}, not of {image.digest}; reading the layers" in err


def test_a_diff_of_two_layouts(tasks: Tasks, old: Layout, new: Layout) -> None:
    out, err = shown(tasks, "diff", str(old.folder), str(new.folder))
    assert out.splitlines()[0] == "numpy 2.4.5 to 2.4.6."
    assert err == ""
    raw = json.loads(shown(tasks, "diff", str(old.folder), str(new.folder), "--format", "json")[0])
    assert (raw["sentence"], raw["layers"]["shared"]) == ("numpy 2.4.5 to 2.4.6", 2)
    markdown = shown(tasks, "diff", str(old.folder), str(new.folder), "--format", "markdown")[0]
    assert "### Python packages\n\n| what | before | now |\n" in markdown


def test_a_diff_of_an_inventory_and_what_is_published(
    tasks: Tasks, registry: FaultyRegistry, old: Layout, new: Layout, tmp_path: Path
) -> None:
    publish(registry, new, "1")
    (tmp_path / "old.json").write_bytes(render_inventory(take(old.folder)))
    out, _ = shown(tasks, "diff", str(tmp_path / "old.json"), f"{registry.host}/{REPOSITORY}:1")
    assert out.splitlines()[0] == "numpy 2.4.5 to 2.4.6."


def test_a_layer_that_both_images_have_is_read_once(
    tasks: Tasks, registry: FaultyRegistry, old: Layout, new: Layout
) -> None:
    publish(registry, old, "1")
    publish(registry, new, "2")
    shown(tasks, "diff", f"{registry.host}/{REPOSITORY}:1", f"{registry.host}/{REPOSITORY}:2")
    layers = {layer.digest for layout in (old, new) for layer in take(layout.folder).layers}
    fetched = [seen.path.rpartition("/")[2] for seen in registry.requests if "/blobs/" in seen.path]
    assert sorted(digest for digest in fetched if digest in layers) == sorted(layers)


def test_the_engine_has_to_have_what_is_said_to_be_there(tasks: Tasks, docker: Docker) -> None:
    assert refused(tasks, "inventory", "engine:other:1", code=2) == "other:1: the engine has no such image"
    docker.answer(images={"other:1": "sha256:1"})
    said = refused(tasks, "inventory", "other:1", code=3)
    assert said.startswith("other:1: as the engine has it\nother:1: the engine cannot save the image: ")


@pytest.mark.parametrize(
    ("word", "code", "sentence"),
    [
        ("./nowhere", 2, "./nowhere: there is no such file or directory"),
        ("ap", 2, "ap: no such file or directory, and no image: expected a layout, an inventory, or REPO:TAG"),
        ("app", 2, "quay.io/vessl-ai/app: expected REPOSITORY:TAG, got no tag"),
        ("fam", 3, "fam: not an OCI layout: it has no file oci-layout"),
        ("invoke.yaml", 2, "invoke.yaml: not an inventory: not JSON"),
        ("x:1@sha256:12", 2, "digest: expected sha256: and 64 hexadecimal digits in lower case"),
        ("{host}/x:1", 4, "check the name, and that it was pushed"),
        ("{host}/X:1", 2, "repository: expected lower-case letters and digits"),
    ],
)
def test_a_word_that_names_nothing_is_said(
    tasks: Tasks, registry: FaultyRegistry, word: str, code: int, sentence: str
) -> None:
    root = str(tasks.repository.root)
    name = word.format(host=registry.host)
    assert sentence in refused(tasks, "inventory", name, code=code, IMAGES_CALLER=root)
    assert sentence in refused(tasks, "diff", name, name, code=code, IMAGES_CALLER=root)


def test_a_platform_that_is_not_there_is_said(tasks: Tasks, old: Layout) -> None:
    said = refused(tasks, "inventory", str(old.folder), "--platform", "linux/arm64", code=2)
    assert said == f"{old.folder}: is of platform linux/amd64, not linux/arm64"


def test_the_platform_of_what_is_not_read_counts_too(tasks: Tasks, old: Layout, tmp_path: Path) -> None:
    (tmp_path / "old.json").write_bytes(render_inventory(take(old.folder)))
    said = refused(tasks, "inventory", str(tmp_path / "old.json"), "--platform", "linux/arm64", code=2)
    assert said == f"{tmp_path / 'old.json'}: is of platform linux/amd64, not linux/arm64"


def test_formats(tasks: Tasks, old: Layout) -> None:
    path = str(old.folder)
    assert refused(tasks, "inventory", path, "--format", "markdown", code=2) == (
        '--format: expected table or json, got "markdown"'
    )
    assert refused(tasks, "diff", path, path, "--format", "x", code=2) == (
        '--format: expected table or json or markdown, got "x"'
    )


def test_a_layer_that_is_cut_off_is_said_with_its_place(tasks: Tasks, old: Layout, new: Layout) -> None:
    for path in (new.folder / "blobs" / "sha256").iterdir():
        content = path.read_bytes()
        if not content.startswith(b"{"):
            path.write_bytes(content[: len(content) // 2])
    done = tasks.run("diff", str(old.folder), str(new.folder))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith(f"{new.folder}: sha256:")
    assert "a layer is damaged" in done.stderr

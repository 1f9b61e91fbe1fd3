"""What `prune` takes and what it leaves: other projects' things, what is in use, and the newest build of each row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.layout import directory_of
from scripts.build.prune import Item, Kind, apply_prune, freed, plan_prune
from scripts.build.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Tasks

KNOWN = ("app:1", "other:1")
# An engine that only has what a file says, and that takes names away as the real one does.
ENGINE = """\
import json, pathlib, sys
here = pathlib.Path(__file__).parent
state = json.loads((here / "state.json").read_text())
words = sys.argv[1:]
with (here / "calls").open("a") as file:
    print(*words, file=file)
if words[:2] == ["image", "ls"]:
    assert words[-1] == "label=ai.vessl.images.id", words
    print(*[item["Id"] for item in state["images"] if "ai.vessl.images.id" in item["Config"]["Labels"]], sep="\\n")
elif words[:2] == ["container", "ls"]:
    print(*[item["Id"] for item in state["containers"]], sep="\\n")
elif words[1] == "inspect":
    print(json.dumps([item for item in state[words[0] + "s"] if item["Id"] in words[2:]]))
elif words[:2] == ["image", "rm"]:
    if words[2] in state["refuse"]:
        sys.exit("Error response from daemon: conflict: unable to delete")
elif words[:2] == ["buildx", "du"]:
    print(state["usage"])
elif words[:2] == ["buildx", "prune"]:
    print(words[4].removeprefix("id="), "1B")
else:
    sys.exit(f"unexpected {words}")
"""


def image(digest: str, *names: str, of: str = "app:1", size: int = 100) -> dict[str, Any]:
    return {"Id": digest, "RepoTags": list(names), "Size": size, "Config": {"Labels": {"ai.vessl.images.id": of}}}


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "engine"
    folder.mkdir()
    program = folder / "docker"
    program.write_text(f"#!{sys.executable} -IS\n{ENGINE}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.defpath}")
    set_state(folder)
    return folder


def set_state(engine: Path, **state: Any) -> None:
    (engine / "state.json").write_text(json.dumps({"images": [], "containers": [], "refuse": [], "usage": "", **state}))


def settings(tmp_path: Path) -> Settings:
    return Settings(root=tmp_path, out=tmp_path / "out", cache=tmp_path, registry="quay.io/vessl-ai")


def layout(out: Path, name: str, **blobs: str) -> Path:
    folder = directory_of(out, name)
    (folder / "blobs").mkdir(parents=True)
    (folder / "build.json").write_text(json.dumps({"id": name, "digest": f"sha256:{name}"}))
    for blob, content in blobs.items():
        (folder / "blobs" / blob).write_text(content)
    return folder


def said(items: tuple[Item, ...]) -> dict[str, tuple[bool, str]]:
    return {item.name: (item.goes, item.why) for item in items}


def test_the_newest_layout_of_a_row_stays_unless_all_is_to_go(tmp_path: Path, engine: Path) -> None:
    out = tmp_path / "out"
    for name in (*KNOWN, "gone:1"):
        layout(out, name, blob="x" * 1000)
    for name in ("ledgers/host/fam", "smoke/sha256-1", "bench", "sbom"):
        (out / name).mkdir(parents=True)
    found = said(plan_prune(KNOWN, settings(tmp_path), [Kind.LAYOUT], every=False))
    assert found == {
        "app:1": (False, "the newest build of its row"),
        "other:1": (False, "the newest build of its row"),
        "gone:1": (True, "no row makes it any more"),
    }
    assert list(apply_prune(plan_prune(KNOWN, settings(tmp_path), [Kind.LAYOUT], every=True)))
    assert sorted(path.name for path in out.iterdir()) == ["bench", "ledgers", "sbom", "smoke"]
    assert not (engine / "calls").exists()


def test_what_a_killed_build_left_goes_and_what_a_living_one_writes_stays(tmp_path: Path, engine: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        pass
    for name in (f".app_1.{dead.pid}", f".app_1.{dead.pid}.old", f".app_1.{os.getpid()}", ".else", ".a.b"):
        (out / name).mkdir(parents=True)
    (out / f".file.{dead.pid}").touch()
    items = plan_prune(KNOWN, settings(tmp_path), [Kind.LAYOUT], every=True)
    assert sorted(item.name for item in items if item.goes) == [f".app_1.{dead.pid}", f".app_1.{dead.pid}.old"]
    assert not (engine / "calls").exists()


def test_a_blob_that_another_layout_keeps_frees_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    kept, gone, more = layout(out, "app:1", one="x" * 5000), layout(out, "gone:1"), layout(out, "gone:2")
    for folder in (gone, more):
        (folder / "blobs" / "one").hardlink_to(kept / "blobs" / "one")
    (gone / "blobs" / "two").write_text("x" * 3000)
    (more / "blobs" / "two").hardlink_to(gone / "blobs" / "two")
    records = sum((folder / "build.json").stat().st_size for folder in (gone, more))
    assert freed(plan_prune(KNOWN, settings(tmp_path), [Kind.LAYOUT], every=False)) == 3000 + records
    total = 3000 + 5000 + records + (kept / "build.json").stat().st_size
    assert freed(plan_prune(KNOWN, settings(tmp_path), [Kind.LAYOUT], every=True)) == total


def test_only_images_of_this_project_are_looked_at(tmp_path: Path, engine: Path) -> None:
    (tmp_path / "out" / "smoke" / "sha256-3").mkdir(parents=True)
    layout(tmp_path / "out", "app:1")
    set_state(
        engine,
        images=[
            image("sha256:app:1", "quay.io/vessl-ai/app:1"),
            image("sha256:1", "quay.io/vessl-ai/app:1-r3", "quay.io/vessl-ai/app:1-r2"),
            image("sha256:2", "somebody/app:1"),
            image("sha256:3"),
            image("sha256:4"),
            image("sha256:5", "quay.io/vessl-ai/old:1", of="old:1"),
            image("sha256:6", "quay.io/vessl-ai-else/app:1"),
            image("sha256:8", "quay.io/vessl-ai/training:1"),
            image("sha256:9", "quay.io/vessl-ai/app:1-mine"),
            {"Id": "sha256:7", "RepoTags": ["quay.io/vessl-ai/app:9"], "Config": {"Labels": {}}},
        ],
    )
    assert said(plan_prune(KNOWN, settings(tmp_path), [Kind.IMAGE], every=False)) == {
        "quay.io/vessl-ai/app:1": (False, "the newest build"),
        "quay.io/vessl-ai/app:1-r3": (False, "the newest revision here"),
        "quay.io/vessl-ai/app:1-r2": (True, "r3 is newer"),
        "sha256:3": (True, "has no name any more"),
        "quay.io/vessl-ai/old:1": (True, "no row makes it any more"),
    }


def test_an_older_build_under_the_standard_tag_goes(tmp_path: Path, engine: Path) -> None:
    layout(tmp_path / "out", "app:1")
    set_state(
        engine,
        images=[
            image("sha256:1", "quay.io/vessl-ai/app:1"),
            image("sha256:2", "quay.io/vessl-ai/other:1", of="other:1"),
        ],
    )
    assert said(plan_prune(KNOWN, settings(tmp_path), [Kind.IMAGE], every=False)) == {
        "quay.io/vessl-ai/app:1": (True, "a newer build is in out/"),
        "quay.io/vessl-ai/other:1": (False, "the newest build"),
    }


def test_what_a_container_uses_stays_even_where_all_is_to_go(tmp_path: Path, engine: Path) -> None:
    set_state(
        engine,
        images=[
            image("sha256:1", "quay.io/vessl-ai/app:1"),
            image("sha256:2", "quay.io/vessl-ai/other:1", of="other:1"),
        ],
        containers=[{"Id": "c1", "Image": "sha256:1", "Name": "/training"}],
    )
    items = plan_prune(KNOWN, settings(tmp_path), [Kind.IMAGE], every=True)
    assert said(items) == {
        "quay.io/vessl-ai/app:1": (False, "used by container training"),
        "quay.io/vessl-ai/other:1": (True, "asked for by --all"),
    }
    list(apply_prune(items))
    assert [line for line in (engine / "calls").read_text().splitlines() if " rm " in line] == [
        "image rm quay.io/vessl-ai/other:1"
    ]


def test_the_bytes_of_an_image_go_with_its_last_name_and_not_with_somebody_elses(tmp_path: Path, engine: Path) -> None:
    set_state(
        engine,
        images=[
            image("sha256:1", "quay.io/vessl-ai/old:1", "quay.io/vessl-ai/old:1-r2", of="old:1", size=70),
            image("sha256:2", "quay.io/vessl-ai/old:3", "mine:1", of="old:3", size=9000),
            image(
                "sha256:3", "quay.io/vessl-ai/app:1", "quay.io/vessl-ai/app:1-r3", "quay.io/vessl-ai/app:1-r2", size=800
            ),
        ],
    )
    assert freed(plan_prune(KNOWN, settings(tmp_path), [Kind.IMAGE], every=False)) == 70


def test_an_image_that_the_engine_keeps_is_said(tmp_path: Path, engine: Path) -> None:
    set_state(
        engine, images=[image("sha256:1", "quay.io/vessl-ai/old:1", of="old:1")], refuse=["quay.io/vessl-ai/old:1"]
    )
    (item,) = apply_prune(plan_prune(KNOWN, settings(tmp_path), [Kind.IMAGE], every=False))
    assert (item.goes, item.size) == (False, 0)
    assert item.why == "Error response from daemon: conflict: unable to delete"


def test_steps_that_were_used_lately_stay(tmp_path: Path, engine: Path) -> None:
    steps = [
        ("old", "true", "2 weeks ago", "RUN /build/install-python x"),
        ("new", "true", "2 hours ago", "RUN /build/install-python x"),
        ("busy", "false", "2 weeks ago", "RUN /build/install-python x"),
        ("not ours", "true", "2 weeks ago", "RUN make"),
    ]
    usage = "\n\n".join(
        f"ID:\t{name}\nReclaimable:\t{free}\nSize:\t1GB\nDescription:\t{words}\nLast used:\t{used}"
        for name, free, used, words in steps
    )
    set_state(engine, usage=usage)
    items = plan_prune(KNOWN, settings(tmp_path), [Kind.CACHE], every=False)
    assert said(items) == {
        "BuildKit: 1 steps": (True, "not used for 7 days"),
        "BuildKit: 2 steps": (False, "used within 7 days, or in use"),
    }
    assert freed(items) == freed(tuple(apply_prune(items))) == 10**9
    assert [line for line in (engine / "calls").read_text().splitlines() if "prune" in line] == [
        "buildx prune --force --filter id=old"
    ]
    assert freed(plan_prune(KNOWN, settings(tmp_path), [Kind.CACHE], every=True)) == 2 * 10**9


def test_without_an_engine_only_layouts_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    layout(tmp_path / "out", "gone:1")
    said: list[str] = []
    items = plan_prune(KNOWN, settings(tmp_path), Kind, every=True, say=said.append)
    assert [item.kind for item in items] == [Kind.LAYOUT]
    why = "not looked at: there is no docker command on PATH"
    assert said == [f"warning: images in the engine: {why}", f"warning: cache of the current builder: {why}"]


def test_what_cannot_be_asked_is_said_and_does_not_read_as_nothing(tasks: Tasks, engine: Path) -> None:
    (engine / "docker").write_text("#!/bin/sh\necho 'no such builder' >&2\nexit 1\n")
    environment = {"PATH": f"{engine}{os.pathsep}{os.defpath}"}
    done = tasks.run("prune", "--dry-run", "--builder", "a,b", "--format", "json", **environment)
    assert (done.returncode, json.loads(done.stdout)) == (0, [])
    assert done.stderr.splitlines() == [
        "warning: images in the engine: not looked at: no such builder",
        "warning: cache of builder a: not looked at: no such builder",
        "warning: cache of builder b: not looked at: no such builder",
        "would free up to 0.0 GB",
    ]


def test_the_task_shows_first_and_removes_then(tasks: Tasks, engine: Path) -> None:
    set_state(engine, images=[image("sha256:1", "quay.io/vessl-ai/old:1", of="old:1", size=2_000_000_000)])
    environment = {"PATH": f"{engine}{os.pathsep}{os.defpath}"}
    folder = layout(tasks.out, "gone:1")
    done = tasks.run("prune", "--dry-run", "--format", "json", **environment)
    assert [(row["name"], row["action"]) for row in json.loads(done.stdout)] == [
        ("gone:1", "would go"),
        ("quay.io/vessl-ai/old:1", "would go"),
    ]
    assert done.stderr == "would free up to 2.0 GB\n"
    assert folder.exists()
    done = tasks.run("prune", "--what", "layout", **environment)
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert (done.returncode, folder.exists(), "old:1" in done.stdout) == (0, False, False)
    done = tasks.run("prune", "--what", "layouts")
    assert (done.returncode, done.stderr) == (2, '--what: no "layouts", did you mean "layout"?\n')

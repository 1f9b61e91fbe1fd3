"""BuildKit's cache: what it prints, which of it is ours, and that nothing else is removed."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING

import pytest

from scripts.build.cache import OURS, Cached, drop_cached, find_cached, ours, parse_ago, parse_size, parse_usage
from tests.workflow_runs import put_program

from .conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime.datetime(2026, 11, 26, 12, tzinfo=datetime.UTC)
USAGE = """\
ID:\t\tk1
Parents:\tp1
Created at:\t2026-11-20 04:39:00.1 +0000 UTC
Mutable:\tfalse
Reclaimable:\ttrue
Shared:\t\tfalse
Size:\t\t1.194GB
Description:\t[science 3/3] RUN --mount=type=bind,from=uv,source=/uv,target=/usr/local/bin/uv /build/install-python science
Usage count:\t2
Last used:\t2 weeks ago
Type:\t\tregular

ID:\t\tk2
Mutable:\tfalse
Reclaimable:\tfalse
Size:\t\t12.3kB
Description:\tpulled from docker.io/library/python:3.11-slim-bookworm@sha256:ab
Last used:\tAbout an hour ago

Reclaimable:\t1.2GB
Total:\t\t1.3GB
"""


def record(description: str, name: str = "k") -> Cached:
    return Cached(id=name, description=description, size=1, reclaimable=True, used=None)


def test_the_paragraphs_of_buildx_are_read() -> None:
    first, second = parse_usage(USAGE, NOW)
    assert (first.id, first.size, first.reclaimable) == ("k1", 1_194_000_000, True)
    assert first.used == NOW - datetime.timedelta(weeks=2)
    assert (second.id, second.size, second.reclaimable) == ("k2", 12_300, False)
    assert ours((first, second)) == (first,)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1.194GB", 1_194_000_000), ("0B", 0), ("12.3kB", 12_300), ("5MB*", 5_000_000), ("?", 0), ("", 0)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2 weeks ago", 1_209_600),
        ("About an hour ago", 3600),
        ("Less than a second ago", 1),
        ("3 days ago", 259_200),
        ("2026-11-26 11:00:00.123 +0000 UTC", 3600),
        ("", None),
        ("some day", None),
    ],
)
def test_times(text: str, seconds: int | None) -> None:
    found = parse_ago(text, NOW)
    assert found == (None if seconds is None else NOW - datetime.timedelta(seconds=seconds))


@pytest.mark.parametrize("family", ["cpu", "cuda", "deprecated-ngc"])
def test_every_step_of_our_dockerfiles_is_known_as_ours(family: str) -> None:
    text = (ROOT / family / "Dockerfile").read_text().replace("\\\n", " ").replace("${ROW}", "12.1")
    steps = [re.sub(r"\s+", " ", line) for line in text.splitlines() if line.startswith(("RUN ", "COPY "))]
    assert len(steps) > 5
    assert [step for step in steps if not OURS.search(f"[stage 2/3] {step}")] == []


@pytest.mark.parametrize(
    "description",
    [
        "[1/2] FROM docker.io/library/python:3.11-slim-bookworm",
        "pulled from nvcr.io/nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04",
        "local source for context",
        "[app 2/4] COPY . /app",
        "[app 3/4] RUN pip install -r requirements.txt",
        "[app 3/4] RUN /build/install-pythonic thing",
        "[app 4/4] COPY --from=build /out /usr/local",
        "[app 4/4] COPY locks/a.txt /lock/a",
        "mount / from exec /bin/sh -c make",
        'cached mount /var/cache/apt from exec /bin/sh -c /build/make-system curl with id "//var/cache/apt"',
        "",
    ],
)
def test_the_steps_of_others_are_not_ours(description: str) -> None:
    assert ours([record(description)]) == ()


def test_a_record_goes_only_after_those_that_are_made_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_program(
        tmp_path,
        "docker",
        f'echo "$*" >>{tmp_path}/calls\ncase $5 in id=child) touch {tmp_path}/free; echo "child 1B" ;;\n'
        f'id=parent) [ ! -e {tmp_path}/free ] || echo "parent 1B" ;; esac',
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    records = [record("x", name) for name in ("parent", "child", "busy")]
    assert [item.id for item in drop_cached("far", records)] == ["child", "parent"]
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "buildx prune --force --filter id=parent --builder far"
    assert len(calls) == 3 + 2 + 1


def test_a_builder_that_cannot_be_asked_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_cached("", NOW) == ()
    put_program(tmp_path, "docker", "exit 1")
    assert find_cached("", NOW) == ()

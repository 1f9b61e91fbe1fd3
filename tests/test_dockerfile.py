"""Dockerfiles as far as they are read: stages, arguments, and what a stage can see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from scripts.recipe.dockerfile import Dockerfile, DockerfileError, load_dockerfile, parse_dockerfile

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
# syntax is not used; comments are skipped
ARG BASE=python:3.11
ARG UV_VERSION=0.1

FROM ghcr.io/example/uv:${UV_VERSION} AS uv

FROM $BASE as system
ARG ROW="1"
ARG EMPTY
RUN --mount=type=bind,from=uv,source=/uv,target=/bin/uv \\
    --mount=type=bind,source=scripts/system,target=/build \\
    --mount=type=cache,target=/var/cache \\
    --mount=type=secret,id=ca-bundle \\
    /build/make $HOME

FROM --platform=linux/amd64 system AS torch
COPY --link --chown=0:0 fam/locks/${ROW}/torch.txt a-file /lock/
COPY other /other

FROM scratch AS unused
COPY unused /

FROM busybox:1
COPY --from=torch /lock /lock
COPY --from=nginx:1 /etc /etc
"""


@pytest.fixture
def dockerfile() -> Dockerfile:
    return parse_dockerfile(TEXT)


def test_stages_have_their_names_and_bases_and_a_number_without_a_name(dockerfile: Dockerfile) -> None:
    assert [(stage.name, stage.base) for stage in dockerfile.stages] == [
        ("uv", "ghcr.io/example/uv:${UV_VERSION}"),
        ("system", "$BASE"),
        ("torch", "system"),
        ("unused", "scratch"),
        ("4", "busybox:1"),
    ]


def test_a_stage_is_found_by_its_name_or_not_at_all(dockerfile: Dockerfile) -> None:
    found = dockerfile.stage("torch")
    assert found is not None
    assert found.base == "system"
    assert dockerfile.stage("nothing") is None


def test_arguments_have_their_defaults_without_quotes_or_none(dockerfile: Dockerfile) -> None:
    assert dockerfile.args == {"BASE": "python:3.11", "UV_VERSION": "0.1", "ROW": "1", "EMPTY": None}


def test_one_instruction_can_declare_several_arguments() -> None:
    found = parse_dockerfile('ARG A=1 B="two words" C\nFROM scratch\nARG A\n').args
    assert found == {"A": "1", "B": "two words", "C": None}


def test_an_argument_that_is_declared_again_without_a_default_keeps_the_default() -> None:
    assert parse_dockerfile("ARG A=1\nFROM scratch\nARG A\n").args == {"A": "1"}
    assert parse_dockerfile("ARG A=1\nFROM scratch\nARG A=\n").args == {"A": ""}


def test_flags_of_an_instruction_are_told_from_its_value(dockerfile: Dockerfile) -> None:
    copy = dockerfile.stages[2].instructions[0]
    assert (copy.name, copy.flags) == ("COPY", (("link", ""), ("chown", "0:0")))
    assert copy.value == "fam/locks/${ROW}/torch.txt a-file /lock/"
    assert (copy.flag("chown"), copy.flag("from")) == ("0:0", None)


def test_mounts_of_a_run_are_read(dockerfile: Dockerfile) -> None:
    run = dockerfile.stages[1].instructions[2]
    assert [mount["type"] for mount in run.mounts] == ["bind", "bind", "cache", "secret"]
    assert run.mounts[0]["from"] == "uv"


def test_a_stage_names_the_paths_of_the_context_that_it_sees(dockerfile: Dockerfile) -> None:
    assert dockerfile.stages[1].context_paths == ("scripts/system",)
    assert dockerfile.stages[2].context_paths == ("fam/locks/${ROW}/torch.txt", "a-file", "other")
    assert dockerfile.stages[4].context_paths == ()


def test_a_bind_mount_of_the_whole_context_is_seen_as_such() -> None:
    found = parse_dockerfile("FROM a\nRUN --mount=target=/src x\nRUN --mount=src=b,target=/b x\n")
    assert found.stages[0].context_paths == (".", "b")


def test_a_build_reaches_the_stages_that_it_is_made_from_and_no_others(dockerfile: Dockerfile) -> None:
    def names(stage: str) -> list[str]:
        return [item.name for item in dockerfile.reachable(stage, {})]

    assert names("torch") == ["uv", "system", "torch"]
    assert names("4") == ["uv", "system", "torch", "4"]
    assert names("unused") == ["unused"]
    assert names("nothing") == []


def test_a_stage_chosen_by_an_argument_is_reached() -> None:
    found = parse_dockerfile("ARG KIND=a\nFROM x AS a\nFROM x AS b\nFROM ${KIND} AS end\n")
    assert [stage.name for stage in found.reachable("end", {})] == ["a", "end"]
    assert [stage.name for stage in found.reachable("end", {"KIND": "b"})] == ["b", "end"]


def test_a_build_pulls_the_images_that_are_no_stages(dockerfile: Dockerfile) -> None:
    assert dockerfile.external("4", {}) == ("ghcr.io/example/uv:0.1", "python:3.11", "busybox:1", "nginx:1")
    assert dockerfile.external("torch", {"BASE": "python:3.12"}) == ("ghcr.io/example/uv:0.1", "python:3.12")
    assert dockerfile.external("unused", {}) == ()


@pytest.mark.parametrize(
    ("text", "args", "expanded"),
    [
        ("${ROW}/$ROW", {}, "1/1"),
        ("$ROW", {"ROW": "2"}, "2"),
        ("$ROW", {"ROW": ""}, ""),
        ("a$UNKNOWN-b$EMPTY", {}, "a-b"),
        ("${BASE:-x}", {}, "python:3.11"),
        ("no variable", {"ROW": "2"}, "no variable"),
    ],
)
def test_variables_are_replaced_by_the_rows_arguments_or_the_defaults(
    dockerfile: Dockerfile, text: str, args: dict[str, str], expanded: str
) -> None:
    assert dockerfile.expand(text, args) == expanded


def test_a_dockerfile_is_read_from_a_file_as_utf_8(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch AS só\n", encoding="utf-8")
    assert load_dockerfile(tmp_path / "Dockerfile").stages[0].name == "só"
    assert not list(tmp_path.glob("*.*"))


def test_an_empty_dockerfile_has_no_stages() -> None:
    assert parse_dockerfile("# nothing\n").stages == ()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('COPY ["a", "/b"]', "the JSON form is not read: write the paths without brackets"),
        ("COPY a* /b", "patterns and quotes are not read: name each file or its directory"),
        ("COPY it's /b", "patterns and quotes are not read: name each file or its directory"),
        ("ADD a /b", "ADD is not read: use COPY"),
        ("COPY <<EOF /b", "here-documents are not read: put the text into a file"),
        ("RUN <<EOF", "here-documents are not read: put the text into a file"),
    ],
)
def test_what_is_not_read_is_refused_and_not_missed(line: str, fault: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        parse_dockerfile(f"FROM x:1 AS app\n{line}\n")
    assert str(caught.value) == f"{line}: {fault}"


def test_a_copy_from_the_root_of_the_context_is_one_from_the_context() -> None:
    (stage,) = parse_dockerfile("FROM x:1 AS app\nCOPY /a/b /c\n").stages
    assert stage.context_paths == ("a/b",)

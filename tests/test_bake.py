"""Builds to a bake definition. The golden files are of the real recipes; after a change that is meant, write them anew

with ``python -m tests.test_bake`` and read the difference.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.build.bake import CACHE, EXPORTER, LABELS, Build, Secret, labels, render_bake
from scripts.recipe.matrix import expand_all, load_families
from scripts.recipe.selection import select_buildable

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).with_name("data")
DIGEST = "sha256:" + "ab" * 32

if TYPE_CHECKING:
    from scripts.recipe.matrix import ImageSpec


def golden(family: str) -> Path:
    return DATA / f"bake-{family}.json"


def build_of(spec: ImageSpec, **changed: Any) -> Build:
    build = Build(
        spec=spec,
        output=Path("/work/out") / spec.target,
        recipe_hash="0" * 64,
        base_digest=DIGEST,
        stand_in=False,
        commit="c" * 40,
        epoch=1700000000,
        source="https://example.com/images",
        contexts={"uv": "/cache/uv", spec.base: f"docker-image://{spec.base}@{DIGEST}"},
        secrets=(Secret(id="ca-bundle", path=Path("/etc/bundle.crt")),),
    )
    return replace(build, **changed)


def render(family: str) -> str:
    specs = select_buildable(expand_all(load_families(ROOT)), family, include_frozen=True)
    return render_bake([build_of(spec) for spec in specs], root=ROOT)


@pytest.fixture(scope="module")
def spec() -> ImageSpec:
    return expand_all(load_families(ROOT))[0]


def target(build: Build, **options: Any) -> dict[str, Any]:
    definition = json.loads(render_bake([build], root=ROOT, **options))
    found: dict[str, Any] = definition["target"][build.spec.target]
    return found


@pytest.mark.parametrize("family", ["cpu", "cuda", "deprecated-ngc"])
def test_the_definition_of_a_familys_default_row_is_the_golden_one(family: str) -> None:
    assert render(family) == golden(family).read_text()


def test_all_images_of_a_build_are_in_one_group_under_names_that_bake_allows() -> None:
    specs = expand_all(load_families(ROOT))
    definition = json.loads(render_bake(map(build_of, specs), root=ROOT))
    names = definition["group"]["default"]["targets"]
    assert names == list(definition["target"])
    assert len(names) == len(specs)
    assert all(name.replace("_", "").replace("-", "").isalnum() for name in names)


def test_nothing_is_a_template_to_bake(spec: ImageSpec) -> None:
    build = build_of(
        replace(spec, args={"A": "${x} %{if} $y 5%"}), output=Path("/a/${b}"), contexts={"uv": "/${c}"}, secrets=()
    )
    found = target(build)
    assert found["args"]["A"] == "$${x} %%{if} $y 5%"
    assert found["output"][0].startswith("type=oci,tar=false,dest=/a/$${b},")
    assert found["contexts"] == {"uv": "/$${c}"}


def test_a_path_with_a_comma_stays_one_option(spec: ImageSpec) -> None:
    found = target(build_of(spec, output=Path("/a,b"), secrets=(Secret(id="x", path=Path('/c,"d"')),)))
    assert next(csv.reader(found["output"]))[:3] == ["type=oci", "tar=false", "dest=/a,b"]
    assert next(csv.reader(found["secret"])) == ["type=file", "id=x", 'src=/c,"d"']


def test_the_exporter_has_the_options_that_are_part_of_the_recipe(spec: ImageSpec) -> None:
    options = next(csv.reader(target(build_of(spec))["output"]))
    assert options[3:] == [f"{name}={value}" for name, value in EXPORTER.items()]


def test_buildkits_attestations_are_off_because_they_change_the_digest(spec: ImageSpec) -> None:
    assert target(build_of(spec))["attest"] == ["type=provenance,disabled=true"]


def test_arguments_of_this_machine_win_over_the_rows(spec: ImageSpec) -> None:
    args = target(build_of(replace(spec, args={"TORCH_INDEX": "http://x"}), args={"TORCH_INDEX": ""}))["args"]
    assert args["TORCH_INDEX"] == ""
    assert args["SOURCE_DATE_EPOCH"] == "1700000000"


def test_no_cache_is_said_only_when_asked_for(spec: ImageSpec) -> None:
    assert target(build_of(spec), no_cache=True)["no-cache"] is True
    assert "no-cache" not in target(build_of(spec))


def test_no_cache_of_steps_is_written_or_read_unless_asked_for(spec: ImageSpec) -> None:
    assert not {"cache-to", "cache-from"} & target(build_of(spec)).keys()


def test_a_repository_keeps_the_cache_of_each_image_under_its_own_tag(spec: ImageSpec) -> None:
    found = target(build_of(spec, cache_to="localhost:5000/cache", cache_from="localhost:5000/cache"))
    reference = f"type=registry,ref=localhost:5000/cache:{spec.target}"
    assert found["cache-from"] == [reference]
    options = ",".join(f"{name}={value}" for name, value in CACHE.items())
    assert found["cache-to"] == [f"{reference},{options}"]


def test_options_of_a_cache_are_passed_on(spec: ImageSpec) -> None:
    found = target(build_of(spec, cache_to="type=local,dest=/${x}"))
    assert found["cache-to"] == ["type=local,dest=/$${x}"]


def test_contexts_and_secrets_are_left_out_where_there_are_none(spec: ImageSpec) -> None:
    assert not {"contexts", "secret"} & target(build_of(spec, contexts={}, secrets=())).keys()


def test_an_image_on_a_stand_in_is_labelled_as_such_and_no_other_is(spec: ImageSpec) -> None:
    assert labels(build_of(spec, stand_in=True))[f"{LABELS}.base"] == "stand-in"
    assert f"{LABELS}.base" not in labels(build_of(spec))


def test_labels_without_a_value_are_left_out(spec: ImageSpec) -> None:
    found = labels(build_of(spec, commit="", source="", base_digest=""))
    assert "org.opencontainers.image.revision" not in found
    assert all(found.values())
    assert f"{LABELS}.cuda" not in found  # a CPU image


if __name__ == "__main__":
    for path in DATA.glob("bake-*.json"):
        path.write_text(render(path.stem.removeprefix("bake-")))

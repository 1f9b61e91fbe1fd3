"""A ``versions.toml`` to its types, and every fault of one in the words that a person reads."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import jsonschema
import pytest

from scripts.recipe.family import SCHEMA, State, family_directories, layer_of, load_family, render_schema
from scripts.recipe.faults import ManifestError

from .conftest import DOCKERFILE, ROOT, VERSIONS

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Repository

ROW = VERSIONS.rpartition("[[image]]")[2]


def refusal(directory: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        load_family(directory)
    assert caught.value.exit_code == 2
    return str(caught.value)


def row_refusal(repository: Repository, line: str) -> str:
    """What is said about a line added to the one row."""
    return refusal(repository.family(versions=f"{VERSIONS}{line}\n"))


def test_a_row_has_the_defaults_that_the_file_does_not_set(repository: Repository) -> None:
    family = load_family(repository.family())
    assert (family.name, family.where) == ("fam", "fam/versions.toml")
    assert family.dockerfile == repository.root / "fam" / "Dockerfile"
    manifest = family.manifest
    assert manifest.defaults.platforms == ("linux/amd64",)
    assert (manifest.defaults.state, manifest.defaults.gpu) == (State.ACTIVE, False)
    (row,) = manifest.image
    assert (row.version, row.base, row.python, row.cuda, row.stages) == ("1", "python:3.11", "3.11", None, None)


def test_all_keys_of_a_row_are_read(repository: Repository) -> None:
    lines = (
        'cuda = "12.1"\npackages = { torch = "2.3.1" }\nconstraints = ["numpy<2"]\nstages = ["app"]\nnote = "n"\n'
        'platforms = ["linux/arm64"]\ngpu = true\nstate = "frozen"\nreason = "old"\nsince = 2025-10-31\n'
        'args = { FLAVOUR = "x" }\n'
    )
    row = load_family(repository.family(versions=VERSIONS + lines)).manifest.image[0]
    assert (row.cuda, row.packages, row.constraints, row.stages) == ("12.1", {"torch": "2.3.1"}, ("numpy<2",), ("app",))
    assert (row.platforms, row.gpu, row.state) == (("linux/arm64",), True, State.FROZEN)
    assert (row.reason, row.since, row.args, row.note) == ("old", datetime.date(2025, 10, 31), {"FLAVOUR": "x"}, "n")


def test_what_was_loaded_cannot_be_changed(repository: Repository) -> None:
    row = load_family(repository.family()).manifest.image[0]
    with pytest.raises(ValueError, match="frozen"):
        row.version = "2"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("cuda = 12.1", "image[0].cuda: expected a string, got float 12.1 (quote it)"),
        ("packages = { torch = 2 }", "image[0].packages.torch: expected a string, got integer 2 (quote it)"),
        ("args = { FLAVOUR = true }", "image[0].args.FLAVOUR: expected a string, got boolean true (quote it)"),
        (
            "args = { flavour = 'x' }",
            "image[0].args.flavour: 'flavour': expected the name of a build argument: capitals, digits and underscores",
        ),
        (
            "packages = { Torch = '1' }",
            "image[0].packages.Torch: 'Torch': expected a normalised name: small letters and digits, joined by hyphens",
        ),
        ("packages = 3", "image[0].packages: expected a table, got integer 3"),
        ("cuda = '12.1.1'", "image[0].cuda: '12.1.1': expected a major and a minor version, such as \"12.1\""),
        ("stages = 'app'", "image[0].stages: expected an array, got string app"),
        ("stages = []", "image[0].stages: expected at least one, got none"),
        ("platforms = []", "image[0].platforms: expected at least one, got none"),
        ("platforms = ['amd64']", "image[0].platforms[0]: 'amd64': expected linux/amd64 or linux/arm64"),
        ("gpu = 1", "image[0].gpu: expected true or false, got integer 1"),
        ("gpu = 'yes'", "image[0].gpu: expected true or false, got string yes"),
        ("state = 'frzen'", "image[0].state: expected 'active', 'frozen' or 'deprecated', got 'frzen'"),
        ("since = 2025-10-31T10:00:00", "image[0].since: expected a date without a time, such as 2025-10-31"),
        ("since = 0", "image[0].since: expected a date without a time, such as 2025-10-31"),
        ("since = 'soon'", "image[0].since: expected a date such as 2025-10-31, got string soon"),
        ("since = ['2025']", "image[0].since: expected a date such as 2025-10-31, got an array"),
        ("reason = ''", "image[0].reason: expected some text, got none"),
        ("gpuu = true", 'image[0].gpuu: unknown key, did you mean "gpu"?'),
    ],
)
def test_a_faulty_line_of_a_row_is_refused_with_its_key_path(repository: Repository, line: str, fault: str) -> None:
    assert row_refusal(repository, line) == f"fam/versions.toml: {fault}"


def test_a_version_that_toml_reads_as_a_number_is_refused_because_3_10_would_be_3_1(repository: Repository) -> None:
    versions = VERSIONS.replace('version = "1"', "version = 3.10")
    assert refusal(repository.family(versions=versions)) == (
        "fam/versions.toml: image[0].version: expected a string, got float 3.1 (quote it)"
    )


def test_a_base_without_a_tag_is_refused(repository: Repository) -> None:
    versions = VERSIONS.replace('"python:3.11"', '"python"')
    assert refusal(repository.family(versions=versions)) == (
        "fam/versions.toml: image[0].base: 'python': expected a reference with a tag, "
        'such as "python:3.11-slim-bookworm"'
    )


@pytest.mark.parametrize(
    "base",
    ["python:3.11-slim-bookworm", "nvcr.io/nvidia/cuda:12.1.1-cudnn8-devel-ubuntu22.04", "a/b:1@sha256:" + "0" * 64],
)
def test_the_forms_of_a_base_that_are_used_are_accepted(repository: Repository, base: str) -> None:
    versions = VERSIONS.replace('"python:3.11"', f'"{base}"')
    assert load_family(repository.family(versions=versions)).manifest.image[0].base == base


def test_an_unknown_key_is_compared_with_the_keys_of_its_own_table(repository: Repository) -> None:
    versions = VERSIONS.replace('tag = "{version}"', 'tags = "{version}"') + "\n[defaults]\nplatform = []\n"
    assert refusal(repository.family(versions="licence = 1\n" + versions)) == (
        "fam/versions.toml: stages.app.tag: missing, and it has no default\n"
        'fam/versions.toml: stages.app.tags: unknown key, did you mean "tag"?\n'
        'fam/versions.toml: defaults.platform: unknown key, did you mean "platforms"?\n'
        "fam/versions.toml: licence: unknown key; known: default, defaults, description, dockerfile, image, layers, "
        "lock, stages, torch_index"
    )


def test_all_faults_of_a_file_are_said_at_once(repository: Repository) -> None:
    versions = (
        f'default = 3\n[stages.app]\nrepository = "App"\ntag = ""\n[[image]]{ROW}gpu = 0\n[[image]]\nversion = 1\n'
    )
    assert refusal(repository.family(versions=versions)).splitlines() == [
        "fam/versions.toml: description: missing, and it has no default",
        "fam/versions.toml: default: expected a string, got integer 3 (quote it)",
        (
            "fam/versions.toml: stages.app.repository: 'App': expected a repository without registry: small letters "
            'and digits, joined by one of ". _ -"'
        ),
        "fam/versions.toml: stages.app.tag: expected some text, got none",
        "fam/versions.toml: image[0].gpu: expected true or false, got integer 0",
        "fam/versions.toml: image[1].version: expected a string, got integer 1 (quote it)",
        "fam/versions.toml: image[1].base: missing, and it has no default",
        "fam/versions.toml: image[1].python: missing, and it has no default",
    ]


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ("image = []", "image: expected at least one, got none"),
        ("image = 3", "image: expected an array, got integer 3"),
        ("image = [3]", "image[0]: expected a table, got integer 3"),
        ("[image]\nversion = '1'", "image: expected an array, got a table"),
        ("", "image: missing, and it has no default"),
    ],
)
def test_a_file_without_rows_is_refused(repository: Repository, rows: str, fault: str) -> None:
    head, _, stages = VERSIONS.rpartition("[[image]]")[0].partition("[stages.app]")
    top, table = (rows, "") if rows.startswith("image") else ("", rows)
    versions = f"{head}{top}\n[stages.app]{stages}{table}\n"
    assert refusal(repository.family(versions=versions)) == f"fam/versions.toml: {fault}"


def test_a_file_without_stages_is_refused(repository: Repository) -> None:
    versions = f'description = "d"\ndefault = "1"\nstages = {{}}\n[[image]]{ROW}'
    assert refusal(repository.family(versions=versions)) == "fam/versions.toml: stages: expected at least one, got none"


def test_an_empty_file_lacks_every_key_that_has_no_default(repository: Repository) -> None:
    assert refusal(repository.family(versions="")) == "\n".join(
        f"fam/versions.toml: {key}: missing, and it has no default"
        for key in ("description", "default", "stages", "image")
    )


def test_broken_toml_is_refused_with_its_line(repository: Repository) -> None:
    assert refusal(repository.family(versions='description = "d"\ndefault "1"\n')) == (
        "fam/versions.toml: not valid TOML: Expected '=' after a key in a key/value pair (at line 2, column 9)"
    )


def test_a_file_that_is_not_utf_8_is_refused_with_its_first_bad_byte(repository: Repository) -> None:
    directory = repository.family()
    (directory / "versions.toml").write_bytes(b'description = "caf\xe9"\n')
    assert refusal(directory) == "fam/versions.toml: not UTF-8 at byte 18"


def test_a_file_that_cannot_be_read_is_refused_with_the_systems_reason(tmp_path: Path) -> None:
    (tmp_path / "fam" / "versions.toml").mkdir(parents=True)
    assert refusal(tmp_path / "fam") == "fam/versions.toml: cannot be read: Is a directory"
    assert refusal(tmp_path / "none") == "none/versions.toml: cannot be read: No such file or directory"


def test_families_are_the_directories_with_a_version_manifest(repository: Repository) -> None:
    repository.family("b")
    repository.family("a")
    (repository.root / "scripts").mkdir()
    assert family_directories(repository.root) == (repository.root / "a", repository.root / "b")


@pytest.mark.parametrize(
    ("distribution", "layer"),
    [("torch", "torch"), ("torchvision", "rest"), ("nvidia-nccl-cu12", "nvidia"), ("x", "rest")],
)
def test_the_first_layer_with_a_pattern_takes_a_distribution(distribution: str, layer: str) -> None:
    assert layer_of(distribution, {"torch": ["torch"], "nvidia": ["nvidia-*"], "rest": ["*"]}) == layer


def test_a_distribution_that_fits_no_layer_has_none() -> None:
    assert layer_of("numpy", {"torch": ["torch"]}) is None


def test_the_schema_accepts_what_loads_and_refuses_an_unknown_key(repository: Repository) -> None:
    schema = json.loads(render_schema())
    manifest = load_family(repository.family()).manifest.model_dump(mode="json", exclude_unset=True)
    jsonschema.validate(manifest, schema)
    with pytest.raises(jsonschema.ValidationError, match="'gpuu' was unexpected"):
        jsonschema.validate({**manifest, "gpuu": True}, schema)


def test_every_key_of_the_schema_is_documented() -> None:
    schema = json.loads(render_schema())
    tables = [schema, *(table for table in schema["$defs"].values() if "properties" in table)]
    lacking = [
        name
        for table in tables
        for name, key in table["properties"].items()
        if not {"description", "$ref"} & key.keys()
    ]
    assert not lacking


def test_running_the_module_writes_the_schema_beside_it(tmp_path: Path) -> None:
    # In a copy: other tests read the real one at the same time.
    shutil.copytree(ROOT / "scripts" / "recipe", tmp_path / "scripts" / "recipe")
    shutil.copy(ROOT / "scripts" / "errors.py", tmp_path / "scripts")
    written = tmp_path / "scripts" / "recipe" / SCHEMA.name
    written.unlink()
    subprocess.run([sys.executable, "-m", "scripts.recipe.family"], cwd=tmp_path, check=True)
    assert written.read_text() == render_schema()


def test_the_familys_dockerfile_can_have_another_name(repository: Repository) -> None:
    directory = repository.family(versions=f'dockerfile = "docker/App"\n{VERSIONS}', dockerfile=DOCKERFILE)
    assert load_family(directory).dockerfile == directory / "docker" / "App"

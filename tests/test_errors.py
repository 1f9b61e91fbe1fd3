"""The exit codes of the expected failures."""

from __future__ import annotations

import pytest

from scripts import errors
from scripts.errors import ImagesError
from scripts.recipe.faults import ManifestError

KINDS: list[type[ImagesError]] = [ImagesError, *ImagesError.__subclasses__()]


def test_each_kind_of_failure_has_an_exit_code_of_its_own() -> None:
    codes = [kind.exit_code for kind in KINDS]
    assert len(codes) > 5
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize(
    ("name", "code"),
    [("UsageError", 2), ("BuildError", 3), ("RegistryError", 4), ("SmokeError", 5), ("AuditError", 6)],
)
def test_the_exit_code_of_a_kind_is_the_documented_one(name: str, code: int) -> None:
    assert vars(errors)[name].exit_code == code


def test_no_kind_of_failure_ends_like_success_or_like_a_signal() -> None:
    assert all(0 < kind.exit_code < 126 for kind in KINDS)


def test_a_faulty_version_manifest_is_a_usage_error() -> None:
    assert ManifestError("a/versions.toml", ["x: bad"]).exit_code == 2

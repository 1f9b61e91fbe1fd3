"""Which image of an index is meant."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.contents.platforms import choose, fits, platform_of
from scripts.errors import UsageError


def entry(digest: str, platform: str = "") -> dict[str, Any]:
    system, _, architecture = platform.partition("/")
    return {"digest": digest, **({"platform": {"os": system, "architecture": architecture}} if platform else {})}


AMD, ARM, SEAL = entry("amd", "linux/amd64"), entry("arm", "linux/arm64"), entry("seal", "unknown/unknown")


@pytest.mark.parametrize(
    ("entries", "wanted", "expected"),
    [
        ([AMD], None, "amd"),
        ([ARM, SEAL], None, "arm"),
        ([ARM, AMD, SEAL], None, "amd"),
        ([ARM, AMD, SEAL], "linux/arm64", "arm"),
        ([entry("x")], None, "x"),
        ([entry("x")], "linux/arm64", "x"),  # its config will tell
    ],
)
def test_the_image_that_is_meant(entries: list[dict[str, Any]], wanted: str | None, expected: str) -> None:
    assert choose(entries, wanted, "w", lambda _: None)["digest"] == expected


@pytest.mark.parametrize(
    ("entries", "wanted", "sentence"),
    [
        ([AMD, SEAL], "linux/arm64", "w: no image for linux/arm64, there: linux/amd64"),
        ([ARM, entry("s", "linux/s390x")], None,
         "w: no image for linux/amd64, there: linux/arm64, linux/s390x; choose with --platform"),
        ([AMD, AMD], "linux/amd64", "w: 2 images for linux/amd64, there: linux/amd64"),
        ([SEAL], None, "w: an index without images"),
        ([], None, "w: an index without images"),
    ],
)  # fmt: skip
def test_where_none_or_several_are_meant_it_says_what_is_there(
    entries: list[Any], wanted: str | None, sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        choose(entries, wanted, "w", lambda _: None)
    assert str(caught.value) == sentence


def test_a_choice_that_nobody_made_is_said() -> None:
    said: list[str] = []
    choose([ARM, AMD], None, "w", said.append)
    assert said == ["w: has 2 platforms, taking linux/amd64 (--platform takes another)"]
    choose([ARM, AMD], "linux/arm64", "w", said.append)
    choose([AMD, SEAL], None, "w", said.append)
    assert len(said) == 1


def test_platforms_are_one_word() -> None:
    assert platform_of({"os": "linux", "architecture": "arm64", "variant": "v8"}) == "linux/arm64/v8"
    assert fits("linux/arm64/v8", "linux/arm64")
    assert not fits("linux/arm64", "linux/arm64/v8")
    assert not fits("linux/arm64", "linux/arm")

"""``--only`` takes the names of the table: one check, all cases of one, or all of a subject."""

from __future__ import annotations

import pytest

from scripts.errors import UsageError
from scripts.smoke.checks import choose_names

NAMES = ("declared.python", "declared.tag", "pip.installs[pip]", "pip.installs[uv]", "pip.finds-nothing-broken")


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        ("declared.python", ["declared.python"]),
        ("declared.tag, declared.python,declared.tag", ["declared.python", "declared.tag"]),
        ("pip.installs[uv]", ["pip.installs[uv]"]),
        ("pip.installs", ["pip.installs[pip]", "pip.installs[uv]"]),
        ("pip", ["pip.finds-nothing-broken", "pip.installs[pip]", "pip.installs[uv]"]),
    ],
)
def test_chosen(only: str, chosen: list[str]) -> None:
    assert list(choose_names(only, NAMES)) == chosen


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("declared.pyton", '--only: no check "declared.pyton", did you mean "declared.python"?'),
        ("pip,zzzzzzz", '--only: no check "zzzzzzz"; known: declared, pip'),
        ("", '--only: no check ""; known: declared, pip'),
    ],
)
def test_not_known(only: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        choose_names(only, NAMES)
    assert str(caught.value) == said

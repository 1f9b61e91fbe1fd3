"""Tasks whose positional argument may be left out, with Invoke's own parser. Its version is pinned; this must hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from invoke import Collection, ParseError, Task
from invoke.parser import Parser, ParserContext
from invoke.program import Program

from scripts.positional import allow_optional_positionals

if TYPE_CHECKING:
    from collections.abc import Iterator


def optional(_: object, family: str | None = None, format: str = "table") -> None:  # noqa: A002 - as the tasks have it
    """Take a family or none."""


def needed(_: object, family: str) -> None:
    """Take a family."""


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    before = ParserContext.missing_positional_args
    allow_optional_positionals(frozenset({"optional"}))
    yield
    ParserContext.missing_positional_args = before  # type: ignore[method-assign]


def parse(*words: str) -> list[tuple[str | None, dict[str, object]]]:
    """Task and arguments for each task of a command line."""
    tasks: list[Task[Any]] = [Task(body, positional=["family"], auto_shortflags=False) for body in (optional, needed)]
    contexts = Collection(*tasks).to_contexts()
    parsed = Parser(contexts=contexts, initial=Program().initial_context).parse_argv(list(words))
    return [(found.name, {name: item.value for name, item in found.args.items()}) for found in parsed[1:]]


def test_an_optional_argument_can_be_given_without_its_flag() -> None:
    assert parse("optional", "cuda") == [("optional", {"family": "cuda", "format": "table"})]


def test_an_optional_argument_can_be_left_out() -> None:
    assert parse("optional") == [("optional", {"family": None, "format": "table"})]


def test_an_optional_argument_can_stand_before_and_after_the_options() -> None:
    expected = [("optional", {"family": "cuda", "format": "json"})]
    assert parse("optional", "cuda", "--format", "json") == expected
    assert parse("optional", "--format", "json", "cuda") == expected
    assert parse("optional", "--family", "cuda", "--format", "json") == expected


def test_an_option_is_not_taken_for_the_argument() -> None:
    assert parse("optional", "--format", "json") == [("optional", {"family": None, "format": "json"})]


def test_tasks_can_follow_each_other() -> None:
    assert parse("optional", "cpu", "needed", "cuda") == [
        ("optional", {"family": "cpu", "format": "table"}),
        ("needed", {"family": "cuda"}),
    ]


def test_a_needed_argument_is_still_asked_for() -> None:
    with pytest.raises(ParseError) as caught:
        parse("needed")
    assert str(caught.value) == "'needed' did not receive required positional arguments: 'family'"


@pytest.mark.parametrize("name", ["needed", "optional"])
def test_help_is_given_without_the_argument(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    program = Program(namespace=Collection(*(Task(body, positional=["family"]) for body in (optional, needed))))
    for words in (["inv", name, "--help"], ["inv", "--help", name]):
        program.run(words, exit=False)
        assert f"[--core-opts] {name} [--options]" in capsys.readouterr().out

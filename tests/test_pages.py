"""What the documents say: links lead somewhere, commands exist and are run by some test, and words are those of the code."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from invoke import Collection, Program
from invoke.exceptions import ParseError
from invoke.parser import Parser

import tasks as images_tasks
from scripts.contents.reproduce import parse_options as parse_reproduce
from scripts.recipe.matrix import expand_all, load_families
from scripts.smoke.__main__ import parse_options as parse_smoke
from tests.bench.__main__ import parse_options as parse_bench
from tests.integration import test_documented_evidence, test_documented_images
from tests.pages import ROOT, SHELL, documented, load_pages

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pages import Command

PAGES = load_pages()
INVOKE = documented("./scripts/invoke")
NOX = documented("./scripts/nox")
# Where a command is run that is none of Invoke's or Nox's; those of Invoke are all run by test_documented_tasks.py.
RUN = {
    "docker": tuple(test_documented_images.COMMANDS),
    "ssh": (test_documented_images.SSH,),
    "cosign": test_documented_evidence.COMMANDS,
    "git": ("git add --all", 'git commit --message "cuda: torch 2.5.1"', 'git commit --message "Published: cuda"'),
}
LANGUAGES = {SHELL, "toml", "yaml", "json", "dockerfile", "text"}
OPTIONS: dict[str, Callable[[list[str]], object]] = {
    "reproduce": parse_reproduce,
    "bench": parse_bench,
    "smoke": lambda options: parse_smoke(["python:3.11", *options]),
}
"""What reads the options of a session, behind --."""
PATH = re.compile(r"(?:scripts|tests|docs|cpu|cuda|deprecated-ngc|\.ci)/[\w./-]*|[\w-]+\.(?:py|toml|yaml|in|txt|md)")
# Written once something is published; names of files in folders; or of no file of ours.
NOT_HERE = {
    "CHANGES.md",
    "roots.json",
    "versions.toml",
    "scan.toml",
    "docs/bench.md",
    "train.py",
    "apt.txt",
    "buildkitd.toml",
}


@pytest.mark.parametrize("name", PAGES)
def test_lines_are_no_longer_than_others(name: str) -> None:
    """A row of a table cannot be broken, so it may be."""
    assert [f"{name}:{number}" for number, line in PAGES[name].prose if len(line) >= 120 and line[:1] != "|"] == []
    assert [
        f"{name}:{block.line}" for block in PAGES[name].blocks if max(map(len, block.text.splitlines())) >= 120
    ] == []


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_a_page_and_a_heading(name: str) -> None:
    broken = []
    for number, target in PAGES[name].links:
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        found = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        page = PAGES.get(found.relative_to(ROOT).as_posix())
        if not found.exists() or (anchor and (page is None or anchor not in page.anchors)):
            broken.append(f"{name}:{number}: {target}")
    assert broken == []


@pytest.mark.parametrize("name", PAGES)
def test_files_that_are_named_are_there(name: str) -> None:
    named = {(number, text) for number, text in PAGES[name].code if PATH.fullmatch(text) and text not in NOT_HERE}
    folder = (ROOT / name).parent
    assert [
        f"{name}:{number}: {path}" for number, path in named if not ((ROOT / path).exists() or (folder / path).exists())
    ] == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, left = set(), ["README.md"]
    while left:
        name = left.pop()
        if name in PAGES and name not in reached:
            reached.add(name)
            targets = [target.partition("#")[0] for _, target in PAGES[name].links]
            left += [
                ((ROOT / name).parent / path).resolve().relative_to(ROOT).as_posix()
                for path in targets
                if path and ":" not in path
            ]
    assert reached == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_blocks_of_code_say_what_they_are(name: str) -> None:
    assert {block.language for block in PAGES[name].blocks} <= LANGUAGES


def test_a_command_that_no_test_runs_is_found() -> None:
    """Those of Invoke and of Nox are all run or looked up; any other is in RUN, and nothing is there in vain."""
    others = [command for command in documented("") if command not in {*INVOKE, *NOX}]
    known = {text for texts in RUN.values() for text in texts}
    assert [str(command) for command in others if command.text not in known] == []
    assert known - {command.text for command in others} == set()
    assert INVOKE
    assert NOX


def parse(words: list[str]) -> None:
    """Parse a command line of Invoke as Invoke does."""
    collection = Collection.from_module(images_tasks)
    Parser(initial=Program().initial_context, contexts=collection.to_contexts()).parse_argv(words)


@pytest.mark.parametrize("command", INVOKE, ids=str)
def test_a_command_of_invoke_is_one(command: Command) -> None:
    parse(command.words[1:])


@pytest.mark.parametrize("words", [["lock", "cpu", "--upgrad"], ["built", "cpu"], ["push"]])
def test_a_command_of_invoke_that_is_none_is_found(words: list[str]) -> None:
    with pytest.raises(ParseError):
        parse(words)


def test_tasks_that_are_mentioned_are_there() -> None:
    known = Collection.from_module(images_tasks).tasks
    found = [
        (f"{name}:{number}", words[1])
        for name, page in PAGES.items()
        for number, text in page.code
        if (words := text.split())[0] == "invoke" and len(words) > 1 and words[1] != "…"
    ]
    assert found
    assert [where for where, task in found if task not in known and not task.startswith("-")] == []


def test_every_task_is_documented() -> None:
    told = {command.words[1] for command in INVOKE} | {
        text.split()[1] for page in PAGES.values() for _, text in page.code if text.startswith("invoke ")
    }
    assert set(Collection.from_module(images_tasks).tasks) - told == set()


def sessions() -> set[str]:
    """What may follow -s: the sessions of the noxfile, and smoke for all of its images."""
    command = [sys.executable, "-m", "nox", "-f", "noxfile.py", "--list"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = re.findall(r"^[*-] (\S+)", done.stdout, re.MULTILINE)
    return {*found, *(name.partition("(")[0] for name in found)}


def test_commands_of_nox_name_sessions_and_give_them_options_that_they_have() -> None:
    known = sessions() | {"smoke(torch:2.5.1-cuda12.4)"}  # of the row that the page adds
    tags = {str(word) for spec in expand_all(load_families(ROOT)) for word in (spec.family, spec.state)} | {"gpu"}
    for command in NOX:
        words, options = split_at(command.words[1:], "--")
        if words:
            assert set(words[1:]) <= {"-s": known, "-t": tags}[words[0]], command
        if options:
            OPTIONS[words[1].partition("(")[0]](options)  # which ends the test if it does not take them


@pytest.mark.parametrize("session", OPTIONS)
def test_an_option_that_a_session_does_not_have_is_found(session: str) -> None:
    with pytest.raises(SystemExit):
        OPTIONS[session](["--no-such-option"])


def split_at(words: list[str], mark: str) -> tuple[list[str], list[str]]:
    """What is before and what is behind a word."""
    index = words.index(mark) if mark in words else len(words)
    return words[:index], words[index + 1 :]

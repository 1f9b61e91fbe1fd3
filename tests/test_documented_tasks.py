"""Every documented command of Invoke and git, run in a copy of this repository in the order in which the pages have them.

With --dry-run where the task has it, but for what only writes files of the copy that the next commands need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from invoke import Collection

import tasks as images_tasks
from tests.faulty_registry import FaultyRegistry
from tests.pages import load_pages
from tests.sandbox import add_row_of_page, make_sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Docker, PackageIndex
    from tests.fake_cosign import FakeCosign
    from tests.pages import Command, Page
    from tests.sandbox import Sandbox

PAGES = load_pages()
NEW_ROW = "2.5.1-cuda12.4"
"""The row that docs/maintaining.md adds: its lock is written, those of the others, which were tested, are not."""
CAN_BE_DRY = {
    name
    for name, task in Collection.from_module(images_tasks).tasks.items()
    if "dry-run" in {word for argument in task.get_arguments() for word in argument.names}
}


@pytest.fixture
def sandbox(tmp_path: Path, docker: Docker, cosign: FakeCosign, package_index: PackageIndex) -> Iterator[Sandbox]:
    with FaultyRegistry() as registry:
        yield make_sandbox(tmp_path, docker, cosign, package_index, registry)


def to_run(command: Command, sandbox: Sandbox, database: Path) -> list[str]:
    """The command for the sandbox: its registry and database are elsewhere, and it changes nothing but files."""
    text = command.text.replace("localhost:5000", sandbox.registry.host).replace("/srv/trivy", str(database))
    words = type(command)(command.page, command.line, text).words
    task = words[1] if words[0] == "./scripts/invoke" else ""
    real = task == "tables" or (task == "lock" and NEW_ROW in words)
    dry = task in CAN_BE_DRY and not real and not {"--dry-run", "--help", "--check"} & set(words)
    # Debian's mirror and the registries of the bases are real, and not asked.
    near = task == "outdated" and "--only" not in words
    return [*words, *(["--dry-run"] if dry else []), *(["--only", "bases,python,ends"] if near else [])]


def commands_of(page: Page) -> list[Command]:
    return [item for item in page.commands if item.text.startswith(("./scripts/invoke", "git "))]


@pytest.mark.parametrize("readme", [True, False], ids=["README.md", "docs"])
def test_every_command_does_what_it_should(sandbox: Sandbox, tmp_path: Path, *, readme: bool) -> None:
    first = commands_of(PAGES["README.md"])
    # What only looks is run once; what is written has to be written again.
    others = [item for name, page in PAGES.items() if name != "README.md" for item in commands_of(page)]
    commands = first if readme else [item for item in others if item not in first or "tables" in item.words]
    assert len(commands) > 15
    database = tmp_path / "database"
    database.mkdir()
    if not readme:
        add_row_of_page(sandbox)
    failed = []
    for command in commands:
        if command.text.startswith("git add"):  # as if something was published, too
            (sandbox.root / f"change-{command.line}").touch()
        done = sandbox.run(to_run(command, sandbox, database))
        if done.returncode or "Traceback" in done.stderr:
            failed.append(f"{command}: ended with {done.returncode}\n{done.stdout[-300:]}{done.stderr[-600:]}")
    assert not failed, "\n".join(failed)
    if not readme:
        assert (sandbox.root / "cuda" / "locks" / NEW_ROW).is_dir()
        assert f"`torch:{NEW_ROW}`" in (sandbox.root / "README.md").read_text()


def test_a_task_that_changes_what_is_published_is_only_run_dry() -> None:
    assert {"build", "push", "release", "tag", "yank", "rollback", "ledger", "attest", "bases"} <= CAN_BE_DRY

"""Optional positional arguments for Invoke tasks: ``invoke list`` and ``invoke list cuda``.

Invoke takes an argument without its flag only where it is required. Its parser asks a context for its
``missing_positional_args`` at two moments, for each word and when a task's words are over, and the answer for an
optional one differs between them, so it depends on who asks. Invoke offers no other place for this: it copies
collections and contexts, so subclasses of them do not survive. The version of Invoke is pinned; a test holds this.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from invoke.parser import ParserContext

if TYPE_CHECKING:
    from invoke.parser import Argument


def allow_optional_positionals(tasks: frozenset[str]) -> None:
    """Let the tasks of these names be called without the positional arguments that they declare, and any with --help."""

    def missing_positional_args(context: ParserContext) -> list[Argument]:
        missing = [argument for argument in context.positional_args if argument.value is None]
        asker = sys._getframe(1)  # noqa: SLF001 - see the module's docstring
        if asker.f_code.co_name == "complete_context":
            helping = asker.f_locals["self"].initial.args["help"].value is not None
            return [] if helping or context.name in tasks else missing
        # As it is, Invoke's parser takes --help for the value.
        return [] if str(asker.f_locals.get("token", "")).startswith("-") else missing

    ParserContext.missing_positional_args = property(missing_positional_args)  # type: ignore[assignment, method-assign]

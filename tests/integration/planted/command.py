"""Entrypoints that do more than run the command, or less."""

from __future__ import annotations

from tests.integration.planting import Fault, edit

ENTRYPOINT = "/usr/local/bin/entrypoint"
RUN = "^exec -- "  # where the command is run


def before(line: str) -> str:
    """The entrypoint with a line more, just before it runs the command."""
    return edit(ENTRYPOINT, f"/{RUN}/i {line}")


FAULTS = (
    Fault(
        name="entrypoint drops an argument",
        check="command.arguments-are-kept",
        dockerfile=before('[[ ${!#} != -x ]] || set -- "${@:1:$#-1}"'),
        says=", '']",
    ),
    Fault(
        name="entrypoint writes a greeting",
        check="command.writes-nothing-of-its-own",
        dockerfile=before('[[ $1 != sh ]] || say "welcome"'),
        says="welcome",
    ),
    Fault(
        name="entrypoint swallows the exit code",
        check="command.exit-code-is-kept[failure]",
        dockerfile=before('[[ $1 != sh ]] || { "$@" || true; exit 0; }'),
        says="measured 0, expected 7",
        also=("command.exit-code-is-kept[killed]",),
    ),
    Fault(
        name="entrypoint fails after the command",
        check="command.exit-code-is-kept[success]",
        dockerfile=before('[[ $1 != sh ]] || { "$@" && exit 3; exit $?; }'),
        says="measured 3, expected 0",
        together="open",
    ),
    Fault(
        name="no word about a command that is not there",
        check="command.a-command-that-is-not-there",
        dockerfile=edit(ENTRYPOINT, "s/    say .no such command.*/    :/"),
        says="127: entrypoint: the arguments are one command",
    ),
    Fault(
        name="no tini",
        check="command.tini-is-process-1",
        dockerfile='ENTRYPOINT ["/usr/local/bin/entrypoint"]',
        says="python 0",
        together="open",
    ),
    Fault(
        name="tini sends signals to the whole group",
        check="command.signals-reach-it-alone[command]",
        dockerfile='ENTRYPOINT ["/usr/bin/tini", "-s", "-g", "--", "/usr/local/bin/entrypoint"]',
        says="loader -15",
        also=("command.signals-reach-it-alone[shell-line]",),
    ),
    Fault(
        name="no home for other users",
        check="command.has-a-home[any-user]",
        dockerfile=before("[[ $1 != python || $EUID == 0 ]] || export HOME=/"),
        says="Permission denied",
        also=("command.has-a-home[read-only-root]",),
    ),
    Fault(
        name="no home for root",
        check="command.has-a-home[root]",
        dockerfile=before("[[ $1 != python || $EUID != 0 ]] || export HOME=/nonexistent"),
        says="/nonexistent",
    ),
    Fault(
        name="slow entrypoint",
        check="command.entrypoint-is-quick",
        dockerfile=before("[[ $1 != true ]] || sleep 0.1"),
        says="at most 50 ms",
    ),
)

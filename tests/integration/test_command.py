"""What an image does with a command: run it, and nothing else."""

from __future__ import annotations

import pytest

from tests.integration.containers import Finished, run, running

pytestmark = pytest.mark.engine


def test_runs_the_command(image: str) -> None:
    done = run(image, "python", "--version")
    assert (done.code, done.stdout[:7], done.stderr) == (0, "Python ", "")


def test_keeps_the_exit_code(image: str) -> None:
    assert run(image, "python", "-c", "raise SystemExit(7)") == Finished(7, "", "")


def test_keeps_arguments_as_they_are(image: str) -> None:
    odd = "a  'b' \"c\" $HOME *"
    assert run(image, "python", "-c", "import sys; print(sys.argv[1:])", odd, "").stdout == f"{[odd, '']}\n"


def test_runs_a_shell_line(image: str) -> None:
    assert run(image, "bash", "-lc", "type -P python && exit 3") == Finished(3, "/opt/venv/bin/python\n", "")


def test_names_a_command_that_does_not_exist(image: str) -> None:
    assert run(image, "python train.py") == Finished(
        127,
        "",
        "entrypoint: no such command: python train.py\n"
        "entrypoint: the arguments are one command, not a shell line; for that use: bash -c '...'\n",
    )


def test_tini_is_process_1_and_the_command_its_child(image: str) -> None:
    code = "import os; print(open('/proc/1/comm').read().strip(), os.getppid(), len(os.listdir('/proc/1/task')))"
    assert run(image, "python", "-c", code).stdout == "tini 1 1\n"


@pytest.mark.parametrize("shell", [False, True], ids=["command", "shell-line"])
def test_signals_reach_the_command_and_nothing_else(image: str, *, shell: bool) -> None:
    """Data loaders that got the signal too would die while the command still saves its state."""
    code = (
        "import signal, subprocess, time; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
        "loader = subprocess.Popen(['sleep', '60'], preexec_fn=lambda: "
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])); "
        "print('ready', flush=True); signal.sigwait([signal.SIGTERM]); time.sleep(0.3); print(loader.poll()); exit(5)"
    )
    argv = ["bash", "-c", f'python -c "{code}"'] if shell else ["python", "-c", code]
    with running(image, *argv) as container:
        container.wait_until("the command is ready", lambda: "ready" in container.log)
        container.engine.kill("SIGTERM")
        assert container.finish(5) == Finished(5, "ready\nNone\n", "")

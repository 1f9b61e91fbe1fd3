"""What an image does with a command: run it, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.containers import run, running

if TYPE_CHECKING:
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

ENTRYPOINT_MS = 50
"""What the entrypoint may add to the start of a command."""
# Data loaders that got the signal too would die while the command still saves its state.
SAVING = (
    "import signal, subprocess, time; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM]); "
    "loader = subprocess.Popen(['sleep', '60'], preexec_fn=lambda: "
    "signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])); "
    "print('ready', flush=True); signal.sigwait([signal.SIGTERM]); time.sleep(0.3); print(loader.poll()); exit(5)"
)
HOME = (
    "import getpass, os, tempfile; home = os.path.expanduser('~'); tempfile.TemporaryFile(dir=home); "
    "print(os.getuid(), os.getgid(), getpass.getuser(), home)"
)
# The best of several, as other checks run at the same time; milliseconds.
OVERHEAD = """
import subprocess, sys, time
def took(*command):
    began = time.perf_counter()
    subprocess.run([*command, 'true'], check=True)
    return (time.perf_counter() - began) * 1000
print(round(min(took(sys.argv[1]) for _ in range(15)) - min(took('env') for _ in range(15)), 1))
"""


def test_arguments_are_kept(image: str, claim: Claim) -> None:
    odd = ["a  'b' \"c\" $HOME *", "", "-x"]
    done = run(image, "python", "-c", "import sys; print(sys.argv[1:])", *odd)
    claim(done.stdout.strip() or done.stderr.strip(), str(odd))


def test_writes_nothing_of_its_own(image: str, claim: Claim) -> None:
    done = run(image, "sh", "-c", "echo out; echo err >&2")
    claim(f"{done.stdout!r} {done.stderr!r}", "'out\\n' 'err\\n'")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("exit 0", 0, id="success"),
        pytest.param("exit 7", 7, id="failure"),
        pytest.param("kill -9 $$", 137, id="killed"),
    ],
)
def test_exit_code_is_kept(image: str, script: str, expected: int, claim: Claim) -> None:
    claim(run(image, "sh", "-c", script).code, expected)


def test_a_command_that_is_not_there(image: str, claim: Claim) -> None:
    """A sentence says so, and what to do where a whole shell line was given."""
    done = run(image, "python train.py")
    first = done.stderr.partition("\n")[0]
    claim(f"{done.code}: {first}", "127: entrypoint: no such command: python train.py")


def test_tini_is_process_1(image: str, claim: Claim) -> None:
    """And the command its child, so zombies are reaped and signals arrive."""
    code = "import os; print(open('/proc/1/comm').read().strip(), os.getppid())"
    done = run(image, "python", "-c", code)
    claim(done.stdout.strip() or done.stderr.strip(), "tini 1")


@pytest.mark.parametrize("shell", [pytest.param(False, id="command"), pytest.param(True, id="shell-line")])
def test_signals_reach_it_alone(image: str, claim: Claim, *, shell: bool) -> None:
    argv = ["bash", "-c", f'python -c "{SAVING}"'] if shell else ["python", "-c", SAVING]
    with running(image, *argv) as container:
        container.wait_until("the command is ready", lambda: "ready" in container.log)
        container.engine.kill("SIGTERM")
        try:
            done = container.finish(5)
            measured = f"{done.code}, loader {done.stdout.split()[-1]}"
        except OSError:  # the engine's answer did not come in time
            measured = "still running after 5 s"
    claim(measured, "5, loader None")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, "0 0 root /root", id="root"),
        pytest.param({"user": "1000:100"}, "1000 100 workspace /tmp/home-1000", id="any-user"),
        pytest.param(
            {"user": "1000:100", "read_only": True, "tmpfs": {"/tmp": ""}},
            "1000 100 workspace /tmp/home-1000",
            id="read-only-root",
        ),
    ],
)
def test_has_a_home(image: str, options: dict[str, Any], expected: str, claim: Claim) -> None:
    done = run(image, "python", "-c", HOME, **options)
    claim(done.stdout.strip() or done.stderr.strip().rpartition("\n")[2], expected)


def test_entrypoint_is_quick(rest: Container, claim: Claim) -> None:
    entrypoint = rest.read("bash", "-c", "type -P entrypoint").strip()
    measured = float(rest.read("python", "-c", OVERHEAD, entrypoint))
    claim.fact("entrypoint milliseconds", measured)
    claim(f"{measured} ms", f"at most {ENTRYPOINT_MS} ms", ok=measured <= ENTRYPOINT_MS)

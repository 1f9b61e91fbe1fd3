"""``scripts/invoke`` and ``scripts/nox`` in a checkout of their own; a fake uv for decisions, real installers for proof."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .checkout import ROOT, Checkout

READY = re.compile(r"scripts/(invoke|nox): \.venv is ready \(\d+ s\)")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    made = Checkout(tmp_path)
    made.fake_uv()
    return made


def making(checkout: Checkout, tool: str = "invoke") -> str:
    assert checkout.root
    return f"scripts/{tool}: making .venv with {os.path.realpath(sys.executable)}"


INSTALLING = "scripts/invoke: installing 1 packages of requirements.txt into .venv with uv"
UNUSABLE = "scripts/invoke: the .venv that is here cannot be used: it is from another place or another Python"


@pytest.mark.parametrize(("tool", "own"), [("invoke", ""), ("nox", "-f noxfile.py ")])
def test_sets_up_once_and_hands_over(checkout: Checkout, tool: str, own: str) -> None:
    wrapper, root = str(checkout.root / "scripts" / tool), checkout.root
    dirty = {"PYTHONHOME": "/nonexistent", "PYTHONPATH": "/nonexistent", "VIRTUAL_ENV": "/nonexistent", "CDPATH": "/"}
    shown = f"{root}/.venv/bin/{tool} {own}build cpu --set A=b c\n{root} 1 {root}/.venv   {root}/.venv/bin /\n"
    code, out, err = checkout.run(wrapper, "build", "cpu", "--set", "A=b c", cwd=Path("/"), env=dirty)
    assert (code, out) == (7, shown)
    assert err[:2] == [making(checkout, tool), INSTALLING.replace("scripts/invoke", f"scripts/{tool}")]
    assert READY.fullmatch(err[2])
    assert len(err) == 3
    assert checkout.run(wrapper, "build", "cpu", "--set", "A=b c", cwd=Path("/"), env=dirty) == (7, shown, [])
    assert checkout.installs == 1


def test_works_however_it_is_called(checkout: Checkout) -> None:
    checkout.run()
    scripts = checkout.root / "scripts"
    (checkout.bin / "linked").symlink_to(scripts / "invoke")
    for command, cwd in (
        (("sh", "invoke"), scripts),
        (("sh", "scripts/invoke"), checkout.root),
        (("./invoke",), scripts),
        (("linked",), Path("/")),
    ):
        assert checkout.run(*command, cwd=cwd, env={"CDPATH": "/:/tmp"})[::2] == (7, []), command


def test_needs_no_home_and_a_strict_umask_is_fine(checkout: Checkout) -> None:
    wrapper = shlex.quote(str(checkout.root / "scripts/invoke"))
    assert checkout.run("sh", "-c", f"umask 077; unset HOME; exec {wrapper}")[0] == 7


def test_later_calls_cost_nothing(checkout: Checkout) -> None:
    checkout.run()
    began = time.monotonic()
    for _ in range(10):
        checkout.run()
    assert (time.monotonic() - began) / 10 < 0.2


def test_a_change_of_the_requirements_is_installed(checkout: Checkout) -> None:
    checkout.run()
    checkout.requirements.write_text("invoke==1.0\nnox==1.0\n")
    _, _, err = checkout.run()
    assert err[0] == "scripts/invoke: installing 2 packages of requirements.txt into .venv with uv"
    assert READY.fullmatch(err[1])
    assert checkout.run()[2] == []


@pytest.mark.parametrize("how", ["moved", "copied"])
def test_a_checkout_in_another_place_is_noticed(checkout: Checkout, how: str) -> None:
    checkout.run()
    there = checkout.root.with_name("there")
    if how == "moved":
        checkout.root.rename(there)
    else:
        shutil.copytree(checkout.root, there, symlinks=True)
    checkout.root = there
    checkout.fake_uv()
    code, out, err = checkout.run()
    assert code == 7
    assert out.startswith(f"{there}/.venv/bin/invoke list\n")
    assert err[:3] == [UNUSABLE, making(checkout), INSTALLING]


def test_a_python_that_went_away_is_noticed(checkout: Checkout) -> None:
    checkout.run()
    for name in ("python", "python3"):
        (checkout.root / ".venv/bin" / name).unlink()
        (checkout.root / ".venv/bin" / name).symlink_to("/usr/bin/python3.0")
    assert checkout.run()[2][:3] == [UNUSABLE, making(checkout), INSTALLING]
    assert checkout.run()[2] == []


def test_an_environment_made_by_hand_is_kept(checkout: Checkout) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", checkout.root / ".venv"], check=True)
    assert checkout.run()[2][0] == INSTALLING


def test_an_interrupted_set_up_is_not_taken_for_complete(checkout: Checkout) -> None:
    started = checkout.bin.parent / "started"
    checkout.fake_uv(install=f": >{shlex.quote(str(started))}; exec sleep 60")
    with checkout.start() as process:
        while not started.exists():
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode in {130, -signal.SIGINT}
    checkout.fake_uv()
    code, _, err = checkout.run()
    assert (code, err[0]) == (7, INSTALLING)


def test_two_at_once_set_up_once(checkout: Checkout) -> None:
    checkout.fake_uv(install="sleep 0.5")
    first, second = checkout.start(), checkout.start()
    with first, second:
        said = [process.communicate(timeout=60)[1] for process in (first, second)]
    assert (first.returncode, second.returncode) == (7, 7)
    assert checkout.installs == 1
    assert sum("waiting for another set-up of .venv" in err for err in said) == 1


def test_works_without_flock(checkout: Checkout) -> None:
    (checkout.bin / "flock").unlink()
    assert checkout.run()[0] == 7


def test_no_python(checkout: Checkout) -> None:
    (checkout.bin / "python3").unlink()
    assert checkout.run() == (
        3,
        "",
        ["scripts/invoke: needs Python 3.11 or newer: there is no python3 that works on PATH"],
    )


def test_python_too_old(checkout: Checkout) -> None:
    checkout.fake("python3", "echo 3.9.2")
    checkout.fake("python3.12", "exit 127  # what pyenv puts there for a version that is not chosen")
    assert checkout.run() == (3, "", ["scripts/invoke: needs Python 3.11 or newer: python3 is 3.9.2"])


def test_a_newer_python_beside_an_old_one_is_found(checkout: Checkout) -> None:
    (checkout.bin / "python3").rename(checkout.bin / "python3.13")
    checkout.fake("python3", "echo 3.9.2")
    assert checkout.run()[0] == 7


def test_no_ensurepip_and_not_root(checkout: Checkout) -> None:
    checkout.fake("python3", "echo /usr/bin/python3.99")
    checkout.fake("uv", "exit 1")
    checkout.fake("id", "echo 1000")
    assert checkout.run() == (
        3,
        "",
        [
            "scripts/invoke: making .venv with /usr/bin/python3.99",
            (
                "scripts/invoke: /usr/bin/python3.99 cannot make environments: install python3.99-venv "
                "(sudo apt-get install python3.99-venv)"
            ),
        ],
    )


def test_no_ensurepip_and_apt_fails(checkout: Checkout) -> None:
    checkout.fake("python3", "echo /usr/bin/python3.99")
    checkout.fake("uv", "exit 1")
    checkout.fake("id", "echo 0")
    checkout.fake("apt-get", 'echo "E: $1: no such package"; exit 100')
    assert checkout.run() == (
        3,
        "",
        [
            "scripts/invoke: making .venv with /usr/bin/python3.99",
            "scripts/invoke: installing python3.99-venv with apt-get",
            "scripts/invoke: apt-get could not install python3.99-venv. The end of its output:",
            "    E: update: no such package",
            "    E: install: no such package",
        ],
    )


def test_no_requirements(checkout: Checkout) -> None:
    checkout.requirements.unlink()
    assert checkout.run() == (3, "", [f"scripts/invoke: there is no requirements.txt in {checkout.root}"])


def locked(*names: str) -> str:
    """Return the pinned and hashed stanzas of the repository's own requirements.txt."""
    text = (ROOT / "requirements.txt").read_text()
    return "".join(re.search(rf"(?m)^{name}==.*\n(?: .*\n)*", text)[0] for name in names)  # type: ignore[index]  # they are there


def test_uv_fails_and_pip_has_no_network(checkout: Checkout) -> None:
    checkout.fake_uv(install="echo 'error: Failed to fetch'; echo '  cause: dns error' >&2; exit 2")
    checkout.requirements.write_text(locked("invoke"))
    settings = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_NO_CACHE_DIR": "1"}
    code, out, err = checkout.run(env=settings)
    assert (code, out) == (3, "")
    assert err[:6] == [
        making(checkout),
        INSTALLING,
        "scripts/invoke: uv could not:   cause: dns error",
        making(checkout),
        INSTALLING.replace("uv", "pip"),
        (
            "scripts/invoke: pip could not install requirements.txt (no network, or no way to the package index?). "
            "The end of its output:"
        ),
    ]
    assert err[-1].startswith("    ERROR: No matching distribution found for invoke==")
    assert not list(checkout.bin.parent.glob("tmp.*"))


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_for_real(checkout: Checkout, installer: str) -> None:
    """The whole way with the package index, under settings that would send packages elsewhere or refuse them."""
    (checkout.bin / "uv").unlink()
    if installer == "uv":
        uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
        (checkout.bin / "uv").symlink_to(uv)
    checkout.requirements.write_text(locked("invoke"))
    (checkout.root / "tasks.py").write_text(
        "from invoke.tasks import task\n@task\ndef hello(c, name):\n    print('hello', name)\n"
    )
    constraint = checkout.root / "constraint.txt"
    constraint.write_text("invoke<1\n")
    kept = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "UV_", "SSL_", "HTTP", "http"))}
    hostile = {"PIP_CONSTRAINT": str(constraint), "UV_CONSTRAINT": str(constraint), "PIP_USER": "1", "PIP_TARGET": "x"}
    wrapper = str(checkout.root / "scripts/invoke")
    code, out, err = checkout.run(wrapper, "hello", "--name", "a b", cwd=Path("/"), env=kept | hostile)
    assert (code, out) == (0, "hello a b\n"), err
    assert err[:2] == [making(checkout), INSTALLING.replace("uv", installer)]
    assert checkout.run(wrapper, "hello", "--name", "a b", cwd=Path("/"), env=kept | hostile) == (0, "hello a b\n", [])

"""What a user's own ``pip install`` and ``uv pip install`` may change in an image, and what they may not."""

from __future__ import annotations

import io
import json
import tarfile
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import uv

from tests.containers import Finished, running
from tests.smoke.conftest import name_of
from tests.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scripts.recipe.matrix import ImageSpec
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

FAR = "99.0"
"""A version newer than any: what an upgrade would take if nothing held it back."""
INSTALLERS = {
    "pip": ("python", "-m", "pip", "install", "--no-index", "--find-links", "/wheels", "--disable-pip-version-check"),
    "uv": ("/wheels/uv", "pip", "install", "--no-index", "--find-links", "/wheels", "--no-cache"),
}
EAGER = {"pip": ("--upgrade", "--upgrade-strategy", "eager"), "uv": ("--upgrade",)}
SAYS = {"pip": "(constraint) numpy==", "uv": "numpy=="}
VERSIONS = (
    "import sys, json; from importlib.metadata import distributions as d; "
    "print(json.dumps({n: [x.version for x in d(name=n)] for n in sys.argv[1:]}))"
)


@dataclass(frozen=True, slots=True)
class Child:
    """A container in which one installer is used, and what was there before."""

    installer: str
    container: Container
    before: Mapping[str, list[str]]

    def install(self, *arguments: str) -> Finished:
        """Install something, and give what was said."""
        return self.container.exec(*INSTALLERS[self.installer], *arguments, seconds=60)

    @property
    def changed(self) -> str:
        """What is no longer as it was, in words."""
        after = versions(self.container, self.before)
        return " ".join(
            f"{name_of(name)} {old} to {after[name]}" for name, old in self.before.items() if after[name] != old
        )


@pytest.fixture(scope="module", params=INSTALLERS)
def child(request: pytest.FixtureRequest, image: str, spec: ImageSpec) -> Iterator[Child]:
    """No network, but a folder of wheels: newer ones of all that is held, and some that want them."""
    held = ("numpy", *spec.packages)  # what the tag promises, and numpy, which all of that was built against
    wheels = [make_wheel(name, FAR) for name in held]
    wheels += [
        make_wheel("wants-all", "1.0", *held, code="x = 1"),
        make_wheel("wants-another-numpy", "1.0", f"numpy>={FAR}"),
        make_wheel("wants-nothing", "1.0", code="x = 1"),
    ]
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(uv.find_uv_bin(), "wheels/uv")
        for file, data in wheels:
            info = tarfile.TarInfo(f"wheels/{file}")
            info.size = len(data)
            info.mode = 0o644
            tar.addfile(info, io.BytesIO(data))
    with running(image, "infinity", entrypoint=["sleep"], network_mode="none", init=True) as container:
        container.engine.put_archive("/", archive.getvalue())
        yield Child(request.param, container, versions(container, held))


def versions(container: Container, names: Iterable[str]) -> dict[str, list[str]]:
    return dict(json.loads(container.read("python", "-c", VERSIONS, *names)))


def told(done: Finished) -> str:
    """The last line of an installer's complaint."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return f"code {done.code}: {lines[-1] if lines else ''}"[:120]


def test_installs(child: Child, claim: Claim) -> None:
    done = child.install("wants-nothing")
    if done.code == 0:
        done = child.container.exec("python", "-c", "import wants_nothing")
    claim("installed" if done.code == 0 else told(done), "installed")


def test_keeps_what_the_tag_promises(child: Child, claim: Claim) -> None:
    """A package that wants torch, tensorflow or numpy gets those that are there, even when told to upgrade all."""
    done = child.install(*EAGER[child.installer], "wants-all")
    measured = child.changed or ("all kept" if done.code == 0 else told(done))
    claim(measured, "all kept", ok=measured == "all kept" and all(child.before.values()))


def test_refuses_another_numpy(child: Child, claim: Claim) -> None:
    """With a message that names what holds it."""
    done = child.install("wants-another-numpy")
    named = SAYS[child.installer] + " ".join(child.before["numpy"])
    found = named if named in " ".join((done.stdout + done.stderr).split()) else told(done)
    claim(child.changed or f"{'refused' if done.code else 'installed'}: {found}", f"refused: {named}")


def test_finds_nothing_broken(rest: Container, claim: Claim) -> None:
    """What is installed fits together, in the words of ``pip check``."""
    done = rest.exec("python", "-m", "pip", "check", "--disable-pip-version-check", seconds=60)
    claim(done.stdout.strip().partition("\n")[0], "No broken requirements found.")


def test_installs_for_a_user_without_write_access(rest: Container, claim: Claim) -> None:
    """Into the user's own folder."""
    _, wheel = make_wheel("wants-nothing", "1.0", code="x = 1")
    home = f"/tmp/{uuid.uuid4().hex}"
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).parent.mkdir(); pathlib.Path(sys.argv[1]).write_bytes(bytes.fromhex(sys.argv[2]))"
    file = f"{home}/wants_nothing-1.0-py3-none-any.whl"
    rest.exec("python", "-c", code, file, wheel.hex(), user="1000:100")
    pip = ("python", "-m", "pip", "install", "--no-index", "--disable-pip-version-check", file)
    done = rest.exec("env", f"HOME={home}", *pip, user="1000:100")
    if done.code == 0:
        code = "import wants_nothing as w; print(w.__file__)"
        done = rest.exec("env", f"HOME={home}", "python", "-c", code, user="1000:100")
    claim("in ~/.local" if f"{home}/.local/" in done.stdout else told(done), "in ~/.local")

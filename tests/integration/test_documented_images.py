"""The commands that the pages give to those who use an image, run as they stand there but for ports, names and wheels."""

from __future__ import annotations

import os
import re
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker
import pytest
import requests

from scripts.release.transport import Transport
from scripts.smoke.run import engine_has_gpu
from tests.attested import make_build
from tests.containers import LABEL, RUN, Container
from tests.pages import load_pages
from tests.registries import serve_registry
from tests.wheels import make_wheel
from tests.workspaces import make_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

IMAGE = "quay.io/vessl-ai/python:3.11"
TOKEN = {"Authorization": "token choose-one"}
TRAIN = "open('result.txt', 'w').write('trained'); print('trained')\n"
SSH = "ssh -p 2222 root@localhost"
NO_GPU = 125
"""What docker ends with where nothing gives it a GPU."""


@dataclass(frozen=True, slots=True)
class Runs:
    """A command that ends, and what it prints (a regular expression)."""

    prints: str = ""
    code: int = 0


@dataclass(frozen=True, slots=True)
class Serves:
    """A workspace, and a file that it shows; it runs until it is stopped."""

    shows: str = ""


@dataclass(frozen=True, slots=True)
class Pulls:
    """A command about what is in a registry, and what it prints."""

    prints: str


COMMANDS: dict[str, Runs | Serves | Pulls] = {
    f"docker run --rm {IMAGE} python -c 'import torch; print(torch.__version__)'": Runs(r"^2\.\d+\.\d+\+cpu$"),
    f'docker run --rm -v "$PWD":/work -w /work {IMAGE} python train.py': Runs("^trained$"),
    f"docker run --rm {IMAGE} bash -c 'cd /tmp && exec python -c \"import os; print(os.getcwd())\"'": Runs("^/tmp$"),
    f"docker run --rm --shm-size 8g {IMAGE} df -h /dev/shm": Runs(r"8\.0G"),
    f"docker run --rm -p 8888:8888 -e VESSL_TOKEN=choose-one {IMAGE}": Serves(),
    f'docker run --rm -p 8888:8888 -v "$PWD/token":/run/token:ro -e VESSL_TOKEN_FILE=/run/token {IMAGE}': Serves(),
    f'docker run --rm -p 8888:8888 -v "$PWD":/work -w /work -e VESSL_TOKEN=choose-one {IMAGE}': Serves("train.py"),
    "docker run --rm -p 8888:8888 -p 2222:22 -e VESSL_TOKEN=choose-one "
    f'-e VESSL_SSH_PUBLIC_KEY="$(cat ~/.ssh/id_ed25519.pub)" {IMAGE}': Serves(),
    f"docker run --rm --read-only --tmpfs /tmp -p 8888:8888 -e VESSL_TOKEN=choose-one {IMAGE}": Serves(),
    f"docker run --rm {IMAGE} start-workspace --help": Runs("VESSL_TOKEN_FILE"),
    "docker run --rm --gpus all quay.io/vessl-ai/cuda:12.1 nvidia-smi": Runs(),
    f"docker run --rm {IMAGE} pip install einops": Runs(r"Successfully installed einops-0\.1"),
    f"docker run --rm -e PIP_CONSTRAINT= {IMAGE} pip install numpy==1.26.4": Runs(r"installed numpy-1\.26\.4"),
    f"docker run --rm --user 1000:100 {IMAGE} python -c 'import os; print(os.path.expanduser(\"~\"))'": Runs(
        "^/tmp/home-1000$"
    ),
    f'docker run --rm --user "$(id -u):$(id -g)" -v "$PWD":/work -w /work {IMAGE} python train.py': Runs("^trained$"),
    f"docker run --rm --read-only --tmpfs /tmp --user 1000:100 {IMAGE} python -c 'import pandas'": Runs("^$"),
    f"docker pull {IMAGE}": Pulls("/vessl-ai/python:3.11\n$"),
    f"docker pull {IMAGE}-r14": Pulls("/vessl-ai/python:3.11-r14\n$"),
    f"docker image inspect {IMAGE} --format '{{{{index .RepoDigests 0}}}}'": Pulls("/vessl-ai/python@{digest}\n$"),
}


def those(kind: type) -> list[str]:
    return [text for text, wanted in COMMANDS.items() if isinstance(wanted, kind)]


@pytest.fixture
def place(tmp_path: Path, cpu: dict[str, Any], cuda: dict[str, Any]) -> Path:
    """Where somebody is who gives the commands: a script, a token, a key, and an index that is only a folder."""
    assert (cpu["reference"], cuda["reference"]) == (IMAGE, "quay.io/vessl-ai/cuda:12.1")
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "token").write_text("choose-one\n")
    (tmp_path / ".ssh").mkdir()
    make_key(tmp_path / ".ssh" / "id_ed25519")
    (tmp_path / "wheels").mkdir()
    for name, version in (("einops", "0.1"), ("numpy", "1.26.4")):
        file, data = make_wheel(name, version, code="")
        (tmp_path / "wheels" / file).write_bytes(data)
    return tmp_path


def adapted(text: str, place: Path) -> list[str]:
    """The command with a label, so that nothing is left behind, on free ports, and with a folder for an index."""
    options = f"--label {LABEL}={RUN} --cidfile {place}/container"
    if "pip install " in text:
        options += f" -v {place}/wheels:/wheels:ro -e PIP_NO_INDEX=1 -e PIP_FIND_LINKS=/wheels"
    text = text.replace("docker run", f"docker run {options}", 1)
    free = re.sub(r"-p [0-9]+:([0-9]+)", r"-p 127.0.0.1::\1", text)
    return ["bash", "-c", f"exec {free}"]


def run(command: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HOME": str(place)}
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("text", those(Runs))
def test_a_command_that_ends(text: str, place: Path) -> None:
    wanted = COMMANDS[text]
    assert isinstance(wanted, Runs)
    done = run(adapted(text, place), place)
    if "--gpus" in text and not engine_has_gpu():
        assert (done.returncode, "could not select device driver" in done.stderr) == (NO_GPU, True), done.stderr
        return
    assert done.returncode == wanted.code, done.stderr
    assert re.search(wanted.prints, done.stdout, re.MULTILINE), done.stdout
    if "train.py" in text:
        result = place / "result.txt"
        assert (result.read_text(), result.stat().st_uid) == ("trained", os.getuid())


@contextmanager
def served(text: str, place: Path) -> Iterator[Container]:
    """The container of a workspace that answers; it ends with 0 when it is stopped."""
    environment = {**os.environ, "HOME": str(place)}
    with subprocess.Popen(adapted(text, place), cwd=place, env=environment, stderr=subprocess.DEVNULL) as process:
        file, client = place / "container", docker.from_env(timeout=60)
        while not (file.exists() and file.read_text()):
            assert process.poll() is None, "docker run has ended"
            time.sleep(0.05)
        container = Container(client.containers.get(file.read_text()))
        try:
            while container.engine.status == "created":
                time.sleep(0.05)
                container.engine.reload()
            yield container
            container.engine.stop()
            assert process.wait(20) == 0
        finally:
            process.kill()
            client.close()


@pytest.mark.parametrize("text", those(Serves))
def test_a_workspace(text: str, place: Path) -> None:
    wanted = COMMANDS[text]
    assert isinstance(wanted, Serves)
    with served(text, place) as container:
        address = container.wait_for_http("/api/status", 8888, TOKEN, seconds=60)
        listed = requests.get(f"{address}/api/contents", headers=TOKEN, timeout=30).json()["content"]
        assert not wanted.shows or wanted.shows in {item["name"] for item in listed}
        if "SSH_PUBLIC_KEY" in text:
            port = container.wait_for_port(22)
            # The rest is for a machine whose user has keys and known hosts of their own.
            options = (
                f"-i {place}/.ssh/id_ed25519 -F /dev/null -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
            )
            there = SSH.replace("2222", str(port)).replace("localhost", "127.0.0.1").replace("ssh", f"ssh {options}", 1)
            assert run(["bash", "-c", f"{there} 'echo $USER'"], place).stdout == "root\n"


def test_what_is_pulled(tmp_path: Path) -> None:
    """From a registry on loopback, in the place of the one that is named."""
    with serve_registry(tmp_path / "registry") as registry:
        made = make_build(tmp_path / "build", f"{registry.host}/vessl-ai", "python:3.11")
        with Transport(credentials=lambda _: None) as transport:
            made.upload(transport, registry.repository("vessl-ai/python"), "3.11", "3.11-r14")
        names = [f"{registry.host}/vessl-ai/python:3.11{end}" for end in ("", "-r14")]
        try:
            for text in those(Pulls):
                wanted = COMMANDS[text]
                assert isinstance(wanted, Pulls)
                done = run(["bash", "-c", text.replace("quay.io", registry.host)], tmp_path)
                assert done.returncode == 0, done.stderr
                assert re.search(wanted.prints.format(digest=made.build.digest), done.stdout), done.stdout
        finally:
            subprocess.run(["docker", "image", "rm", *names], capture_output=True, check=False)


def test_the_dockerfile_of_the_page_builds_on_ours(place: Path) -> None:
    (text,) = [block.text for block in load_pages()["docs/running.md"].blocks if block.language == "dockerfile"]
    start, rest = text.split("\n", 1)
    assert start == f"FROM {IMAGE}-r14"
    index = "COPY wheels /wheels\nENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels"
    (place / "Dockerfile").write_text(f"FROM {IMAGE}\n{index}\n{rest}")
    (place / ".dockerignore").write_text("*\n!wheels\n")
    name = f"images-test-pages:{os.getpid()}"
    done = run(["docker", "build", "--quiet", "--tag", name, "."], place)
    try:
        assert done.returncode == 0, done.stderr
        assert "einops 0.1" in " ".join(run(["docker", "run", "--rm", name, "pip", "list"], place).stdout.split())
    finally:
        subprocess.run(["docker", "image", "rm", "--force", name], capture_output=True, check=False)


def test_a_user_without_a_name_installs_into_a_home_of_its_own(place: Path) -> None:
    command = f"docker run --rm --user 1000:100 {IMAGE} bash -c 'pip install einops && pip show einops'"
    done = run(adapted(command, place), place)
    assert done.returncode == 0, done.stderr
    assert "Location: /tmp/home-1000/.local/" in done.stdout

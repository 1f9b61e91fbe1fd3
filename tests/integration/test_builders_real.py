"""Builders for real: the machine's engine and a second one, as another docker context and over each driver there is here.

And an image of two platforms, one of them emulated: built, run, tested as far as there is something to test, published.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scripts.release.ledger import FILENAME, load_ledger
from scripts.release.registry import put_manifest
from scripts.release.transport import Transport
from scripts.release.upload import upload_blobs
from scripts.smoke.platforms import why_not_run
from tests.bench.engine import own_bridge, own_engine, work_directory
from tests.bridge import Door, serve_buildkit
from tests.busybox import emulate_arm64, make_base
from tests.certificates import make_authority, sign
from tests.products import NO_EVIDENCE_SETTINGS
from tests.registries import serve_registry
from tests.tls import serve_tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.bench.engine import OwnEngine

pytestmark = pytest.mark.engine

ROOT = Path(__file__).resolve().parents[2]
AMD64, ARM64 = "linux/amd64", "linux/arm64"
FAR, FARM, BOX = (f"images-test-{name}-{os.getpid()}" for name in ("far", "farm", "box"))
ROWS = ("1", "2", "3", "4")
SPACE = 1_500_000_000
BUILT = ("--against", "built")
"""Options with which ``plan`` compares with what was built here."""
# What was made is copied with fixed times, as in the real ones; the last row says when it is at work.
DOCKERFILE = """\
ARG BASE_IMAGE=base:1
FROM ${BASE_IMAGE} AS made
ARG ROW=1
ARG SECONDS=0
RUN ["/busybox", "sh", "-c", "mkdir /layer && echo row $ROW on $(/busybox uname -m) >/layer/made && echo at work && /busybox sleep $SECONDS && /busybox find /layer -exec /busybox touch -h -d @315532800 {} +"]
FROM ${BASE_IMAGE} AS app
COPY --link --from=made /layer/ /
"""


# In place of moby/buildkit, which is out of reach: what buildx asks of a container leads to the BuildKit behind a door.
CONTAINER = """\
FROM {base}
COPY --chmod=755 <<"END" /usr/bin/buildctl
#!/busybox sh
case "$1" in
dial-stdio) exec /busybox nc 127.0.0.1 {port} ;;
debug) echo workers ;;
*) exit 1 ;;
esac
END
COPY --chmod=755 <<"END" /usr/bin/buildkitd
#!/busybox sh
case "$1" in
--version) echo "buildkitd github.com/moby/buildkit v0.13.0 0" ;;
*) exec /busybox sleep 3600 ;;
esac
END
ENTRYPOINT ["/usr/bin/buildkitd"]
"""


@dataclass(frozen=True)
class Place:
    """A checkout with a family of small images, and where they can be published."""

    root: Path
    host: str
    environment: dict[str, str]

    def write(self, *platforms: str, **args: str) -> None:
        """Write the version manifest; ``args`` are build arguments of all rows."""
        family = self.root / "fam"
        family.mkdir(exist_ok=True)
        (family / "Dockerfile").write_text(DOCKERFILE)
        shown = ", ".join(f'{name} = "{value}"' for name, value in args.items())
        text = f"""\
            description = "Small images"
            default = "1"
            lock = false
            [stages.app]
            repository = "app"
            tag = "{{version}}"
            [defaults]
            platforms = {json.dumps(platforms)}
            args = {{ {shown} }}
            """
        rows = "".join(f'[[image]]\nversion = "{row}"\nbase = "{self.host}/base:1"\npython = "3.11"\n' for row in ROWS)
        (family / "versions.toml").write_text(textwrap.dedent(text) + rows)

    def command(self, *words: str) -> list[str]:
        return [str(Path(sys.executable).with_name("invoke")), "--search-root", str(self.root), *words]

    def run(self, *words: str) -> Any:
        done = subprocess.run(
            self.command(*words, "--format", "json"), env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def build(self, *words: str) -> dict[str, str]:
        """Build all rows; the digest of each."""
        return {row["id"]: row["digest"] for row in self.run("build", "fam", "--all", *words)}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The base is in the registry for both platforms."""
    root = tmp_path_factory.mktemp("checkout")
    space = "\nimport scripts.build.build\nscripts.build.build.SPACE = {False: 0, True: 0}\n"
    (root / "tasks.py").write_text((ROOT / "tasks.py").read_text() + space)
    shutil.copy(ROOT / "invoke.yaml", root)
    (root / "scripts" / "image").mkdir(parents=True)
    (root / "scripts" / "image" / "requirements.txt").touch()
    with serve_registry(root / "registry", delete=True) as registry:
        base = make_base(root, (AMD64, ARM64))
        with Transport(credentials=lambda _: None) as transport:
            repository = registry.repository("base")
            upload_blobs(transport, repository, base.blobs)
            for image in base.images.values():
                put_manifest(transport, repository.digest(image.digest), image)
            put_manifest(transport, repository.tag("1"), base.manifest)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("INVOKE_", "BUILDX_"))},
            **NO_EVIDENCE_SETTINGS,
            "PYTHONPATH": str(ROOT),
            "INVOKE_IMAGES_REGISTRY": registry.host,
            "INVOKE_IMAGES_CACHE": str(root / "cache"),
        }
        try:
            yield Place(root, registry.host, environment)
        finally:
            names = [f"{registry.host}/app:{row}" for row in ROWS]
            apart = [f"{name}.{platform.replace('/', '-')}" for name in names for platform in (AMD64, ARM64)]
            subprocess.run(["docker", "image", "rm", "--force", *names, *apart], capture_output=True, check=False)


@pytest.fixture(scope="module")
def far() -> Iterator[OwnEngine]:
    """A second engine, empty, as a builder that is called ``FAR``; it emulates ARM as the kernel does."""
    emulate_arm64()
    with work_directory(SPACE) as work, own_bridge() as bridge, own_engine(work, bridge) as engine:
        subprocess.run(["docker", "context", "create", FAR, "--docker", f"host={engine.host}"], check=True)
        try:
            yield engine
        finally:
            subprocess.run(["docker", "context", "rm", "--force", FAR], check=True)


@pytest.fixture
def farm(far: OwnEngine) -> Iterator[Door]:
    """The BuildKit of the second engine on loopback, as a builder of the remote driver that is called ``FARM``."""
    with serve_buildkit(far.host.removeprefix("unix://")) as door:
        subprocess.run(["docker", "buildx", "create", "--name", FARM, "--driver", "remote", door.address], check=True)
        try:
            yield door
        finally:
            subprocess.run(["docker", "buildx", "rm", "--force", FARM], check=True)


@pytest.fixture
def box(place: Place, far: OwnEngine) -> Iterator[str]:
    """The BuildKit of the second engine as a builder of the driver docker-container; the name of its container."""
    image = f"{place.host}/buildkit:1"
    with serve_buildkit(far.host.removeprefix("unix://")) as door:
        dockerfile = CONTAINER.format(base=f"{place.host}/base:1", port=door.port)
        command = ["docker", "buildx", "build", "--builder", "default", "--quiet", "--tag", image, "--push", "-"]
        subprocess.run(command, input=dockerfile, text=True, check=True)
        options = ("--driver-opt", f"image={image},network=host")
        create = ["docker", "buildx", "create", "--name", BOX, "--driver", "docker-container", *options]
        subprocess.run(create, check=True)
        try:
            yield f"buildx_buildkit_{BOX}0"
        finally:
            subprocess.run(["docker", "buildx", "rm", "--force", BOX], check=True)
            subprocess.run(["docker", "image", "rm", "--force", image], check=True)


def test_two_builders_make_what_one_makes(place: Place, far: OwnEngine) -> None:
    place.write(AMD64)
    one = place.build("--builder", "default", "--no-cache")
    cached = far.cached()
    two = place.build("--builder", f"default,{FAR}", "--no-cache")
    assert two == one
    assert len(set(one.values())) == len(ROWS)
    assert far.cached() > cached, "the second builder has built nothing"


def test_what_one_engine_gave_to_the_cache_another_takes_from_it(place: Place, far: OwnEngine) -> None:
    """A step that comes out otherwise each time shows whether it was run again."""
    place.write(AMD64)
    dockerfile = place.root / "fam" / "Dockerfile"
    chance = DOCKERFILE.replace("echo row $ROW on $(/busybox uname -m)", "/busybox cat /proc/sys/kernel/random/uuid")
    assert chance != DOCKERFILE
    dockerfile.write_text(chance)
    cache = f"{place.host}/buildcache"
    given = place.build("--builder", "default", "--no-cache", "--cache-to", cache)
    for words, same in ((("--cache-from", cache), True), ((), False)):
        shutil.rmtree(place.root / "out")  # nothing is known of the build before
        far.forget(frozenset())
        assert (place.build("--builder", FAR, *words) == given) is same


@pytest.mark.usefixtures("farm")
def test_a_remote_builder_makes_what_the_engine_makes_and_it_is_published_by_digest(
    place: Place, measured: Callable[[str], None]
) -> None:
    place.write(AMD64)
    here = place.build("--builder", "default", "--no-cache")
    began = time.monotonic()
    there = place.build("--builder", FARM, "--no-cache")
    measured(f"{len(ROWS)} small images by the remote driver: {time.monotonic() - began:.1f} s")
    assert there == here
    rows = place.run("push", "fam", "--all", "--unsafe-skip-smoke")
    assert {row["id"]: row["digest"] for row in rows} == there
    reference = f"{place.host}/app@{there['app:3']}"
    subprocess.run(["docker", "pull", "--quiet", reference], check=True)
    try:
        assert run_busybox(reference, AMD64) == "row 3 on x86_64"
    finally:
        subprocess.run(["docker", "image", "rm", "--force", reference], check=True)


def test_a_builder_in_a_container_makes_what_the_engine_makes(place: Place, far: OwnEngine, box: str) -> None:
    """It is started by being asked, builds one half while the engine builds the other, and is a builder no more at last."""
    place.write(AMD64)
    here = place.build("--builder", "default", "--no-cache")
    assert not running(box)
    cached = far.cached()
    assert place.build("--builder", BOX, "--no-cache") == here
    assert running(box)
    assert len(far.cached() - cached) > len(ROWS), "the builder in the container has built nothing"
    assert place.build("--builder", f"default,{BOX}", "--no-cache") == here


def test_a_remote_builder_with_tls_takes_only_whom_it_knows(place: Place, far: OwnEngine, tmp_path: Path) -> None:
    make_authority(tmp_path)
    for name in ("farm", "client"):
        sign(tmp_path, name)
    place.write(AMD64)
    here = place.build("--builder", "default", "--no-cache")
    options = [f"cacert={tmp_path}/ca.pem", "servername=farm"]
    known = [f"cert={tmp_path}/client.pem", f"key={tmp_path}/client-key.pem"]
    with serve_buildkit(far.host.removeprefix("unix://")) as door, serve_tls(door.port, tmp_path, "farm") as port:
        for chosen in ([*options, *known], options):
            create = ["docker", "buildx", "create", "--name", FARM, "--driver", "remote"]
            words = ["--driver-opt", ",".join(chosen), f"tcp://127.0.0.1:{port}"]
            subprocess.run([*create, *words], check=True)
            try:
                if chosen != options:
                    assert place.build("--builder", FARM, "--no-cache") == here
                else:
                    stranger = place.command("build", "fam", "--all", "--builder", FARM, "--no-cache")
                    done = subprocess.run(stranger, env=place.environment, capture_output=True, text=True, check=False)
                    assert done.returncode == 3, done.stderr
                    assert done.stderr.startswith(
                        f"builder {FARM}: context deadline exceeded: nothing that it can talk"
                    )
            finally:
                subprocess.run(["docker", "buildx", "rm", "--force", FARM], check=True)


def test_a_builder_that_dies_is_named_the_rest_is_kept_and_a_rerun_resumes(place: Place, farm: Door) -> None:
    """In the middle of a step: its connections are cut, and it takes no others."""
    place.write(AMD64, SECONDS="15")
    said = []
    with subprocess.Popen(
        place.command("build", "fam", "--all", "--builder", f"default,{FARM}", "--format", "json"),
        env=place.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        assert process.stdout
        for line in process.stderr:
            said.append(line)
            if re.match(rf"{FARM}: #\d+ \S+ at work", line):
                farm.close()
        output = process.stdout.read()
    assert (process.returncode, bool(output)) == (3, True), "".join(said)
    built = json.loads(output)
    (last,) = [line for line in said if line.startswith(f"builder {FARM}: app:2, app:4: not built: ")]
    assert "it does not answer any more" in last
    assert [row["id"] for row in built] == ["app:1", "app:3"]
    planned = {row["id"]: row["action"] for row in place.run("plan", "fam", *BUILT)}
    assert planned == {"app:1": "up to date", "app:2": "build", "app:3": "up to date", "app:4": "build"}
    place.build("--builder", "default")
    assert {row["action"] for row in place.run("plan", "fam", *BUILT)} == {"up to date"}


@pytest.mark.usefixtures("far")
def test_an_image_of_two_platforms_is_built_run_and_published_as_one_revision(place: Place) -> None:
    """The second engine was started when the kernel could emulate, so it builds for both."""
    assert why_not_run(ARM64) == ""
    place.write(AMD64, ARM64)
    built = place.build("--builder", FAR, "--no-cache")
    shared = place.build("--builder", f"default,{FAR}", "--no-cache")
    assert shared == built
    record = json.loads((place.root / "out" / "app_1" / "build.json").read_text())
    assert list(record["platforms"]) == [AMD64, ARM64]
    assert record["digest"] == built["app:1"]
    for platform, machine in ((AMD64, "x86_64"), (ARM64, "aarch64")):
        assert run_busybox(f"{place.host}/app:1", platform) == f"row 1 on {machine}"
    row, *_ = place.run("push", "fam", "--version", "1", "--unsafe-skip-smoke", "--reason", "for two platforms")
    assert row["digest"] == built["app:1"]
    ledger = load_ledger(place.root / "out" / "ledgers" / place.host.replace(":", "_") / "fam" / FILENAME)
    line = ledger.published(f"{place.host}/app", "1")[-1]
    assert {item.platform: item.digest for item in line.platforms} == record["platforms"]
    assert place.run("audit") == []
    for platform in (AMD64, ARM64):
        found = place.run("inventory", f"{place.host}/app:1", "--platform", platform)
        assert (found["image"]["platform"], found["image"]["digest"]) == (platform, record["platforms"][platform])
        assert place.run("size", "app:1", "--platform", platform)[0]["size"] > 500_000


def running(container: str) -> bool:
    command = ["docker", "container", "inspect", "--format", "{{.State.Running}}", container]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() == "true"


def run_busybox(reference: str, platform: str) -> str:
    command = ["docker", "run", "--rm", "--network=none", "--platform", platform, reference, "/busybox", "cat", "/made"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

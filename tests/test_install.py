"""Installing an engine, in a directory that stands for the system and with fakes for apt, dpkg and dockerd."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.build import apt, install
from scripts.build.apt import AptSource
from scripts.errors import BuildError

DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nID=debian\n'
DEBIAN_13 = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION_ID="13"\nVERSION_CODENAME=trixie\nID=debian\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n'
DEB822 = """\
# the first line of a comment
Types: deb deb-src
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: https://off.example/debian
Suites: bookworm
Components: main
"""
ONE_LINE = """\
# deb https://off.example/debian bookworm main
deb-src https://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/apt/key.gpg trusted=yes] https://mirror.example/debian bookworm main contrib # ours
deb https://security.example/debian-security bookworm-security main
"""
if TYPE_CHECKING:
    from collections.abc import Iterator

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class System:
    """A root directory with Debian's files, and a PATH of fakes that note how they were called."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.bin = folder / "bin"
        self.calls_file = folder / "calls"
        self.running = folder / "running"
        self.pid_file = folder / "pid"
        self.log: list[str] = []
        for made in (self.bin, self.root / "etc/apt", self.root / "usr/sbin"):
            made.mkdir(parents=True)
        self.write("etc/os-release", DEBIAN_12)
        self.write("etc/apt/sources.list", "deb https://mirror.example/debian bookworm main\n")
        info = {"ServerVersion": "", "ClientInfo": {"Version": "26.1.5", "Context": "default", "Plugins": []}}
        self.docker = (
            f"if [ -e {shlex.quote(str(self.running))} ]; then echo 26.1.5+dfsg1; exit 0; fi\n"
            f"echo {shlex.quote(json.dumps(info))}; echo 'Cannot connect to the Docker daemon' >&2; exit 1"
        )
        self.dockerd = f": >{shlex.quote(str(self.running))}; exec /bin/sleep 60"
        self.fake("dpkg", "")
        self.fake("dpkg-query", "")
        self.fake("apt-get", "")
        self.apt_installs()

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def fake(self, name: str, body: str) -> None:
        calls, pid = shlex.quote(str(self.calls_file)), shlex.quote(str(self.pid_file))
        note = f"echo $$ >{pid}" if name == "dockerd" else f"printf '%s\\n' \"{name} $*\" >>{calls}"
        (self.bin / name).write_text(f"#!/bin/sh\n{note}\n{body}\n")
        (self.bin / name).chmod(0o755)

    def apt_installs(self) -> None:
        """Make apt-get bring what real packages would: move the fakes that wait in another folder onto PATH."""
        waiting = self.bin.parent / "packages"
        waiting.mkdir()
        self.bin, kept = waiting, self.bin
        for name, body in (("docker", self.docker), ("dockerd", self.dockerd), ("containerd", "")):
            self.fake(name, body)
        self.bin = kept
        self.fake("apt-get", f'case $1 in install) /bin/mv {shlex.quote(str(waiting))}/* "${{0%/*}}/" ;; esac')

    def already_installed(self) -> None:
        for name, body in (("docker", self.docker), ("dockerd", self.dockerd), ("containerd", "")):
            self.fake(name, body)
        self.write("usr/libexec/docker/cli-plugins/docker-buildx", "")

    @property
    def calls(self) -> list[str]:
        """The system commands that were run, without the questions put to docker."""
        lines = self.calls_file.read_text().splitlines() if self.calls_file.exists() else []
        return [line for line in lines if not line.startswith(("docker ", "dpkg-query "))]

    def install(self, timeout: float = 20) -> None:
        install.install_engine(self.log.append, root=self.root, timeout=timeout)

    def refusal(self, timeout: float = 20) -> str:
        with pytest.raises(BuildError) as caught:
            self.install(timeout)
        assert caught.value.exit_code == 3
        return str(caught.value)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            pid = int(self.pid_file.read_text())
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    made = System(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr(apt, "SBIN", "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    yield made
    made.stop()


APT_INSTALL = "apt-get install -qq -y --no-install-recommends -o DPkg::Lock::Timeout=120"


def test_debian_12_from_nothing_to_a_running_engine(system: System) -> None:
    system.install()
    assert system.calls == [
        "apt-get update -qq",
        f"{APT_INSTALL} docker.io docker-cli docker-buildx containerd ca-certificates",
    ]
    assert (system.root / "etc/apt/sources.list.d/trixie-docker.sources").read_text() == (
        "Types: deb\nURIs: https://mirror.example/debian\nSuites: trixie\nComponents: main\n"
    )
    assert (system.root / "etc/apt/preferences.d/trixie-docker").read_text() == apt.PIN_DOCKER + apt.PIN_THE_REST
    assert json.loads((system.root / "etc/docker/daemon.json").read_text()) == {
        "features": {"containerd-snapshotter": True}
    }
    assert not (system.root / "usr/sbin/policy-rc.d").exists()
    said = "\n".join(system.log)
    assert system.log[0] == (
        "installing docker.io, docker-cli, docker-buildx, containerd from Debian trixie (Debian 12's own is too old)"
    )
    assert system.log[1] == f"turned on the containerd image store in {system.root}/etc/docker/daemon.json"
    assert "installed in 0 s" in said
    assert f"starting dockerd in the background (its log: {system.root}/var/log/dockerd.log)" in said
    assert system.log[-1].startswith("Docker Engine 26.1.5+dfsg1 answers after ")
    assert len(system.log) == 5


def test_the_started_engine_has_a_session_of_its_own(system: System) -> None:
    system.already_installed()
    system.install()
    pid = int(system.pid_file.read_text())
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").readlink() == Path("/")


@pytest.mark.parametrize(
    ("release", "packages", "origin"),
    [
        (DEBIAN_13, "docker.io docker-cli docker-buildx containerd", "Debian GNU/Linux 13 (trixie)"),
        (UBUNTU, "docker.io docker-buildx containerd", "Ubuntu 24.04.1 LTS"),
    ],
)
def test_others_have_it_themselves(system: System, release: str, packages: str, origin: str) -> None:
    system.write("etc/os-release", release)
    system.install()
    assert system.calls[-1] == f"{APT_INSTALL} {packages} ca-certificates"
    assert system.log[0] == f"installing {packages.replace(' ', ', ')} from {origin}"
    assert not (system.root / "etc/apt/preferences.d").exists()


def test_installed_but_not_running_is_only_started(system: System) -> None:
    system.already_installed()
    system.install()
    assert system.calls == []
    assert [line.split(" (")[0].split(" after")[0] for line in system.log[1:]] == [
        "starting dockerd in the background",
        "Docker Engine 26.1.5+dfsg1 answers",
    ]


def test_an_interrupted_installation_is_finished(system: System) -> None:
    system.already_installed()
    system.fake("dpkg-query", "echo docker.io unpacked; echo containerd installed")
    system.fake("apt-get", "")
    system.install()
    assert system.calls[-1] == f"{APT_INSTALL} docker.io ca-certificates"


def test_dpkg_is_mended_when_apt_asks_for_it(system: System) -> None:
    system.already_installed()
    system.fake("dpkg-query", "echo docker.io half-installed")
    mended = shlex.quote(str(system.root / "mended"))
    system.fake("dpkg", f": >{mended}")
    complaint = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem."
    system.fake("apt-get", f'[ "$1" = update ] || [ -e {mended} ] || {{ echo "{complaint}"; exit 100; }}')
    system.install()
    assert system.calls[1:] == [f"{APT_INSTALL} docker.io ca-certificates", "dpkg --configure -a", system.calls[1]]


def test_services_are_kept_from_starting_only_without_systemd(system: System) -> None:
    seen = system.root / "seen"
    body = (system.bin / "apt-get").read_text().splitlines()[-1]
    system.fake("apt-get", f"/bin/cp {system.root}/usr/sbin/policy-rc.d {seen} 2>/dev/null\n{body}")
    system.install()
    assert seen.read_text() == f"#!/bin/sh\n{apt.POLICY_MARK}\nexit 101\n"


def test_a_policy_of_the_machine_is_kept(system: System) -> None:
    system.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n")
    system.install()
    assert (system.root / "usr/sbin/policy-rc.d").read_text() == "#!/bin/sh\nexit 101\n"


def test_systemd_starts_it_where_it_runs(system: System) -> None:
    system.already_installed()
    (system.root / "run/systemd/system").mkdir(parents=True)
    system.fake("systemctl", f": >{shlex.quote(str(system.running))}")
    system.install()
    assert system.calls == ["systemctl start docker"]
    assert system.log[1] == "starting docker (systemctl start docker)"


def test_apparmor_comes_along_where_the_kernel_has_it(system: System) -> None:
    system.write("sys/module/apparmor/parameters/enabled", "Y\n")
    assert install.companions(system.root) == ("ca-certificates", "apparmor")


def test_only_root(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert system.refusal() == (
        "there is no Docker engine, and only root can install one: run ./scripts/invoke as root once"
    )
    assert system.calls == []


@pytest.mark.parametrize(
    ("release", "name"),
    [
        ('ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora Linux 41"\n', "Fedora Linux 41"),
        (
            'ID=debian\nVERSION_ID="11"\nPRETTY_NAME="Debian GNU/Linux 11 (bullseye)"\n',
            "Debian GNU/Linux 11 (bullseye)",
        ),
        ("", "this system"),
    ],
)
def test_other_systems(system: System, release: str, name: str) -> None:
    system.write("etc/os-release", release)
    assert system.refusal() == (
        "there is no Docker engine, and it is installed for you only on Debian 12 or newer and Ubuntu, "
        f"not on {name}: install Docker Engine 26 or newer with buildx"
    )
    assert system.calls == []


def test_apt_fails(system: System) -> None:
    system.fake("apt-get", 'echo "E: $1 went wrong"; exit 100')
    assert system.refusal() == (
        f"`{APT_INSTALL} docker.io docker-cli docker-buildx containerd ca-certificates` failed with exit code 100:\n"
        "    E: install went wrong\n"
        "`apt-get update -qq` failed with exit code 100:\n"
        "    E: update went wrong"
    )
    assert not (system.root / "usr/sbin/policy-rc.d").exists()


def test_a_broken_source_of_somebody_else_does_not_matter(system: System) -> None:
    body = (system.bin / "apt-get").read_text().splitlines()[-1]
    system.fake("apt-get", f'[ "$1" != update ] || {{ echo "E: The repository is not signed."; exit 100; }}\n{body}')
    system.install()
    assert system.log[-1].startswith("Docker Engine ")


def test_waits_for_another_apt(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    first = shlex.quote(str(system.root / "first"))
    lock = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1"
    body = (system.bin / "apt-get").read_text().splitlines()[-1]
    system.fake("apt-get", f'[ -e {first} ] || {{ : >{first}; echo "{lock}"; exit 100; }}\n{body}')
    system.install()
    assert [call.split()[1] for call in system.calls] == ["update", "update", "install"]


def test_no_apt(system: System) -> None:
    (system.bin / "apt-get").unlink()
    assert system.refusal().startswith(f"`{APT_INSTALL} docker.io docker-cli")
    assert system.refusal().splitlines()[-1] == "`apt-get update -qq` cannot be run: No such file or directory"


def test_dockerd_ends(system: System) -> None:
    system.already_installed()
    system.write("var/log/dockerd.log", "of an earlier time\n")
    system.fake("dockerd", "echo failed to start daemon: Devices cgroup isn\\'t mounted; exit 1")
    assert system.refusal() == (
        f"dockerd ended; the end of {system.root}/var/log/dockerd.log:\n"
        "    failed to start daemon: Devices cgroup isn't mounted"
    )


def test_dockerd_does_not_answer(system: System) -> None:
    system.already_installed()
    system.fake("dockerd", "echo loading; exec /bin/sleep 60")
    assert system.refusal(timeout=0.5) == (
        f"dockerd did not answer within 0.5 s; the end of {system.root}/var/log/dockerd.log:\n    loading"
    )


def test_a_stale_process_number_is_removed(system: System) -> None:
    system.already_installed()
    system.write("run/docker.pid", str(os.getpid()))  # a number that was given out again
    system.write("run/docker/containerd/containerd.pid", "not a number")
    system.install()
    assert not (system.root / "run/docker.pid").exists()
    assert not (system.root / "run/docker/containerd/containerd.pid").exists()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", {"features": {"containerd-snapshotter": True}}),
        ('{"debug": true}', {"debug": True, "features": {"containerd-snapshotter": True}}),
        ('{"features": {"buildkit": true}}', {"features": {"buildkit": True, "containerd-snapshotter": True}}),
    ],
)
def test_daemon_json_keeps_the_rest(before: str, after: dict[str, object]) -> None:
    merged = install.merge_daemon_json(before, Path("daemon.json"))
    assert json.loads(merged) == after
    assert install.merge_daemon_json(merged, Path("daemon.json")) == merged


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "{",
            "d.json: not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): mend it, or remove it",
        ),
        ("[]", 'd.json: expected an object such as {"features": {"containerd-snapshotter": true}}'),
        ('{"features": 1}', 'd.json: expected an object such as {"features": {"containerd-snapshotter": true}}'),
        (
            '{"features": {"containerd-snapshotter": false}}',
            "d.json: containerd-snapshotter is turned off, but the images cannot be built without it",
        ),
    ],
)
def test_daemon_json_that_is_not_touched(text: str, message: str) -> None:
    with pytest.raises(BuildError) as caught:
        install.merge_daemon_json(text, Path("d.json"))
    assert str(caught.value) == message


def test_parse_deb822() -> None:
    assert apt.parse_deb822(DEB822) == (
        AptSource(
            uri="https://mirror.example/debian",
            suites=("bookworm", "bookworm-updates"),
            components=("main", "contrib"),
            signed_by=KEYRING,
        ),
    )


def test_parse_deb822_with_the_key_inside() -> None:
    key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB\n -----END PGP PUBLIC KEY BLOCK-----"
    text = (
        f"Types: deb\nURIs: https://a.example https://b.example\nSuites: bookworm\nComponents: main\nSigned-By:{key}\n"
    )
    first, second = apt.parse_deb822(text)
    assert (first.uri, second.uri) == ("https://a.example", "https://b.example")
    assert apt.parse_deb822(apt.render_source(first, "trixie"))[0].signed_by == first.signed_by == key.strip()


def test_parse_one_line() -> None:
    assert apt.parse_one_line(ONE_LINE) == (
        AptSource(
            uri="https://mirror.example/debian",
            suites=("bookworm",),
            components=("main", "contrib"),
            signed_by="/etc/apt/key.gpg",
            trusted="yes",
        ),
        AptSource(uri="https://security.example/debian-security", suites=("bookworm-security",), components=("main",)),
    )


def test_pinning_takes_the_mirror_of_the_machine(system: System) -> None:
    system.write("etc/apt/sources.list", "deb cdrom:[Debian 12]/ bookworm main\n")
    system.write("etc/apt/sources.list.d/debian.sources", DEB822)
    for _ in range(2):
        apt.pin_trixie(system.root)
        assert (system.root / "etc/apt/sources.list.d/trixie-docker.sources").read_text() == (
            f"Types: deb\nURIs: https://mirror.example/debian\nSuites: trixie\nComponents: main\nSigned-By: {KEYRING}\n"
        )
    assert (system.root / "etc/apt/preferences.d/trixie-docker").read_text() == (
        "# Debian 12's own Docker is too old to build the images.\n"
        "Package: docker.io docker-cli docker-buildx containerd\nPin: release n=trixie\nPin-Priority: 900\n"
        "\n# Nothing else comes from there.\nPackage: *\nPin: release n=trixie\nPin-Priority: -10\n"
    )


def test_a_trixie_source_of_the_machine_keeps_its_priority(system: System) -> None:
    system.write("etc/apt/sources.list.d/own.list", "deb https://mirror.example/debian trixie main\n")
    apt.pin_trixie(system.root)
    assert not (system.root / "etc/apt/sources.list.d/trixie-docker.sources").exists()
    assert (system.root / "etc/apt/preferences.d/trixie-docker").read_text() == apt.PIN_DOCKER


def test_no_mirror_to_pin_from(system: System) -> None:
    system.write("etc/apt/sources.list", "deb https://security.example/debian-security bookworm-security main\n")
    assert system.refusal() == "the apt sources of this machine name no mirror for bookworm/main to take Docker from"

"""Installing an engine."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from scripts.build import apt, install
from scripts.errors import BuildError
from tests.system import APT_INSTALL, DEBIAN_13, UBUNTU, System


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

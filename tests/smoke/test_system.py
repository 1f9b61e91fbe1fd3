"""The system around the environment: its accounts, who owns and may read its files, names, authorities."""

from __future__ import annotations

import datetime
import json
from typing import TYPE_CHECKING

from tests.smoke.test_files import first_of

if TYPE_CHECKING:
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

# Who may have a shell, and why.
LOGINS = {"root": "the usual user of a container", "ubuntu": "is in the base since Ubuntu 24.04, without a password"}
NO_LOGIN = {"/usr/sbin/nologin", "/sbin/nologin", "/bin/false", "/usr/bin/false", "/bin/sync", "/usr/bin/sync"}
OURS = ("/opt", "/usr/local", "/etc/jupyter", "/etc/ssh/sshd_config.d", "/etc/ssl/certs")
ANYBODY = "12345:12345"
NAMES = """
import socket
found = sorted({item[4][0] for item in socket.getaddrinfo('localhost', 80)})
hosts = [line.split()[1:] for line in open('/etc/nsswitch.conf') if line.startswith('hosts:')]
print(*found, 'by', *(word for line in hosts for word in line if word in ('files', 'dns')))
"""
# The bundle that programs read, and the authorities that the distribution ships.
AUTHORITIES = """
import base64, glob, json, re, ssl
def ders(text):
    return {base64.b64decode(body) for body in re.findall('-----BEGIN CERTIFICATE-----(.+?)-----END', text, re.S)}
bundle = open('/etc/ssl/certs/ca-certificates.crt').read()
shipped = ''.join(open(path).read() for path in glob.glob('/usr/share/ca-certificates/**/*.crt', recursive=True))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.load_verify_locations(cafile='/etc/ssl/certs/ca-certificates.crt')
until = [ssl.cert_time_to_seconds(item['notAfter']) for item in context.get_ca_certs()]
print(json.dumps([len(ders(bundle)), len(ders(bundle) - ders(shipped)), until]))
"""


def test_accounts(rest: Container, claim: Claim) -> None:
    """Nobody but root is root, has a shell or has a password, and root has no password."""
    wrong = []
    for line in rest.read("cat", "/etc/passwd").splitlines():
        name, _, uid, _, _, _, shell = line.split(":")
        if uid == "0" and name != "root":
            wrong.append(f"{name} is root too")
        elif shell not in NO_LOGIN and name not in LOGINS:
            wrong.append(f"{name} has the shell {shell}")
    for line in rest.read("cat", "/etc/shadow").splitlines():
        name, password = line.split(":")[:2]
        if not password.startswith(("*", "!")):
            wrong.append(f"{name} has {'a' if password else 'an empty'} password")
    claim("; ".join(wrong) or "root", "root")


def test_owners(rest: Container, claim: Claim) -> None:
    """What no package manager of the distribution looks after is root's: nobody else may change what root runs."""
    found = rest.read("find", *OURS, "-xdev", "!", "-user", "root", "-printf", "%p is of %u\\n").splitlines()
    claim(first_of(found) if found else "root", "root")


def test_readable(rest: Container, claim: Claim) -> None:
    """By any user id: platforms choose their own."""
    search = ["find", *OURS, "/usr/bin", "/usr/lib", "-xdev", "("]
    search += ["!", "-readable", "-o", "-type", "d", "!", "-executable", ")", "!", "-type", "l", "-print"]
    found = rest.exec(*search, user=ANYBODY, seconds=60).stdout.splitlines()
    claim(f"not {first_of(found)}" if found else "everything", "everything")


def test_names(rest: Container, claim: Claim) -> None:
    """The container itself is found, and a name server is asked for what no file has."""
    done = rest.exec("python", "-I", "-c", NAMES)
    measured = done.stdout.strip() or done.stderr.strip().rpartition("\n")[2]
    claim(measured, "127.0.0.1 by files dns", ok=measured.replace(" ::1", "") == "127.0.0.1 by files dns")


def test_authorities(rest: Container, claim: Claim) -> None:
    """Those of the distribution and no others; enough of them are valid today."""
    done = rest.exec("python", "-I", "-c", AUTHORITIES)
    if done.code:
        claim(done.stderr.strip().rpartition("\n")[2], "a bundle of certificates")
    count, unknown, until = json.loads(done.stdout)
    now = datetime.datetime.now(datetime.UTC).timestamp()
    valid = sum(end > now for end in until)
    claim(
        f"{count}, {valid} valid, {unknown} unknown",
        "all known, 100 or more valid",
        ok=valid >= 100 and not unknown and len(until) == count,
    )

"""The tools that every image has, each used for what it is there for; without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from scripts.smoke.plugin import Claim
    from tests.containers import Container

# A server with a certificate of an authority that nobody knows: curl has to take it when told so, and else not.
CURL = r"""
set -e
work=$(mktemp -d); trap 'kill $server 2>/dev/null || true; rm -rf "$work"' EXIT; cd "$work"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost -keyout key.pem -out cert.pem 2>openssl.log || { cat openssl.log >&2; exit 1; }
mkdir www; echo hello >www/index.html
python -c '
import functools, http.server, ssl
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="www")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
open("port", "w").write(str(server.server_port))
server.serve_forever()' 2>server.log & server=$!
for _ in $(seq 100); do [ ! -s port ] || break; sleep .05; done
url=https://localhost:$(cat port)/
known=$(curl -sS --noproxy '*' --max-time 5 --cacert cert.pem "$url")
code=0; curl -sS --noproxy '*' --max-time 5 "$url" >/dev/null 2>&1 || code=$?
echo "$known; of an unknown authority: code $code; authorities: $(grep -c 'BEGIN CERT' /etc/ssl/certs/ca-certificates.crt)"
"""
GIT = r"""
set -e
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
export HOME=$work GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=a GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=a@b
git init -q -b main source; cd source
echo hello >file; git add file; git commit -q -m one
cd ..; git clone -q "file://$work/source" copy
echo "$(cat copy/file) $(git -C copy log --format=%s)"
"""
LFS = r"""
set -e
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
export HOME=$work GIT_CONFIG_COUNT=2 GIT_CONFIG_KEY_0=user.name GIT_CONFIG_VALUE_0=a GIT_CONFIG_KEY_1=user.email GIT_CONFIG_VALUE_1=a@b
git init -q --bare -b main remote; git init -q -b main source; cd source
git lfs track '*.bin' >/dev/null; echo large >a.bin; git add .; git commit -q -m one
stored=$(git cat-file blob HEAD:a.bin | head -1)
git push -q "file://$work/remote" main 2>/dev/null; cd ..
git clone -q "file://$work/remote" copy 2>/dev/null
echo "stored as '${stored%%/v1*}', cloned as '$(cat copy/a.bin)'"
"""
SSHD = r"""
set -e
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
ssh-keygen -q -t ed25519 -N '' -f "$work/key"; mkdir -p /run/sshd
/usr/sbin/sshd -T -h "$work/key"
"""
SETTINGS = {
    "passwordauthentication": "no",
    "kbdinteractiveauthentication": "no",
    "permitemptypasswords": "no",
    "permitrootlogin": "without-password",
    "pubkeyauthentication": "yes",
}

PRINTED = """python -c 'import sys; print(sys.stdout.encoding.upper())'"""


def told(rest: Container, script: str) -> str:
    """The last line of what a script prints, or how it failed."""
    done = rest.exec("bash", "-o", "pipefail", "-c", script, seconds=30)
    if done.code == 0:
        return done.stdout.strip().rpartition("\n")[2]
    return f"code {done.code}: {done.stderr.strip().rpartition(chr(10))[2]}"[:150]


def test_curl(rest: Container, claim: Claim) -> None:
    """It fetches over TLS, and knows the public certificate authorities and no others."""
    measured = told(rest, CURL)
    known = measured.rpartition(" ")[2]
    enough = known.isdigit() and int(known) >= 100
    claim(
        measured,
        "hello; of an unknown authority: code 60; authorities: 100 or more",
        ok=enough and measured.startswith("hello; of an unknown authority: code 60;"),
    )


def test_git(rest: Container, claim: Claim) -> None:
    claim(told(rest, GIT), "hello one")


def test_git_lfs(rest: Container, claim: Claim) -> None:
    """Nobody has to run ``git lfs install``: a clone has the files, not the pointers."""
    claim(told(rest, LFS), "stored as 'version https://git-lfs.github.com/spec', cloned as 'large'")


def test_ssh_client(rest: Container, claim: Claim) -> None:
    """What git over ssh calls."""
    claim(told(rest, "ssh -G -p 2222 ann@host.example | grep -E '^(user|port) ' | sort | xargs"), "port 2222 user ann")


def test_sshd_settings(rest: Container, claim: Claim) -> None:
    """Whoever starts sshd in this image: keys only."""
    done = rest.exec("bash", "-c", SSHD)
    effective = dict(line.partition(" ")[::2] for line in done.stdout.splitlines())
    measured = {name: effective.get(name, done.stderr.strip() or "not set") for name in SETTINGS}
    wrong = " ".join(f"{name}={value}" for name, value in measured.items() if value != SETTINGS[name])
    claim(wrong or "keys only", "keys only")


def test_vessl(rest: Container, claim: Claim) -> None:
    """The command, which asks pip for its version, and the SDK, which has its own."""
    code = "import vessl; print(vessl.__version__, callable(vessl.init))"
    script = f'vessl --version | grep -oE "[0-9.]+$" && python -W ignore -c "{code}"'
    done = rest.exec("bash", "-o", "pipefail", "-c", script, seconds=30)
    words = done.stdout.split()
    last = done.stderr.strip().rpartition("\n")[2]
    measured = done.stdout.strip().replace("\n", ", SDK ") if done.code == 0 else f"code {done.code}: {last}"[:150]
    agrees = len(words) == 3 and words[0] == words[1] and words[2] == "True"
    claim(measured, "one version, SDK True", ok=done.code == 0 and agrees)


def test_jupyterlab(rest: Container, claim: Claim) -> None:
    """The command, of the version that pip believes in."""
    code = "from importlib.metadata import version; print(version('jupyterlab'))"
    claim(told(rest, "jupyter lab --version"), told(rest, f'python -c "{code}"'))


@pytest.mark.parametrize("command", [pytest.param("locale charmap", id="shell"), pytest.param(PRINTED, id="python")])
def test_text_is_utf_8(rest: Container, command: str, claim: Claim) -> None:
    claim(told(rest, command), "UTF-8")

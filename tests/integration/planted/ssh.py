"""ssh servers that let in too many, or too few."""

from __future__ import annotations

from tests.integration.planting import Fault, edit

CONFIG = "/etc/ssh/sshd_config.d/images.conf"
START = "/usr/local/bin/start-workspace"

FAULTS = (
    Fault(
        name="root may not log in",
        check="ssh.key-lets-in",
        dockerfile=edit(CONFIG, "s/^PermitRootLogin .*/PermitRootLogin no/"),
        says="Permission denied",
        together="python",
        also=(
            "contents.sshd-settings",
            "ssh.environment[command]",
            "ssh.environment[login-shell]",
            "ssh.starts-again",
            "places.empty-volume-on-the-home-directory",
        ),
    ),
    Fault(
        name="a variable is lost in ssh sessions",
        check="ssh.environment[command]",
        dockerfile=edit("/usr/local/bin/prepare-sshd", 's/^NOT_FOR_SESSIONS = {/&"VIRTUAL_ENV", /'),
        says="VIRTUAL_ENV=None",
        also=("ssh.environment[login-shell]",),
    ),
    Fault(
        name="sshd with password login",
        check="ssh.password-is-refused",
        dockerfile=edit(
            CONFIG,
            "s/^PasswordAuthentication .*/PasswordAuthentication yes/; s/^PermitRootLogin .*/PermitRootLogin yes/",
        ),
        says="let in",
        together="open",
        also=("contents.sshd-settings",),
    ),
    Fault(
        name="any key lets in",
        check="ssh.another-key-is-refused",
        dockerfile=rf"""
RUN printf '#!/bin/sh\necho "$@"\n' > /usr/local/bin/any-key && chmod 755 /usr/local/bin/any-key \
 && printf 'AuthorizedKeysCommand /usr/local/bin/any-key %%t %%k\nAuthorizedKeysCommandUser root\n' >> {CONFIG}
""",
        says="let in",
        together="open",
    ),
    Fault(
        name="baked host key",
        check="ssh.host-keys-are-its-own-and-survive-a-restart",
        dockerfile=r"""
RUN ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && ssh-keygen -q -t ecdsa -N '' -f /etc/ssh/ssh_host_ecdsa_key
ENV VESSL_SSH_HOST_KEY_DIR=/etc/ssh
""",
        says="2 in common",
        together="open",
        # other users may not read them, so their workspaces do not start
        also=(
            "layers.no[host-keys]",
            "layers.no[private-keys]",
            "places.base-url",
            "places.sites-that-were-named-may-use-it",
            "places.user-without-a-name",
            "places.user-without-a-name-has-ssh",
        ),
    ),
    Fault(
        name="sshd is not started again",
        check="ssh.starts-again",
        dockerfile=edit(START, "s/^SSHD_STARTS = .*/SSHD_STARTS = 1/"),
        says="no answer",
    ),
    Fault(
        name="a parent that does not wait",
        check="ssh.zombies-are-reaped",
        dockerfile=edit(
            START,
            '/^    env.setdefault("SHELL"/i \\    subprocess.Popen(["python", "-c", "import subprocess, time; '
            'p = subprocess.Popen([chr(0x74) + chr(0x72) + chr(0x75) + chr(0x65)]); time.sleep(9999)"])',
        ),
        says="1 zombies",
    ),
)

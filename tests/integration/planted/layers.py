"""Layers that hold what nobody should have; some of it is removed by the next one, and still there for who pulls."""

from __future__ import annotations

from tests.integration.planting import Fault

# The shapes of tokens and keys, put together here so that no tool that looks for them stops at this file.
TOKEN = "ghp" + "_" + "a1B2" * 9
KEY = "-----BEGIN PRIVATE" + " KEY-----"

FAULTS = (
    Fault(
        name="host key that is used by nobody",
        check="layers.no[host-keys]",
        dockerfile="RUN ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key && rm /etc/ssh/ssh_host_ed25519_key.pub",
        says="/etc/ssh/ssh_host_ed25519_key",
        # it is a private key too
        also=("layers.no[private-keys]",),
    ),
    Fault(
        name="private key",
        check="layers.no[private-keys]",
        dockerfile=f"RUN (echo '{KEY}'; head -c 300 /dev/urandom | base64) > /opt/deploy.pem",
        says="/opt/deploy.pem",
        together="python",
    ),
    Fault(
        name="secret that the next layer removes",
        check="layers.no[credentials]",
        dockerfile=f"RUN echo 'token: {TOKEN}' > /opt/settings.yaml\nRUN rm /opt/settings.yaml",
        says="/opt/settings.yaml: GitHub token",
    ),
    Fault(
        name="authority of the build machine",
        check="layers.no[certificates]",
        dockerfile="RUN echo x > /usr/local/share/ca-certificates/proxy.crt",
        says="proxy.crt",
    ),
    Fault(
        name="address of a package index",
        check="layers.no[index-addresses]",
        # pip as these checks call it is told not to ask any
        dockerfile=r"RUN printf '[global]\nindex-url = https://packages.example/simple\n' > /etc/pip.conf",
        says="/etc/pip.conf",
        also=("settings.none-of[pip]",),
    ),
    Fault(
        name="apt's lists",
        check="layers.no[caches]",
        dockerfile="RUN mkdir -p /var/lib/apt/lists && echo x > /var/lib/apt/lists/deb.example_dists_Release",
        says="/var/lib/apt/lists/deb.example_dists_Release",
    ),
    Fault(
        name="log of the installation",
        check="layers.no[logs]",
        dockerfile="RUN echo x > /var/log/dpkg.log",
        says="/var/log/dpkg.log",
    ),
    Fault(
        name="file in /tmp",
        check="layers.no[leftovers]",
        dockerfile="RUN echo x > /tmp/wheel.whl\nRUN rm /tmp/wheel.whl",
        says="/tmp/wheel.whl",
    ),
    Fault(
        name="set-uid program",
        check="layers.no[set-uid]",
        dockerfile="RUN cp /bin/true /usr/local/bin/become && chmod 4755 /usr/local/bin/become",
        says="/usr/local/bin/become: mode 4755",
    ),
    Fault(
        name="file that everyone may change",
        check="layers.no[world-writable]",
        dockerfile="RUN echo x > /opt/shared && chmod 666 /opt/shared",
        says="/opt/shared: mode 666",
    ),
    Fault(
        name="build argument with a secret",
        check="layers.history",
        dockerfile="ARG INDEX_PASSWORD=abc\nRUN : $INDEX_PASSWORD",
        says="INDEX_PASSWORD",
        together="open",
    ),
    Fault(
        name="token in the environment",
        check="layers.environment",
        dockerfile=f"ENV REGISTRY_TOKEN={TOKEN}",
        says="REGISTRY_TOKEN",
        # a kernel has the variables of the image, and the history has the line that set it
        also=("jupyter.runs-a-cell", "layers.history"),
    ),
)

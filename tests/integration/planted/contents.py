"""Images that lack a tool, or have one that does not do what it is there for."""

from __future__ import annotations

from tests.integration.planting import Fault, edit_python

SITE = "/opt/venv/lib/python3.11/site-packages"

FAULTS = (
    Fault(
        name="no certificate authorities",
        check="contents.curl",
        dockerfile="RUN : > /etc/ssl/certs/ca-certificates.crt",
        says="code 77",
        also=("system.authorities",),
    ),
    Fault(
        name="missing git",
        check="contents.git",
        dockerfile="RUN rm /usr/bin/git",
        says="git: command not found",
        together="python",
        also=("contents.git-lfs", "jupyter.git", "files.links", "settings.none-of[git]"),
    ),
    Fault(
        name="git-lfs is not set up",
        check="contents.git-lfs",
        dockerfile="RUN rm /etc/gitconfig",
        says="stored as 'large'",
    ),
    Fault(
        name="broken ssh client",
        check="contents.ssh-client",
        dockerfile=r"RUN printf '#!/bin/sh\necho no user exists for uid >&2; exit 255\n' > /usr/bin/ssh",
        says="no user exists for uid",
    ),
    Fault(
        name="root may log in with a password",
        check="contents.sshd-settings",
        dockerfile="RUN sed -i 's/^PermitRootLogin .*/PermitRootLogin yes/' /etc/ssh/sshd_config.d/images.conf",
        says="permitrootlogin=yes",
    ),
    Fault(
        name="vessl of two versions",
        check="contents.vessl",
        dockerfile=edit_python(f"{SITE}/vessl/_version.py", "s/0[.]1[.][0-9]*/0.0.1/"),
        says="SDK 0.0.1",
    ),
    Fault(
        name="JupyterLab of two versions",
        check="contents.jupyterlab",
        dockerfile=edit_python(f"{SITE}/jupyterlab/_version.py", '$a __version__ = "3.0.0"'),
        says="measured 3.0.0",
    ),
    Fault(
        name="no UTF-8 in the shell",
        check="contents.text-is-utf-8[shell]",
        dockerfile="ENV LANG=C",
        says="ANSI_X3.4-1968",
    ),
    Fault(
        name="no UTF-8 in Python",
        check="contents.text-is-utf-8[python]",
        dockerfile="ENV PYTHONIOENCODING=latin-1",
        says="ISO8859-1",
        together="python",
    ),
)

# ruff: noqa: INP001  # not a module of scripts/: it is run by JupyterLab inside the images
"""JupyterLab in a container; what depends on the container is given by start-workspace on the command line.

Installed in /etc/jupyter, the place with the lowest priority: ~/.jupyter may change any of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    def get_config() -> Any:
        """Stand for the function that traitlets gives to this file."""


c = get_config()

# Taken out of the environment here, so that it is in no kernel's and no terminal's (they get a copy of ours).
token = os.environ.pop("JUPYTER_TOKEN", "")
if token:
    c.IdentityProvider.token = token

c.ServerApp.allow_root = True  # root is the usual user of a container
c.ServerApp.allow_remote_access = True  # it is reached by the names of proxies and services; the token guards it
c.ServerApp.open_browser = False
c.ServerApp.port_retries = 0  # a port that is taken is an error: nobody would look for another one

# A stopped container has 10 s by default, and a busy kernel never answers: ask, then end it after this many seconds.
c.KernelManager.shutdown_wait_time = 1.0

# The trash would be a hidden folder that fills the volume, and deleting fails where it cannot be made.
c.FileContentsManager.delete_to_trash = False

# The image decides the version, and there may be no internet.
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"

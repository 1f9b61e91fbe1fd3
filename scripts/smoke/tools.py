"""What the checks need of the machine that they are run from."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.build.apt import install_packages
from scripts.errors import SmokeError

if TYPE_CHECKING:
    from collections.abc import Callable


def require_ssh_client(*, may_install: bool, say: Callable[[str], None]) -> None:
    """See to it that there is an ssh client, which some checks log in with.

    :param may_install: install it where it is not there and we are root.
    :raises SmokeError: if there is none.
    """
    if shutil.which("ssh"):
        return
    if not may_install or os.geteuid() != 0:
        raise SmokeError("the checks need ssh and ssh-keygen: install openssh-client")
    say("installing openssh-client: the checks need ssh and ssh-keygen")
    install_packages(["openssh-client"], root=Path("/"))

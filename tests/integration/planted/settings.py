"""Images that are set up in a way that nobody expects."""

from __future__ import annotations

from tests.integration.planting import Fault

FAULTS = (
    Fault(
        name="pip trusts a host",
        check="settings.none-of[pip]",
        dockerfile=r"RUN printf '[global]\ntrusted-host = packages.example\n' > /opt/venv/pip.conf",
        says="global.trusted-host='packages.example'",
    ),
    Fault(
        name="git keeps passwords in a file",
        check="settings.none-of[git]",
        dockerfile="RUN git config --system credential.helper store",
        says="credential.helper",
        together="open",
    ),
    Fault(
        name="curl goes through a proxy",
        check="settings.none-of[curl]",
        # curl as these checks call it is told not to use any
        dockerfile="RUN echo 'proxy = http://proxy.example:3128' > /root/.curlrc",
        says="proxy = http://proxy.example:3128",
    ),
    Fault(
        name="volume, health check and trigger",
        check="settings.config",
        dockerfile="VOLUME /var/lib/planted\nHEALTHCHECK CMD true\nONBUILD RUN true\nSTOPSIGNAL SIGINT",
        says="Volumes=",
    ),
    Fault(
        name="kernels are ended when nobody looks",
        check="settings.nothing-is-culled",
        dockerfile="RUN echo 'c.MappingKernelManager.cull_idle_timeout = 3600' >> /etc/jupyter/jupyter_server_config.py",
        says="MappingKernelManager.cull_idle_timeout=3600",
    ),
)

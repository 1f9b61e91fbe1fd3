"""Systems with accounts, files or authorities that nobody expects."""

from __future__ import annotations

from tests.integration.planting import Fault

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"

FAULTS = (
    Fault(
        name="second root with a password",
        check="system.accounts",
        dockerfile=r"""
RUN echo 'toor:x:0:0::/root:/bin/bash' >> /etc/passwd && echo 'toor:$6$salt$hash:1::::::' >> /etc/shadow
""",
        says="toor is root too; toor has a password",
    ),
    Fault(
        name="package that another user may change",
        check="system.owners",
        dockerfile="RUN chown 1000 /opt/venv/lib/python3.11/site-packages/tqdm/cli.py",
        says="tqdm/cli.py is of 1000",
    ),
    Fault(
        name="package that only root may read",
        check="system.readable",
        dockerfile="RUN chmod 600 /opt/venv/lib/python3.11/site-packages/tqdm/keras.py",
        says="tqdm/keras.py",
    ),
    Fault(
        name="no name server is asked",
        check="system.names",
        dockerfile="RUN sed -i 's/^hosts:.*/hosts: files/' /etc/nsswitch.conf",
        says="by files",
    ),
    Fault(
        name="authority that the distribution does not have",
        check="system.authorities",
        dockerfile=f"""
RUN openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN=proxy -keyout /dev/null >> {BUNDLE}
""",
        says=" 1 unknown",
        together="open",
    ),
)

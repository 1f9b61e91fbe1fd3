"""Environments that are not what was locked, or of which a part does not start."""

from __future__ import annotations

from tests.integration.planting import Fault

SITE = "/opt/venv/lib/python3.11/site-packages"

FAULTS = (
    Fault(
        name="distribution that nobody locked",
        check="installed.distributions",
        dockerfile=rf"""
RUN mkdir {SITE}/surprise-1.0.dist-info \
 && printf 'Metadata-Version: 2.1\nName: surprise\nVersion: 1.0\n' > {SITE}/surprise-1.0.dist-info/METADATA
""",
        says="surprise 1.0, locked not at all",
    ),
    Fault(
        name="library that is not the one of its wheel",
        check="installed.files",
        dockerfile=f"RUN printf x >> $(ls {SITE}/markupsafe/_speedups*.so)",
        says=" bytes, recorded ",  # of the first of those that other faults edit
    ),
    Fault(
        name="command whose interpreter is gone",
        check="installed.commands",
        dockerfile="RUN sed -i '1s,.*,#!/opt/gone/bin/python,' /opt/venv/bin/f2py",
        says="f2py: /opt/gone/bin/python: No such file or directory",
    ),
    Fault(
        name="Python without a module of its standard library",
        check="installed.standard-library",
        # one that nothing in the image imports
        dockerfile="RUN rm $(python -I -W ignore -c 'import nntplib as m; print(m.__file__, m.__cached__)')",
        says="nntplib: No module named 'nntplib'",
    ),
)

"""Files that do not fit together."""

from __future__ import annotations

from tests.integration.planting import Fault

SITE = "/opt/venv/lib/python3.11/site-packages"

FAULTS = (
    Fault(
        name="link that leads nowhere",
        check="files.links",
        dockerfile="RUN ln -s /opt/gone /usr/local/lib/here",
        says="/usr/local/lib/here leads nowhere",
    ),
    Fault(
        name="library whose library is gone",
        check="files.libraries",
        # only opencv's windows want it, which no check opens
        dockerfile="RUN rm /usr/lib/x86_64-linux-gnu/libSM.so.6*",
        says="wants libSM.so.6",
    ),
    Fault(
        name="stale bytecode",
        check="files.bytecode",
        dockerfile=f"RUN echo '# changed' >> {SITE}/nbformat/corpus/words.py",
        says="nbformat/corpus/words.py: bytecode of another source",
    ),
    Fault(
        name="no bytecode",
        check="files.imports-write-nothing",
        dockerfile=f"RUN rm {SITE}/pandas/core/__pycache__/api.*.pyc",
        says="pandas/core/__pycache__/api",
        also=("files.bytecode",),
        together="open",
    ),
)

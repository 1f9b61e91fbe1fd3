"""Images in which an installer may replace what the tag promises, or cannot install."""

from __future__ import annotations

from tests.integration.planting import Fault

FAULTS = (
    Fault(
        name="pip without constraints",
        check="pip.keeps-what-the-tag-promises[pip]",
        dockerfile="ENV PIP_CONSTRAINT=",
        says="to ['99.0']",
        also=("pip.refuses-another-numpy[pip]",),
    ),
    Fault(
        name="uv without constraints",
        check="pip.keeps-what-the-tag-promises[uv]",
        dockerfile="ENV UV_CONSTRAINT=",
        says="to ['99.0']",
        also=("pip.refuses-another-numpy[uv]",),
    ),
    Fault(
        name="constraint file removed",
        check="pip.installs[pip]",
        dockerfile="RUN rm /opt/venv/constraints/science.txt",
        says="/opt/venv/constraints/science.txt",
        together="open",
        also=(
            "pip.installs[uv]",
            "pip.keeps-what-the-tag-promises[pip]",
            "pip.keeps-what-the-tag-promises[uv]",
            "pip.refuses-another-numpy[pip]",
            "pip.refuses-another-numpy[uv]",
            "pip.installs-for-a-user-without-write-access",
        ),
    ),
    Fault(
        name="a package that wants one that is not there",
        check="pip.finds-nothing-broken",
        dockerfile=r"""
RUN sed -i '/^Requires-Python/a Requires-Dist: no-such-package' /opt/venv/lib/python3.11/site-packages/tqdm-*.dist-info/METADATA
""",
        says="requires no-such-package",
    ),
    Fault(
        name="other users cannot install",
        check="pip.installs-for-a-user-without-write-access",
        dockerfile="ENV PIP_USER=no",
        says="Check the permissions.",
    ),
)

"""The errors a person sees: one root class, an exit code per kind of failure.

Every message says what was wrong, where, what was expected and what to do. ``tasks.py`` turns these into
``invoke.Exit``, so nobody sees a traceback for what they typed or for a service that is down.
"""

from __future__ import annotations


class ImagesError(Exception):
    """Root of the expected failures; ``exit_code`` is what the process ends with."""

    exit_code = 1


class UsageError(ImagesError):
    """A name, option or version manifest is wrong."""

    exit_code = 2


class BuildError(ImagesError):
    """The engine, the base, a wheel index or a build step failed."""

    exit_code = 3


class RegistryError(ImagesError):
    """A registry refused, or cannot be reached."""

    exit_code = 4


class SmokeError(ImagesError):
    """An image is not what its tag says."""

    exit_code = 5


class AuditError(ImagesError):
    """What is published is not what the ledger says."""

    exit_code = 6

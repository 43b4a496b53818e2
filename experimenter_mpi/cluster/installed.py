"""Which MPI library a Python would use here, told without loading it."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from . import commands

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_SECONDS = 30


def library_installed(
    python: str, environment: Mapping[str, str] = os.environ
) -> str | None:
    """Return the family of the MPI whose ``mpiexec`` is beside a Python or on the path.

    None if there is none, or one that does not say.
    """
    beside = shutil.which("mpiexec", path=os.path.dirname(python))
    mpiexec = beside or shutil.which("mpiexec", path=environment.get("PATH"))
    if mpiexec is None:
        return "cray" if environment.get("CRAY_MPICH_DIR") else None
    return family_of_mpiexec(mpiexec)


def family_of(said: str) -> str | None:
    """Tell the family by what ``mpiexec --version`` prints."""
    if any(name in said for name in ("Open MPI", "OpenRTE", "PRRTE", "PRTE")):
        return "openmpi"
    if "Intel" in said:
        return "intel"
    return "mpich" if "HYDRA" in said.upper() else None


def family_of_mpiexec(path: str) -> str | None:
    """Return the family of an ``mpiexec``; None if it does not say."""
    try:
        done = commands.run([path, "--version"], ANSWER_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return family_of(done.stdout + done.stderr)

"""The MPI libraries that tests launch with, and the environment they start from."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

# A test run inside a job, or itself under mpiexec, must not leak into what it starts.
_FOREIGN = (
    "EXPERIMENTER_",
    "FLUX_",
    "HYD",
    "LSB_",
    "MPI_LOCAL",
    "OMPI_",
    "OPAL_",
    "PBS_",
    "PMI",
    "PRTE_",
    "PYTHONUNBUFFERED",  # else each piece of a print is a write, and ranks mix lines
    "SGE_",
    "SLURM_",
)


def clean_environment() -> dict[str, str]:
    """Return this environment without what a launcher or a scheduler left in it."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
    clean["PYTHONFAULTHANDLER"] = "1"
    # A module that a test writes twice in a second must not come from a cache.
    clean["PYTHONDONTWRITEBYTECODE"] = "1"
    clean.setdefault("OMP_NUM_THREADS", "1")  # ranks share two cores as it is
    if os.geteuid() == 0:
        for name in ("OMPI_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT"):
            clean |= {name: "1", f"{name}_CONFIRM": "1"}
    return clean


@lru_cache
def mpiexec_of(python: Path) -> tuple[str, ...]:
    """Return the mpiexec that belongs to a Python, ready for more ranks than cores."""
    beside = shutil.which("mpiexec", path=str(python.parent))
    mpiexec = beside or shutil.which("mpiexec")
    if mpiexec is None:
        pytest.fail(f"no mpiexec beside {python} nor on PATH: pip install mpich")
    version = subprocess.run(
        [mpiexec, "--version"],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "Open MPI" in version.stdout:
        return (mpiexec, "--oversubscribe", "--bind-to", "none")
    return (mpiexec,)


def python_of(library: str) -> Path:
    if library == "mpich":
        return Path(sys.executable)
    if library != "openmpi":
        msg = f"library is 'mpich' or 'openmpi', not {library!r}"
        raise ValueError(msg)
    python = os.environ.get("EXPERIMENTER_TEST_OPENMPI")
    if not python:
        pytest.skip(
            "no Open MPI: EXPERIMENTER_TEST_OPENMPI names no Python that has it"
        )
    return Path(python)

"""On what was measured: the machine, and the versions of all that took part."""

from __future__ import annotations

import os
import platform
import sqlite3
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from .launching import Bench, environment

PACKAGES = (
    "mpi4py",
    "sqlalchemy",
    "h5py",
    "numpy",
    "schwimmbad",
    "libensemble",
    "joblib",
    "py-experimenter",
    "optuna",
)


def describe(bench: Bench) -> dict[str, str]:
    """Return what a reader must know to judge the figures."""
    return {
        "processor": f"{os.cpu_count()} x {_processor()}",
        "memory": f"{_memory_gib():.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "file system": _file_system(bench.folder),
        "Python": platform.python_version(),
        "MPI": _mpi(),
        "SQLite": sqlite3.sqlite_version,
        "packages": ", ".join(f"{name} {_version(name)}" for name in PACKAGES),
        "this package": _commit(),
        "load": f"{load()} processes wanted a core before",
    }


def load() -> str:
    """Return how many processes wanted a core in the last minute."""
    return f"{os.getloadavg()[0]:.1f}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.machine()


def _memory_gib() -> float:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return float(pages * size / 2**30)


def _file_system(folder: Path) -> str:
    """Return the type of the file system that databases and arrays are written to."""
    folder.mkdir(parents=True, exist_ok=True)
    found, kind = "", "unknown"
    try:
        mounts = Path("/proc/mounts").read_text().splitlines()
    except OSError:
        return kind
    for line in mounts:
        _, place, name, *_ = line.split()
        inside = folder.resolve().is_relative_to(place)
        if inside and len(place) >= len(found):
            found, kind = place, name
    return kind


def _mpi() -> str:
    """Ask in another process: this one must be free to start others."""
    script = (
        "from mpi4py import MPI; print(MPI.Get_library_version().split(chr(10))[0])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip(" \0\n") or "none that loads"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "missing"


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"

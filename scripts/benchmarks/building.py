"""Build the floor, the loop in C, with this Python's MPI."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from .launching import ROOT, Bench, ProgramError


@cache
def floor(bench: Bench) -> Path:
    """Return the program, built by CMake once in each run.

    Raises:
        ProgramError: there is no CMake, no C compiler, or no MPI to compile with.
    """
    python = Path(sys.executable)
    folder = bench.folder / f"floor-{python.parents[1].name}"
    beside = str(python.parent)
    cmake = shutil.which("cmake", path=beside) or shutil.which("cmake")
    ninja = shutil.which("ninja", path=beside)
    if cmake is None:
        msg = "not built: no cmake"
        raise ProgramError(msg)
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    chosen = ["-DBUILD_TESTING=OFF", f"-DPython_EXECUTABLE={python}"]
    shutil.rmtree(folder, ignore_errors=True)  # it remembers too much, and is small
    _cmake(cmake, "-S", str(ROOT), "-B", str(folder), *generator, *chosen)
    _cmake(cmake, "--build", str(folder), "--target", "floor")
    return folder / "coordinator_in_c"


def _cmake(cmake: str, *arguments: str) -> None:
    done = subprocess.run(
        [cmake, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = f"{done.stderr}\n{done.stdout}".strip().splitlines()
        telling = [each for each in lines if "not found" in each or "rror:" in each]
        msg = f"not built: {(telling or lines or ['cmake failed'])[0]}"
        raise ProgramError(msg)

"""Stand-ins for the commands that submit jobs, which note how they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUBMITS = {
    "slurm": ("sbatch", "echo 17"),
    "pbs": ("qsub", "echo 17.server"),
    "sge": ("qsub", "echo 17"),
    "lsf": ("bsub", "echo 'Job <17> is submitted to queue <normal>.'"),
    "flux": ("flux", "echo f17Abc"),
}
ASK = ("exp.py", "--time", "1:00:00", "--ranks", "4", "--mpi", "mpich")


def install(folder: Path, name: str, does: str) -> None:
    """Put a command on PATH that notes its arguments and its standard input."""
    program = folder / "bin" / name
    program.write_text(
        f'#!/bin/sh\n{{ printf "%s " "$@"; echo; cat; }} >>"{folder}/asked.txt"\n'
        f"{does}\n"
    )
    program.chmod(0o755)

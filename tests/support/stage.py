"""Job scripts played in a folder, with stand-ins for all that they call but bash.

Ranks, Python and the scheduler note that they were asked, so that each case takes no
longer than a shell.
"""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from experimenter_mpi.cluster.job import Job
from experimenter_mpi.cluster.render import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

# What `status` counts: one more with each run of the launcher, as far as it is told to.
PYTHON = """#!/bin/sh
case "$*" in
*" status "*)
    [ ! -e slow ] || { touch asked; while [ -e slow ]; do /bin/sleep 0.01; done; }
    echo "    \\"finished\\": $(grep -c '^mpiexec' asked.txt)1"
    [ ! -e pending ] || echo '    "pending": 3,'
    ;;
*cluster.successor*)
    echo "again $*, chain $EXPERIMENTER_CHAIN" >>asked.txt
    [ ! -s refusals ] || { sed -i 1d refusals; echo "no such queue" >&2; exit 1; }
    ;;
*) echo "python $*" >>asked.txt ;;
esac
"""
IN_JOB = {
    "slurm": {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "exp", "SLURM_NTASKS": "2"},
    "sge": {"JOB_ID": "7", "JOB_NAME": "exp", "NSLOTS": "2", "SGE_TASK_ID": "2"},
    "lsf": {"LSB_JOBID": "7", "LSB_JOBNAME": "exp", "LSB_DJOB_NUMPROC": "2"},
    "pbs": {"PBS_JOBID": "7.x", "PBS_JOBNAME": "exp", "PBS_NODEFILE": "/dev/null"},
    "flux": {"FLUX_ENCLOSING_ID": "f7"},
}
# All that a job script needs besides: a scheduler of this machine's must not be found.
TOOLS = [
    "awk",
    "basename",
    "bash",
    "cat",
    "dirname",
    "grep",
    "id",
    "mkdir",
    "ps",
    "sed",
    "tail",
]
TOOLS += ["touch", "tr"]
# What each takes on its node to run again.
NEEDED = {"slurm": ("squeue", "scontrol"), "pbs": ("qsub", "qstat"), "flux": ("flux",)}


class Stage:
    """A folder with stand-ins for what a job script calls."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "asked.txt").touch()
        for name in TOOLS:
            (folder / "bin" / name).symlink_to(str(shutil.which(name)))
        self.install("python", PYTHON)
        self.say("mpiexec", "exit 75")
        self.say("squeue", "echo RUNNING")
        self.say("flux", '[ "$1" != run ] || { shift 3; exec mpiexec "$@"; }')
        for name in ("scontrol", "qsub", "qstat", "sleep"):
            self.say(name, "")
        (folder / "resume.sh").touch()

    def install(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def say(self, name: str, does: str) -> None:
        self.install(name, f'#!/bin/sh\necho "{name} $*" >>asked.txt\n{does}\n')

    def asked(self, name: str) -> list[str]:
        lines = (self.folder / "asked.txt").read_text().splitlines()
        return [line for line in lines if line.startswith(name)]

    def start(
        self, scheduler: str = "slurm", *, text: str | None = None, **asked: Any
    ) -> subprocess.Popen[str]:
        folder = self.folder
        job = Job(
            scheduler=scheduler,
            python=str(folder / "bin" / "python"),
            directory=str(folder),
            **{"resume": True, **asked},
        )
        (folder / job.logs).mkdir(parents=True, exist_ok=True)
        return self.popen(["bash", "-c", text or render(job)], scheduler)

    def popen(
        self, command: Sequence[str | Path], scheduler: str = "pbs"
    ) -> subprocess.Popen[str]:
        folder = self.folder
        places = ("SLURM_SUBMIT_DIR", "SGE_O_WORKDIR", "LS_SUBCWD", "PBS_O_WORKDIR")
        env = {"PATH": str(folder / "bin"), **IN_JOB[scheduler]}
        return subprocess.Popen(
            command,
            cwd=folder,
            env={**env, **dict.fromkeys(places, str(folder))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, scheduler: str = "slurm", **asked: Any) -> tuple[int, str]:
        """Return the exit code of a job's script, and what it said."""
        job = self.start(scheduler, **asked)
        said, _ = job.communicate(timeout=120)
        return job.returncode, said

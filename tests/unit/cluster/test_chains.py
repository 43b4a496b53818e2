"""What a resuming job script does after each run, played with commands that note it.

Nothing of it is real but bash: ranks, Python and the scheduler are stand-ins, so that
each case takes no longer than a shell.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from experimenter_mpi.cluster.job import Job
from experimenter_mpi.cluster.render import render, render_merge

# What `status` counts: one more with each run of the launcher, as far as it is told to.
PYTHON = """#!/bin/sh
case "$*" in
*" status "*)
    [ ! -e slow ] || { touch asked; while [ -e slow ]; do sleep 0.01; done; }
    echo "    \\"finished\\": $(grep -c '^mpiexec' asked.txt)1"
    ;;
*) echo "python $*" >>asked.txt ;;
esac
"""
IN_JOB = {
    "slurm": {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "exp", "SLURM_NTASKS": "2"},
    "sge": {"JOB_ID": "7", "JOB_NAME": "exp", "NSLOTS": "2", "SGE_TASK_ID": "2"},
    "lsf": {"LSB_JOBID": "7", "LSB_JOBNAME": "exp", "LSB_DJOB_NUMPROC": "2"},
    "pbs": {"PBS_JOBID": "7.x", "PBS_JOBNAME": "exp", "PBS_NODEFILE": "/dev/null"},
}


class Stage:
    """A folder with stand-ins for what a job script calls."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "asked.txt").touch()
        self.install("python", PYTHON)
        self.say("mpiexec", "exit 75")
        self.say("squeue", "echo RUNNING")
        for name in ("scontrol", "qsub", "qstat"):
            self.say(name, "")

    def install(self, name, text):
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def say(self, name, does):
        self.install(name, f'#!/bin/sh\necho "{name} $*" >>asked.txt\n{does}\n')

    def asked(self, name):
        lines = (self.folder / "asked.txt").read_text().splitlines()
        return [line for line in lines if line.startswith(name)]

    def start(self, scheduler="slurm", *, text=None, **asked):
        folder = self.folder
        job = Job(
            scheduler=scheduler,
            resume=True,
            python=str(folder / "bin" / "python"),
            directory=str(folder),
            **asked,
        )
        (folder / job.logs).mkdir(parents=True, exist_ok=True)
        places = ("SLURM_SUBMIT_DIR", "SGE_O_WORKDIR", "LS_SUBCWD", "PBS_O_WORKDIR")
        path = f"{folder / 'bin'}:{os.environ['PATH']}"
        env = {"PATH": path, **IN_JOB[scheduler]}
        return subprocess.Popen(
            ["bash", "-c", text or render(job)],
            cwd=folder,
            env={**env, **dict.fromkeys(places, str(folder))},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, scheduler="slurm", **asked):
        """Give the exit code of a job's script, and what it said."""
        job = self.start(scheduler, **asked)
        said, _ = job.communicate(timeout=120)
        return job.returncode, said


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


@pytest.mark.parametrize("code", [0, 1, 2, 3, 137])
def test_no_exit_code_but_75_goes_on(code, stage):
    stage.say("mpiexec", f"exit {code}")

    assert code == stage.run()[0]
    assert [] == stage.asked("scontrol")


@pytest.mark.parametrize("logs", ["logs", "-logs", "my logs"])
def test_a_chain_keeps_count_in_whatever_folder(logs, stage):
    codes = [stage.run(logs=logs, max_runs=3)[0] for _ in range(3)]

    assert [75, 75, 3] == codes
    assert ["scontrol requeue 7"] * 2 == stage.asked("scontrol")


def test_a_chain_that_cannot_read_its_count_ends(stage):
    stage.install("grep", "#!/bin/sh\nexit 2\n")

    assert 3 == stage.run()[0]
    assert [] == stage.asked("scontrol")


def test_a_job_that_is_cancelled_before_it_launches_launches_nothing(stage):
    (stage.folder / "slow").touch()
    job = stage.start()
    while not (stage.folder / "asked").exists() and job.poll() is None:
        time.sleep(0.01)
    job.send_signal(signal.SIGTERM)
    (stage.folder / "slow").unlink()
    job.communicate(timeout=120)

    assert 143 == job.returncode
    assert [] == stage.asked("mpiexec")


@pytest.mark.parametrize("state", ["CANCELLED", ""])
def test_a_job_that_slurm_is_ending_says_that_it_ends(state, stage):
    stage.say("squeue", f"echo {state}")

    code, said = stage.run()

    assert 143 == code and [] == stage.asked("scontrol")
    assert f"this job is {state or 'unknown to squeue'}" in said


@pytest.mark.parametrize(("deleted", "code"), [(1, 99), (2, 143)])
def test_only_the_deleted_task_of_an_array_ends(deleted, code, stage):
    states = {task: "dr" if task == deleted else "r" for task in (1, 2)}
    lines = [
        f"7 0.5 exp me {state} 11/25/2026 01:02:03 q 2 {task}"
        for task, state in states.items()
    ]
    stage.say("qstat", "\n".join(f"echo '{line}'" for line in lines))

    assert code == stage.run("sge", array=2)[0]


def test_a_script_that_could_not_submit_itself_again_does_not_begin(stage):
    code, said = stage.run("pbs", file="sub/mine.sh")

    assert 3 == code and [] == stage.asked("mpiexec")
    assert "no sub/mine.sh in" in said

    (stage.folder / "sub").mkdir()
    (stage.folder / "sub" / "mine.sh").touch()
    assert 0 == stage.run("pbs", file="sub/mine.sh")[0]
    assert ["qsub -v EXPERIMENTER_CHAIN=exp-7.x sub/mine.sh"] == stage.asked("qsub")


def test_a_task_that_left_an_empty_file_does_not_keep_others_from_the_merge(stage):
    parts = stage.folder / "x.db.parts"
    parts.mkdir()
    (parts / "1.db").write_text("something")
    (parts / "2.db").touch()
    python = str(stage.folder / "bin" / "python")
    job = Job(scheduler="slurm", array=2, database="x.db", python=python)

    code, said = stage.run(text=render_merge(job))

    assert 0 == code
    assert "x.db.parts/2.db is empty" in said
    merged = "python -m experimenter_mpi merge x.db x.db.parts/1.db"
    assert merged == stage.asked("python")[0]

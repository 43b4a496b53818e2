"""Job scripts as text: what a scheduler reads in them, and what bash makes of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from experimenter_mpi import JobScriptError
from experimenter_mpi.cluster.examples import examples
from experimenter_mpi.cluster.job import Job
from experimenter_mpi.cluster.render import render, render_merge
from experimenter_mpi.cluster.schedulers import SCHEDULERS
from support.directives import SIGNS, directives, unknown

JOBS = Path(__file__).parents[3] / "jobs"
# Everything that may be asked for at once.
FULL = {
    "nodes": 2,
    "cpus_per_rank": 4,
    "queue": "long",
    "account": "physics",
    "seconds": 90_061,
    "logs": "logs of jobs",
}
KINDS = {
    "run": {},
    "resume": {"resume": True},
    "array": {"array": 12},
    "fault-tolerant": {"fault_tolerant": True, "library": "openmpi"},
}
IN_A_JOB = dict.fromkeys(("SLURM_JOB_ID", "JOB_ID", "LSB_JOBID", "PBS_JOBID"), "17")
NASTY = 'it\'s a "$HOME" `id` \\ ;&|<>*?.py'


def job(scheduler, **asked):
    if scheduler == "sge":
        asked.pop("nodes", None)
    return Job(scheduler=scheduler, **asked)


def checked_by_bash(text):
    done = subprocess.run(
        ["bash", "-n"], input=text, capture_output=True, text=True, check=False
    )
    return done.stderr


def settings_in(text, *names, folder):
    """Run a script up to where it launches, and return what variables hold then."""
    before = text.partition("# ---- Launch")[0].partition("# ---- Merge")[0]
    shown = "".join(f'printf "%s\\0" "${{{name}[@]}}"\n' for name in names)
    done = subprocess.run(
        ["bash", "-c", before + shown],
        cwd=folder,
        env={**os.environ, **IN_A_JOB},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\0")[:-1]


def test_the_files_in_jobs_are_what_is_rendered():
    """Change what renders them, and run scripts/jobs."""
    there = {
        str(path.relative_to(JOBS)): path.read_text() for path in JOBS.glob("*/*.sh")
    }

    assert examples() == there


@pytest.mark.parametrize("path", examples())
def test_every_file_in_jobs_can_be_read(path):
    text = examples()[path]
    scheduler = path.partition("/")[0]

    assert "" == checked_by_bash(text)
    assert [] == unknown(scheduler, text)
    assert len(directives(scheduler, text)) >= 4
    # In the first lines: what it is, what to edit, how to submit it.
    assert [True] * 4 == [line[:2] == "# " for line in text.splitlines()[1:5]]
    assert "# Edit: " in text
    assert str(JOBS.parent) not in text


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_all_that_may_be_asked_for_is_asked_in_the_schedulers_words(scheduler, kind):
    text = render(job(scheduler, **FULL, **KINDS[kind]))

    assert "" == checked_by_bash(text)
    assert [] == unknown(scheduler, text)
    head = "\n".join(directives(scheduler, text))
    assert "long" in head and "physics" in head and "logs of jobs" in head


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_directive_comes_before_the_first_command(scheduler):
    """Slurm, PBS and Flux stop reading there; Grid Engine reads the whole script."""
    text = render(job(scheduler, **FULL, resume=True, directives=("--more",)))
    lines = text.splitlines()
    commands = [n for n, line in enumerate(lines) if line and line[0] != "#"]
    signs = [n for n, line in enumerate(lines) if line.startswith(SIGNS[scheduler])]

    assert max(signs) < min(commands)
    assert f"{SIGNS[scheduler]}--more" in lines


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_no_character_of_a_path_or_an_option_is_lost(scheduler, tmp_path):
    folder = tmp_path / NASTY
    folder.mkdir()
    asked = job(
        scheduler,
        script=NASTY,
        database=f"sub/{NASTY}.db",
        options=("--experiment", NASTY),
        python="/bin/my python",
        directory=str(folder),
    )

    names = ("script", "database", "options", "python", "PWD")
    found = settings_in(render(asked), *names, folder=tmp_path)

    expected = [NASTY, f"sub/{NASTY}.db", "--time-limit", "01:58:00"]
    expected += ["--experiment", NASTY, "/bin/my python", str(folder)]
    assert expected == found
    merged = settings_in(render_merge(asked), "database", folder=tmp_path)
    assert [f"sub/{NASTY}.db"] == merged


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("runs/heat 2.py", "heat-2"),
        ("2d.py", "job-2d"),
        ("ä.py", "job"),
        ("-x-.py", "x"),
    ],
)
def test_a_job_is_called_what_every_scheduler_takes(script, name):
    assert name == Job(scheduler="sge", script=script).called


def test_ranks_stand_in_a_directive_alone(tmp_path):
    """So that whoever edits the number edits it once."""
    nodes = tmp_path / "nodes"
    nodes.write_text("a\na\nb\n")
    env = {
        "slurm": "SLURM_NTASKS=3",
        "sge": "NSLOTS=6",
        "lsf": "LSB_DJOB_NUMPROC=3",
        "pbs": f"PBS_NODEFILE={nodes}",
    }
    for scheduler, given in env.items():
        cpus = 2 if scheduler == "sge" else 1
        text = render(job(scheduler, cpus_per_rank=cpus, directory=str(tmp_path)))
        found = settings_in(f"export {given}\n{text}", "ranks", folder=tmp_path)
        assert ["3"] == found


def test_srun_gives_a_rank_as_many_cores_as_the_job_has_for_it():
    assert "SRUN_CPUS_PER_TASK=4" in render(job("slurm", cpus_per_rank=4))
    assert "SRUN_CPUS_PER_TASK" not in render(job("slurm"))


WRONG = [
    ({"scheduler": "condor"}, "unknown scheduler 'condor'; choose one of slurm"),
    ({"library": "lam"}, "unknown MPI library 'lam'; choose one of mpich"),
    ({"ranks": 0}, "--ranks is 0; it must be 1 or more"),
    ({"cpus_per_rank": 0}, "--cpus-per-rank is 0"),
    (
        {"ranks": 64, "nodes": 3},
        "64 ranks cannot be spread evenly over 3 nodes; use 66",
    ),
    ({"seconds": 59}, "the minimum is a minute"),
    (
        {"seconds": 60, "notice": 60},
        "--notice 60 s is not shorter than the walltime of 60 s",
    ),
    ({"fault_tolerant": True}, "only Open MPI can continue: use --mpi openmpi"),
    ({"scheduler": "pbs", "resume": True, "array": 2}, "omit --resume"),
    ({"scheduler": "sge", "nodes": 2}, "choose one with --pe"),
    ({"resume": True, "options": ("--over",)}, "--overwrite would start from scratch"),
    ({"options": ("--overwrite",)}, "a job cannot ask: add --yes"),
    ({"options": ("--over", "--", "--yes")}, "a job cannot ask: add --yes"),
    ({"array": 3, "options": ("--share=1/3",)}, "omit --share"),
    ({"queue": "a b"}, "--queue 'a b' is not a name"),
    ({"parallel_environment": "a\nb"}, "--pe 'a"),
    ({"logs": "a%b"}, "the log folder 'a%b'"),
    ({"logs": 'a"b'}, "the log folder"),
    ({"directives": ("--x\nrm -rf /",)}, "must be one line"),
    ({"setup": ("a\nb",)}, "must be one line"),
    ({"script": "a\nb.py"}, "characters that no job script should have"),
    ({"database": "a\rb.db"}, "characters that no job script should have"),
    ({"options": ("--experiment", "a\n#$ -q x")}, "that no job script should have"),
    ({"options": ("--experiment", "a\udcff")}, "that no job script should have"),
    ({"options": ("--db", "other.db")}, "the job itself needs to know the database"),
    ({"options": ("--db=other.db",)}, "the job itself needs to know the database"),
    ({"options": "--isolate"}, "options is '--isolate'; it must be a list of strings"),
    ({"options": ("--grace", 30)}, "it must be a list of strings"),
    ({"setup": "module load mpich"}, "it must be a list of strings"),
    ({"seconds": 5400.0}, "the walltime in seconds is 5400.0; it must be a whole"),
    ({"seconds": "2:00:00"}, "it must be a whole number"),
    ({"seconds": 10**12}, "the maximum is ten years"),
    ({"ranks": "8"}, "--ranks is '8'; it must be a whole number"),
    ({"max_runs": 3}, "--max-runs is for jobs that run again: add --resume"),
    ({"parallel_environment": "mpi"}, "--pe is for Grid Engine; Slurm has no parallel"),
    ({"array_limit": 3}, "--array-limit is for arrays: add --array"),
    ({"memory": "4"}, "--memory is '4'; it must be a size such as 500M or 4G"),
    ({"memory": 4}, "--memory is 4; it must be a size"),
    ({"mail": "a b"}, "--mail is 'a b'; it must be an address"),
    ({"depends_on": ("1 2",)}, "--depends-on is '1 2'; it must be the number of a job"),
    ({"depends_on": "17"}, "depends_on is '17'; it must be a list of strings"),
    ({"gpus_per_rank": 0}, "--gpus-per-rank is 0; it must be 1 or more"),
    ({"scheduler": "flux", "exclusive": True}, "add --nodes to --exclusive"),
    ({"ranks": True}, "--ranks is True; it must be a whole number"),
]


@pytest.mark.parametrize(("asked", "said"), WRONG)
def test_what_cannot_be_is_refused_before_anything_is_written(asked, said):
    with pytest.raises(JobScriptError) as caught:
        Job(**{"scheduler": "slurm", **asked})

    assert said in str(caught.value)


# --- launch lines


def launched(text):
    return text.partition("launch() {")[2].partition("\n}")[0]


def test_the_librarys_own_mpiexec_is_preferred():
    assert 'exec mpiexec -n "$ranks"' in launched(render(Job(scheduler="slurm")))


def test_another_launcher_may_be_asked_for():
    text = render(Job(scheduler="slurm", launcher="srun"))

    assert 'exec srun --mpi=pmi2 -n "$ranks" "$@"' in launched(text)
    assert '#     exec mpiexec -n "$ranks" "$@"' in text


def test_a_launcher_that_is_not_there_is_refused():
    with pytest.raises(JobScriptError, match="is started there by mpiexec, not srun"):
        render(Job(scheduler="sge", launcher="srun"))


def test_open_mpi_under_grid_engine_is_told_its_hosts():
    text = launched(render(Job(scheduler="sge", library="openmpi")))

    assert '"$PE_HOSTFILE"' in text and '--hostfile "$hosts"' in text


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_fault_tolerance_is_asked_of_the_launcher(scheduler):
    text = render(job(scheduler, fault_tolerant=True, library="openmpi"))

    assert "mpiexec --with-ft ulfm" in launched(text)
    # Nothing else could do it.
    assert "Instead of that line" not in text


# Stands for Python in a job script: the signal comes while it asks what is done so far.
TOLD_EARLY = f"""#!{sys.executable}
import os, signal, sys
with open("asked.txt", "a") as file:
    file.write(sys.argv[3] + " ")
if sys.argv[3] == "status":
    os.kill(int(os.environ["JOB_SHELL"]), signal.SIGUSR1)
"""


def test_a_job_that_is_told_to_stop_before_it_launched_launches_nothing(tmp_path):
    """With what it reads on a slow file system, that may be minutes."""
    python = tmp_path / "python"
    python.write_text(TOLD_EARLY)
    python.chmod(0o755)
    asked = job("lsf", resume=True, python=str(python), directory=str(tmp_path))
    given = {"LSB_JOBNAME": "exp", "LSB_DJOB_NUMPROC": "1"}

    done = subprocess.run(
        ["bash", "-c", f"export JOB_SHELL=$$\n{render(asked)}"],
        cwd=tmp_path,
        env={**os.environ, **IN_A_JOB, **given},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 75 == done.returncode
    assert "job script: exit code 75" in done.stdout
    assert "run" not in (tmp_path / "asked.txt").read_text().split()


@pytest.mark.parametrize("scheduler", ["slurm", "sge", "lsf", "pbs"])
def test_a_script_that_is_run_outside_of_a_job_says_so(scheduler, tmp_path):
    """All ranks would run on the login node."""
    env = {name: value for name, value in os.environ.items() if name not in IN_A_JOB}

    done = subprocess.run(
        ["bash", "-c", render(job(scheduler))],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 3 == done.returncode
    assert "this is no job of" in done.stdout
    assert "submit it" in done.stdout

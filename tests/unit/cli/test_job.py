"""The verb ``job``: what it writes and where, and what it refuses."""

from __future__ import annotations

import os
import stat
import sys

import pytest

from experimenter_mpi import JobScriptError, cluster
from experimenter_mpi.cluster.installed import family_of, library_installed
from experimenter_mpi.cluster.job import Job
from experimenter_mpi.cluster.schedulers import SCHEDULERS
from experimenter_mpi.cluster.write import write
from support.desk import ASK, install


def test_a_script_for_this_folder_and_this_python_is_printed(job, here):
    code, out, err = job("slurm", *ASK)

    assert (0, "") == (code, err)
    assert "#SBATCH --ntasks=4\n#SBATCH --time=01:00:00\n" in out
    assert f"cd -- {here} || exit 3\nscript=exp.py\n" in out
    assert f"python={sys.executable}\n" in out
    assert ["bin", "exp.py"] == sorted(os.listdir(here))


def test_options_of_run_are_passed_on(job):
    more = ("--grace", "30", "--isolate", "--experiment", "a b")

    code, out, _ = job("pbs", *ASK, *more)

    assert 0 == code
    limit = "--time-limit 00:58:00"
    assert f"options=({limit} --grace 30 --isolate --experiment 'a b')" in out


@pytest.mark.parametrize("options", [("--isolate",), ()])
def test_what_follows_two_dashes_is_for_the_script_as_with_run(job, options):
    more = (*options, "--", "--share", "1/2", "--db", "x")

    code, out, err = job("slurm", *ASK, "--array", "3", *more)

    assert 0 == code, err
    assert f"options=(--time-limit 00:58:00 {' '.join(more)})" in out
    assert 'options=(--share "$share/$shares" "${options[@]}")' in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--isolat3",), "unrecognized arguments: --isolat3"),
        (("--grace", "soon"), "'soon' is not a duration"),
        (("--ranks", "0"), "'0' is not a whole number of 1 or more"),
        (("--nodes", "1.5"), "'1.5' is not a whole number of 1 or more"),
        (("--time", "later"), "'later' is not a duration"),
        (("--mpi", "lam"), "invalid choice: 'lam'"),
    ],
)
def test_a_mistake_is_seen_before_the_job_is(job, options, said):
    code, out, err = job("slurm", *ASK, *options)

    assert (2, "") == (code, out)
    assert said in err and "(see experimenter-mpi job --help)" in err


def test_a_job_without_a_walltime_is_not_guessed_at(job):
    code, _, err = job("slurm", "exp.py")

    assert 2 == code
    assert "--time" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("slurm", "no.py", "--time", "60"), "no such script: no.py"),
        (("slurm", *ASK, "--nodes", "3"), "use 6"),
        (("slurm", *ASK, "--time", "inf"), "is too long"),
        (("slurm", *ASK, "--db", ""), "--db '' is a folder"),
        (("slurm", *ASK, "--db", "bin"), "--db 'bin' is a folder"),
        (("slurm", *ASK, "--fault-tolerant"), "--mpi openmpi"),
        (("sge", *ASK, "--launcher", "srun"), "by mpiexec, not srun"),
        (("slurm", "exp.py", "--time", "60", "--python", "/no"), "--mpi mpich|"),
        (("slurm", *ASK, "--output", "exp.py"), "exists and is different"),
        (("slurm", *ASK, "--output", "/proc/no/x.sh"), "cannot write /proc/no"),
        (
            ("slurm", *ASK, "--submit"),
            "there is no sbatch here: run this on a login node",
        ),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_3(job, here, arguments, said):
    code, out, err = job(*arguments)

    assert (3, "") == (code, out)
    assert said in err and "Traceback" not in err
    assert "experiment = 1\n" == (here / "exp.py").read_text()


def test_a_file_is_written_with_the_folder_of_its_logs(job, here):
    code, out, err = job("slurm", *ASK, "--output", "sub/x.sh", "--logs", "my logs")

    assert (0, "") == (code, out)
    assert "wrote sub/x.sh\nsubmit it: sbatch sub/x.sh\n" == err
    assert (here / "my logs").is_dir()
    assert (here / "sub" / "x.sh").stat().st_mode & stat.S_IXUSR


def test_the_same_is_written_again_without_a_word_and_another_only_by_force(job, here):
    ask = ("slurm", *ASK, "--output", "x.sh")
    first, _, _ = job(*ask)
    same, _, _ = job(*ask)
    (here / "x.sh").write_text("# mine\n")
    other, _, _ = job(*ask)
    kept = (here / "x.sh").read_text()
    forced, _, _ = job(*ask, "--force")

    assert [0, 0, 3, 0] == [first, same, other, forced]
    assert "# mine\n" == kept != (here / "x.sh").read_text()


def test_an_array_comes_with_the_job_that_merges(job, here):
    code, _, err = job("slurm", *ASK, "--array", "3", "--output", "sweep.sh")

    assert 0 == code
    assert "sbatch --dependency=afterany:JOBID sweep-merge.sh" in err
    assert "#SBATCH --array=1-3" in (here / "sweep.sh").read_text()
    assert "merge " in (here / "sweep-merge.sh").read_text()


def test_an_array_on_standard_output_says_what_is_missing(job):
    _, out, err = job("slurm", *ASK, "--array", "3")

    assert 'options+=(--share "$share/$shares")' in out
    assert "use --output to get the merge job" in err


# --- from Python


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_the_same_from_python(scheduler, here):
    create = getattr(cluster, f"create_{scheduler}_template")

    written = create("hpc/job.sh", "hpc/logs", ranks=8, seconds=3600)

    assert ["hpc/job.sh"] == written
    assert (here / "hpc" / "logs").is_dir()
    text = (here / "hpc" / "job.sh").read_text()
    assert f"python={sys.executable}" in text and "hpc/logs" in text


def test_paths_of_pathlib_and_this_pythons_own_mpi_are_taken(here, monkeypatch):
    (here / "venv").mkdir()
    (here / "venv" / "mpiexec").write_text("#!/bin/sh\necho 'mpirun (Open MPI) 5'\n")
    (here / "venv" / "mpiexec").chmod(0o755)
    asked = {"script": here / "exp.py", "python": here / "venv" / "python"}

    cluster.create_slurm_template(here / "job.sh", here / "logs", **asked)

    text = (here / "job.sh").read_text()
    assert f"script={here}/exp.py\n" in text and (here / "logs").is_dir()
    assert 'exec mpiexec --bind-to none -n "$ranks" "$@"\n}' in text


def test_a_chain_that_submits_itself_says_by_what_name(job):
    _, _, pbs = job("pbs", *ASK, "--resume")
    _, _, slurm = job("slurm", *ASK, "--resume")

    assert "save it as resume.sh" in pbs
    assert "" == slurm


def test_what_is_there_is_not_replaced_from_python_either(here):
    (here / "job.sh").write_text("mine\n")

    with pytest.raises(JobScriptError, match="exists and is different"):
        cluster.create_slurm_template("job.sh")

    assert "mine\n" == (here / "job.sh").read_text()

    cluster.create_slurm_template("job.sh", force=True)

    assert "#SBATCH" in (here / "job.sh").read_text()


def test_a_script_without_a_name_is_not_written():
    with pytest.raises(JobScriptError, match="needs a file name"):
        write(Job(scheduler="slurm"))


# --- which MPI there is

SAYINGS = [
    ("HYDRA build details:\n    Version: 4.3.0", "mpich"),
    ("mpirun (Open MPI) 5.0.8", "openmpi"),
    ("mpirun (OpenRTE) 2.1", "openmpi"),
    ("Intel(R) MPI Library for Linux* OS, Version 2021.9", "intel"),
    ("slurm 23.02", None),
]


@pytest.mark.parametrize(("said", "family"), SAYINGS)
def test_a_launcher_is_known_by_its_version(said, family):
    assert family == family_of(said)


def test_the_mpiexec_beside_python_comes_before_that_on_the_path(here):
    install(here, "mpiexec", "echo 'mpirun (Open MPI) 5.0.8'")
    beside = here / "venv"
    install(beside.parent, "mpiexec", "echo 'mpirun (Open MPI) 5.0.8'")
    beside.mkdir()
    (beside / "mpiexec").write_text("#!/bin/sh\necho HYDRA\n")
    (beside / "mpiexec").chmod(0o755)
    environment = {"PATH": f"{here / 'bin'}"}

    assert "mpich" == library_installed(str(beside / "python"), environment)
    assert "openmpi" == library_installed("/no/python", environment)
    assert library_installed("/no/python", {"PATH": ""}) is None
    cray = {"PATH": "", "CRAY_MPICH_DIR": "/opt/cray"}
    assert "cray" == library_installed("/no/python", cray)

"""``doctor`` on a login node, under both launchers, and where nothing would work."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from support.experiments import PACKAGE
from support.libraries import python_of
from unit.mpi.test_launch import BATCH, STEP

DOCTOR = (*PACKAGE, "doctor", "--json")
ONE_TRIAL = """
from experimenter_mpi import Experiment
experiment = Experiment("one", function=lambda c, trial_id: {}, configuration={})
"""
BROKEN = {"MPI4PY_LIBMPI": "/no/such/libmpi.so"}


def report_of(done):
    """The document, and the states and texts of its findings by check."""
    document = json.loads(done.stdout)
    found = {finding["check"]: finding for finding in document["findings"]}
    return document, found


def test_alone_it_says_what_a_run_would_need(serial):
    """On a login node, with the library's mpiexec on PATH."""
    path = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}

    document, found = report_of(serial(*DOCTOR, env=path).expect(0))

    assert document["works"]
    assert found["MPI library"]["text"].startswith("MPICH Version: ")
    assert {"ok"} == {found[each]["state"] for each in ("mpiexec", "spawn", "writing")}
    assert "mpiexec -n 4 python -m experimenter_mpi run" in found["ranks"]["text"]


def test_alone_in_a_job_it_says_how_to_start_the_ranks(serial):
    document, found = report_of(serial(*DOCTOR, env=BATCH).expect(0))

    assert ("slurm", 4) == (
        document["environment"]["scheduler"],
        document["environment"]["slots"],
    )
    assert "srun --mpi=pmi2 -n 4 python" in found["ranks"]["remedy"]


def test_with_another_librarys_mpiexec_on_path_a_run_would_not_work(serial):
    path = {"PATH": f"{python_of('openmpi').parent}:/usr/bin:/bin"}

    document, found = report_of(serial(*DOCTOR, env=path).expect(3))

    assert not document["works"]
    assert "that of Open MPI" in found["mpiexec"]["text"]


@pytest.mark.parametrize("library", ["mpich", "openmpi"])
def test_under_mpiexec_rank_0_reports_all_ranks(mpirun, library):
    done = mpirun(3, *DOCTOR, library=library).expect(0)

    document, found = report_of(done)
    assert (3, 3) == (
        document["environment"]["promised"],
        document["environment"]["seen"],
    )
    assert found["ranks"]["text"].startswith("3 ranks on 1 host: ")
    assert "ok" == found["threads"]["state"]


def test_threads_of_numpy_are_counted_as_a_run_would_have_them(mpirun, launches):
    """It sets one for each rank, unless the job script says otherwise."""
    _, told = report_of(mpirun(2, *DOCTOR, env={"OMP_NUM_THREADS": "64"}).expect(0))
    mpiexec = Path(sys.executable).parent / "mpiexec"
    command = f"'{mpiexec}' -n 2 '{sys.executable}' {' '.join(DOCTOR)}"
    unset = launches.start_shell(f"unset OMP_NUM_THREADS; {command}").wait().expect(0)

    text = told["threads of numpy"]["text"]
    assert "OMP_NUM_THREADS is 64: numpy may start 128 threads" in text
    assert "threads of numpy" not in report_of(unset)[1]


def test_under_ulfm_the_run_would_outlive_a_rank(mpirun):
    launcher = ("--with-ft", "ulfm")
    done = mpirun(2, *DOCTOR, library="openmpi", launcher=launcher).expect(0)

    assert report_of(done)[1]["rank deaths"]["text"].startswith("enabled: ")


def test_the_launcher_of_another_library_is_diagnosed(launches):
    """MPICH's mpiexec starts two Pythons whose Open MPI sees two worlds of one."""
    mpich = Path(sys.executable).parent / "mpiexec"
    command = f"'{mpich}' -n 2 '{python_of('openmpi')}' {' '.join(DOCTOR)}"
    done = launches.start_shell(command).wait()

    assert 3 == done.returncode
    text, remedy = (report_of(done)[1]["ranks"][key] for key in ("text", "remedy"))
    assert "mpiexec of MPICH started 2 processes, but to Open MPI each of" in text
    assert f"{python_of('openmpi').parent}/mpiexec --bind-to none -n 2" in remedy
    assert "which may fail under" in done.stderr


@pytest.mark.parametrize(("rank", "reports"), [("0", True), ("2", False)])
def test_a_step_of_worlds_of_one_is_diagnosed_once(serial, rank, reports):
    """With srun --mpi=none; each process ends with 3, and one of them says why."""
    done = serial(*DOCTOR, env={**STEP, "SLURM_PROCID": rank}).expect(3)

    assert reports is bool(done.stdout)
    if reports:
        found = report_of(done)[1]["ranks"]
        assert "srun started 4 processes" in found["text"]
        assert "srun --mpi=pmi2 -n 4 python" in found["remedy"]


def test_a_step_of_worlds_of_one_is_one_problem_where_a_database_is(serial, folder):
    script = str(folder.write(ONE_TRIAL, "exp.py"))
    serial(*PACKAGE, "run", script, "--progress", "none").expect(0)

    document, found = report_of(serial(*DOCTOR, env=STEP).expect(3))

    problems = [x["check"] for x in document["findings"] if x["state"] == "problem"]
    assert ["ranks"] == problems
    assert (
        "was not opened: this process sees no other ranks" in found["database"]["text"]
    )


def test_without_a_library_that_loads_nothing_is_started(serial, mpirun):
    runs = (
        serial(*DOCTOR, env=BROKEN).expect(0),
        serial(*DOCTOR, "--mpi", env=BROKEN).expect(3),
        mpirun(2, *DOCTOR, env=BROKEN).expect(3),
    )
    for done, state in zip(runs, ("note", "problem", "problem"), strict=True):
        _, found = report_of(done)

        assert state == found["MPI library"]["state"]
        assert "MPI4PY_LIBMPI=/no/such/libmpi.so" in found["MPI library"]["text"]
        assert "unset MPI4PY_LIBMPI" in found["MPI library"]["remedy"]


def test_without_a_library_it_says_that_serial_runs_work(serial):
    done = serial(*PACKAGE, "doctor", env=BROKEN).expect(0)

    last = done.stdout.splitlines()[-1]
    assert (
        "a serial or multithreaded run would work; one on MPI ranks would not" == last
    )


def test_for_people_each_finding_is_a_line_with_its_remedy_below(mpirun, tmp_path):
    (tmp_path / "heat.db").write_text("letters")
    done = mpirun(2, *PACKAGE, "doctor", "--db", "heat.db").expect(3)

    lines = done.stdout.splitlines()
    assert "a run would not work: 1 problem" == lines[-1]
    assert any(line.startswith("database") and "problem" in line for line in lines)
    assert [tmp_path / "heat.db"] == list(tmp_path.iterdir())

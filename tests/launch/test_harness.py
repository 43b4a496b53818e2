"""The harness itself: a test that lies about hanging processes is worse than none."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from support.launch import Launches, wait_until
from support.libraries import clean_environment

LIBRARIES = ["mpich", "openmpi"]
RANKS = Path(__file__).parents[1] / "ranks"

DEADLOCK = """\
from mpi4py import MPI

comm = MPI.COMM_WORLD

def rank_zero_waits():
    comm.recv(source=1)

def rank_one_waits():
    comm.recv(source=0)

print(f"rank {comm.rank} is there", flush=True)
(rank_zero_waits, rank_one_waits)[comm.rank]()
"""


@pytest.fixture
def deadlock(tmp_path):
    script = tmp_path / "deadlock.py"
    script.write_text(DEADLOCK)
    return script


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_deadlock_ends_at_its_deadline_with_the_stacks_of_all_ranks(
    start_mpirun, deadlock, library
):
    running = start_mpirun(2, deadlock, library=library)
    running.wait_for(lambda: running.stdout.count("is there") == 2)

    with pytest.raises(pytest.fail.Exception) as failure:
        running.wait(timeout=0.25)

    message = str(failure.value)
    assert "did not end in 1 s" in message
    assert "in rank_zero_waits" in message
    assert "in rank_one_waits" in message
    assert [] == running.processes()


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_exit_code_of_the_ranks_is_that_of_the_launch(mpirun, tmp_path, library):
    script = tmp_path / "leave.py"
    script.write_text(
        "from mpi4py import MPI\n"
        "print('of', MPI.COMM_WORLD.size)\n"
        "raise SystemExit(75)\n"
    )

    completed = mpirun(2, script, library=library)

    assert ["of 2", "of 2"] == completed.expect(75).stdout.splitlines()


def test_a_process_alone_has_the_same_shape(serial):
    completed = serial(
        "-c", "import sys; print(input()); sys.exit('gone')", stdin="yes\n"
    )

    assert (1, "yes\n", "gone\n") == (
        completed.returncode,
        completed.stdout,
        completed.stderr,
    )


def test_an_unexpected_exit_code_fails_with_all_output(serial):
    completed = serial("-c", "print('what happened'); raise SystemExit(3)")

    assert completed is completed.expect(3)
    with pytest.raises(pytest.fail.Exception, match=r"(?s)exit code 3.*what happened"):
        completed.expect(0)


def test_a_process_alone_that_hangs_shows_its_stacks(start_serial):
    running = start_serial("-c", "print('up', flush=True)\nwhile True: pass")
    running.wait_for("up")

    with pytest.raises(pytest.fail.Exception, match="line 2 in <module>"):
        running.wait(timeout=0.1)


@pytest.mark.parametrize("library", LIBRARIES)
def test_paths_and_arguments_may_hold_anything(mpirun, tmp_path, library):
    folder = tmp_path / "a folder with 'quotes' and ünicode"
    folder.mkdir()
    script = folder / "exp eriment.py"
    script.write_text("import os, sys\nprint(os.getcwd(), sys.argv[1:])\n")

    completed = mpirun(1, script, "two words", "$HOME", library=library, cwd=folder)

    assert f"{folder} ['two words', '$HOME']\n" == completed.expect(0).stdout


def test_waiting_for_a_text_fails_at_once_when_the_launch_ends(start_serial):
    running = start_serial("-c", "print('something else')")

    with pytest.raises(pytest.fail.Exception, match=r"(?s)ended before 'ready'.*else"):
        running.wait_for("ready", timeout=60)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_killed_rank_is_found_by_its_number(start_mpirun, tmp_path, library):
    """Rank 1 prints its pid itself, so the harness cannot fool itself."""
    script = tmp_path / "pids.py"
    script.write_text(
        "import os\nfrom mpi4py import MPI\n"
        "print('pids', MPI.COMM_WORLD.allgather(os.getpid()), flush=True)\n"
        "MPI.COMM_WORLD.Barrier()\nwhile True: pass\n"
    )
    running = start_mpirun(2, script, library=library)
    running.wait_for(lambda: running.stdout.count("pids") == 2)

    assert f"pids {running.ranks()}" in running.stdout
    running.send_signal(signal.SIGKILL, rank=1)
    assert running.wait().returncode != 0


def test_what_outlives_its_parent_in_a_session_of_its_own_is_found_and_killed(
    start_serial,
):
    """So do MPICH's ranks when their mpiexec and its proxy are killed."""
    running = start_serial(
        "-c",
        "import subprocess, sys\n"
        "endless = [sys.executable, '-c', 'while True: pass']\n"
        "subprocess.Popen(endless, start_new_session=True)\n",
    )
    wait_until(lambda: running.poll() is not None, what="the end of the parent")

    assert [1] == [process.parent for process in running.processes()]
    running.kill_tree()
    assert [] == running.processes()


def test_nothing_is_left_of_a_test_that_did_not_wait(tmp_path, deadlock):
    with Launches(cwd=tmp_path) as launches:
        running = launches.start_mpirun(2, deadlock)
        running.wait_for("is there")

    assert [] == running.processes()


def test_the_variables_of_an_outer_launcher_do_not_reach_the_launch(
    monkeypatch, serial
):
    """The suite is meant to run inside a Slurm job as well."""
    foreign = ["PMI_RANK", "PMIX_NAMESPACE", "OMPI_COMM_WORLD_SIZE", "SLURM_JOB_ID"]
    for name in foreign:
        monkeypatch.setenv(name, "1")

    names = serial("-c", "import os; print(*os.environ)").stdout.split()

    assert set() == set(foreign) & set(names)
    assert "PATH" in names
    assert "1" == clean_environment()["PYTHONFAULTHANDLER"]


def test_waiting_ends_at_its_deadline_and_says_for_what():
    with pytest.raises(pytest.fail.Exception, match="in vain for the moon"):
        wait_until(lambda: False, timeout=0.05, what="the moon")


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_tests_that_run_on_several_ranks_pass(mpirun, ranks, library):
    """The same tests as CTest starts for a site's own MPI."""
    completed = mpirun(
        ranks,
        *("-m", "pytest", "--with-mpi", "-m", "mpi", "-p", "no:cacheprovider", RANKS),
        library=library,
        timeout=120,
        env={"EXPERIMENTER_TEST_RANKS": str(ranks)},
        cwd=RANKS.parent.parent,
    )

    assert "passed" in completed.expect(0).stdout


def test_a_failure_on_one_rank_ends_the_job_and_says_where(mpirun, tmp_path):
    shutil.copy(RANKS / "conftest.py", tmp_path)
    (tmp_path / "test_one.py").write_text(
        "from mpi4py import MPI\n\n"
        "def test_one(comm):\n"
        "    assert comm.rank == 0, 'not here'\n"
        "    comm.recv(source=1)\n"
    )

    completed = mpirun(2, "-m", "pytest", "--with-mpi", "-q", tmp_path)

    assert 0 != completed.returncode
    assert "### rank 1 of 2: test_one.py::test_one" in completed.stdout
    assert "not here" in completed.stdout

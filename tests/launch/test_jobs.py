"""Job scripts for schedulers that are not to be had, run as one would run them.

`support.fake_scheduler` takes the place of PBS, LSF and Flux: it reads directives, sets
variables, and starts again what asks for it. Ranks and launchers are real.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from support import fake_scheduler
from support.experiments import PACKAGE
from support.jobs import QUICK, SCRIPT, runs_ended

COMMANDS = {"pbs": ("qsub", "qstat"), "lsf": ("bsub",), "flux": ("flux",)}
EACH = pytest.mark.parametrize("scheduler", COMMANDS)
pytestmark = pytest.mark.launches

# The first run is told that its end comes near, by a trial of its own; the second ends.
# KEEP says whether the first leaves anything.
TOLD = """
import os, signal, time
from experimenter_mpi import (
    Experiment, IntegerVariable, TrialInterrupted,
    get_latest_snapshot_from_global_database, save_snapshot_in_global_database,
    stop_requested,
)

def trial(configuration, trial_id):
    if get_latest_snapshot_from_global_database(trial_id) is not None:
        return {"flavour": os.environ.get("FLAVOUR")}
    if configuration["n"] == 1:
        os.kill(int(os.environ["JOB_SHELL"]), signal.SIGUSR1)
    while not stop_requested():
        time.sleep(0.01)
    if KEEP:
        save_snapshot_in_global_database(trial_id, {})
    raise TrialInterrupted

experiment = Experiment(
    "told", function=trial, configuration={"n": IntegerVariable(1, 2)}
)
"""
EXEC = "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"
STEPS, VAIN = TOLD.replace("KEEP", "True"), TOLD.replace("KEEP", "False")


@pytest.fixture
def submit(launches, folder, tmp_path_factory):
    """Submit exp.py to one of them, and see all of it through; give what jobs said."""
    home = tmp_path_factory.mktemp("scheduler")

    def install(scheduler):
        fake = home / "fake_scheduler.py"
        shutil.copy(fake_scheduler.__file__, fake)
        source = fake.read_text().replace(
            "Path(__file__).parents[1]", repr(str(Path(__file__).parents[1])), 1
        )
        fake.write_text(f"#!{sys.executable}\n{source}")
        fake.chmod(0o755)
        for command in COMMANDS[scheduler]:
            (home / command).symlink_to(fake)
        # The environment's own mpiexec, for what plays `flux run`.
        return {"PATH": f"{home}:{Path(sys.executable).parent}:{os.environ['PATH']}"}

    def run(scheduler, *arguments, expect=0, by_hand=None):
        env = install(scheduler)
        job = (*PACKAGE, "job", scheduler, SCRIPT, "--ranks", "3", "--time", "5:00")
        how = ("--submit",) if by_hand is None else ("--output", "exp.sh")
        done = launches.serial(*job, *how, *arguments, env=env, timeout=100)
        if by_hand is not None:
            env["FLAVOUR"] = 'salt, "pepper" and more'
            done = launches.serial("-c", EXEC, *by_hand, "exp.sh", env=env, timeout=100)
        logs = (folder.path / "hpc" / "logs").glob("*.out")
        paths = [path for path in (home / "output.txt", *logs) if path.exists()]
        told = "\n".join(path.read_text() for path in paths)
        assert done.returncode == expect, f"{done}\n{told}"
        return told

    run.asked = lambda: (home / "asked.txt").read_text().splitlines()
    return run


BY_HAND = {
    "pbs": ["qsub", "-q", "long", "-A", "physics", "-l", "walltime=0:10:00"],
    "lsf": ["sh", "-c", 'bsub <"$0"'],
    "flux": ["flux", "batch", "--queue=long"],
}
BY_HAND["pbs"] += ["-v", "FLAVOUR", "-W", "depend=afterany:1"]


AGAIN = {
    "pbs": "qsub -q long -A physics -l walltime=0:10:00 -v FLAVOUR,EXPERIMENTER_CHAIN "
    "exp.sh",
    "flux": "flux --parent job submit --urgency=16",
}


@EACH
def test_a_chain_of_runs_keeps_what_its_first_job_was_submitted_with(
    scheduler, submit, folder
):
    folder.write(STEPS, SCRIPT)

    told = submit(scheduler, "--resume", by_hand=BY_HAND[scheduler])

    assert ["stopped", "finished"] == runs_ended(folder)
    query = "SELECT results ->> '$.flavour' FROM trials"
    assert [('salt, "pepper" and more',)] * 2 == folder.query(query)
    assert scheduler not in AGAIN or AGAIN[scheduler] in submit.asked()
    assert "stopped by SIGUSR1" in told
    # PBS and Flux jobs end well once their successors are submitted.
    again = 75 if scheduler == "lsf" else 0
    endings = [line for line in told.splitlines() if line.startswith("ended with ")]
    assert sorted([f"ended with {again}", "ended with 0"]) == sorted(endings)


def test_a_chain_that_makes_no_progress_ends_by_itself(submit, folder):
    folder.write(VAIN, SCRIPT)

    told = submit("pbs", "--resume")

    assert ["stopped", "stopped"] == runs_ended(folder)
    assert 1 == told.count("two runs finished no trial and saved no snapshot")
    assert "ended with 3" in told


def test_a_chain_ends_after_so_many_runs(submit, folder):
    """LSF would start it again after exit code 75, for ever."""
    folder.write(STEPS, SCRIPT)

    told = submit("lsf", "--resume", "--max-runs", "1")

    assert ["stopped"] == runs_ended(folder)
    assert "work is left after 1 runs" in told and "ended with 3" in told


def test_a_chain_that_cannot_keep_count_ends(submit, folder):
    folder.write(STEPS, SCRIPT)
    (folder.path / "hpc" / "logs" / "fake-1-0.runs").mkdir(parents=True)

    told = submit("lsf", "--resume")

    assert ["stopped"] == runs_ended(folder)
    assert "Is a directory" in told and "ended with 3" in told


def test_a_chain_ends_with_trials_that_fail(submit, folder):
    """Exit code 1 is for somebody to look at, not to be tried for ever."""
    folder.write(QUICK.replace("return {", "return 1 / 0, {"), SCRIPT)

    told = submit("flux", "--resume")

    assert ["failed"] == runs_ended(folder)
    assert "ended with 1" in told and 1 == told.count("ended with")


@EACH
def test_an_array_whose_shares_are_merged(scheduler, submit, folder):
    folder.write(QUICK, SCRIPT)

    submit(scheduler, "--array", "2")

    assert {"finished": 24} == folder.statuses()
    assert [(24,)] == folder.query("SELECT count(DISTINCT results) FROM trials")


def test_a_directive_that_is_none_is_refused_by_what_plays_the_scheduler(
    submit, folder
):
    folder.write(QUICK, SCRIPT)

    submit("pbs", "--directive=-l walltimes=1", expect=3)

    assert not folder.database.exists()

"""Submitted jobs, from Python and by the verb ``jobs``, with stand-ins to ask."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from experimenter_mpi import JobScriptError, cluster
from experimenter_mpi.cli import run_verb
from experimenter_mpi.cluster import job_records
from experimenter_mpi.cluster.schedulers import SCHEDULERS
from experimenter_mpi.cluster.states import states

# The command that submits and what it says; that lists, and what it says of a job that
# waits, that runs, that has ended, and that it has forgotten; and that cancels.
PLAYED = {
    "slurm": {
        "submit": ("sbatch", "echo 17"),
        "list": "squeue",
        "queued": "17 PENDING\n5 RUNNING",
        "running": "17 PENDING\n17 RUNNING\n",
        "ended": "5 RUNNING",
        "cancel": "scancel",
    },
    "pbs": {
        "submit": ("qsub", "echo 17.server"),
        "list": "qstat",
        "queued": "Job Id: 17.server\n    Job_Name = exp\n    job_state = H\n",
        "running": "Job Id: 17.server\n    Job_Name = exp\n    job_state = R\n",
        "ended": "Job Id: 17.server\n    job_state = F\n",
        "forgotten": "qstat: Unknown Job Id 17.server",
        "cancel": "qdel",
    },
    "sge": {
        "submit": ("qsub", "echo 17"),
        "list": "qstat",
        "queued": "job-ID  prior   name  user  state submit\n-----\n"
        "     17 0.55500 exp   me    hqw   11/30/2026 11:00:00      2\n",
        "running": "job-ID\n-----\n"
        "     17 0.55500 exp   me    Rr    11/30/2026 11:00:00 all.q@n 2 1\n"
        "     17 0.55500 exp   me    qw    11/30/2026 11:00:00         2 2\n",
        "ended": "",
        "cancel": "qdel",
    },
    "lsf": {
        "submit": ("bsub", "echo 'Job <17> is submitted to queue <normal>.'"),
        "list": "bjobs",
        "queued": "17 PEND\n",
        "running": "17 DONE\n17 RUN\n",
        "ended": "17 EXIT\n5 RUN\n",
        "forgotten": "No job found",
        "cancel": "bkill",
    },
    "flux": {
        "submit": ("flux", "echo f17Abc"),
        "list": "flux",
        "queued": "f17Abc SCHED\n",
        "running": "f17Abc RUN\n",
        "ended": "f17Abc INACTIVE\n",
        "forgotten": "flux-jobs: ERROR: JobID f17Abc unknown",
        "cancel": "flux",
    },
}
EACH = pytest.mark.parametrize("scheduler", SCHEDULERS)


class Desk:
    """A folder with a scheduler's commands, which note how they are called."""

    def __init__(self, folder, scheduler):
        self.folder, self.scheduler = folder, scheduler
        self.played = PLAYED[scheduler]
        name, said = self.played["submit"]
        self.install(name, said)
        if name != self.played["list"]:
            self.install(self.played["cancel"], "")

    def install(self, name, does):
        path = self.folder / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>asked.txt\n{does}\n')
        path.chmod(0o755)

    def say(self, state):
        """Have the scheduler say this of its jobs from now on."""
        (self.folder / "said").write_text(self.played[state])
        does = "cat said >&2; exit 1" if state == "forgotten" else "cat said"
        self.install(self.played["list"], does)

    def asked(self):
        return (self.folder / "asked.txt").read_text().splitlines()


@pytest.fixture
def desk(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp.py").touch()
    (tmp_path / "bin").mkdir()
    for name in ("cat", "sh"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return lambda scheduler: Desk(tmp_path, scheduler)


def submit(scheduler, **asked):
    asked = {"ranks": 4, "time": "1:00:00", "library": "mpich", **asked}
    return cluster.submit(scheduler, "exp.py", **asked)


@EACH
def test_a_job_is_queued_then_runs_then_has_ended(scheduler, desk):
    here = desk(scheduler)
    job = submit(scheduler)

    for state in ("queued", "running", "ended"):
        here.say(state)
        assert state == job.state()
    assert job.wait()
    if "forgotten" in here.played:
        here.say("forgotten")
        assert "ended" == job.state()


@EACH
def test_only_what_has_not_ended_is_cancelled(scheduler, desk):
    here = desk(scheduler)
    job = submit(scheduler)
    here.say("ended")
    job.cancel()
    asked = here.asked()

    here.say("running")
    job.cancel()

    cancelled = f"{here.played['cancel']} {'cancel ' if scheduler == 'flux' else ''}"
    assert f"{cancelled}{job.job_id}" not in asked
    assert f"{cancelled}{job.job_id}" == here.asked()[-1]


@EACH
def test_a_scheduler_that_does_not_answer_has_not_forgotten_the_job(scheduler, desk):
    here = desk(scheduler)
    job = submit(scheduler)
    here.install(here.played["list"], "echo cannot connect to the server >&2; exit 1")

    with pytest.raises(JobScriptError, match="cannot connect to the server"):
        job.state()


def test_waiting_ends_after_a_while_if_the_job_does_not(desk):
    here = desk("slurm")
    job = submit("slurm")
    here.say("running")

    assert not job.wait(timeout=0)


def test_the_log_is_what_the_jobs_have_printed_so_far(desk):
    here = desk("slurm")
    job = submit("slurm", array=2, name="my exp")
    assert "" == job.log()

    logs = here.folder / "hpc" / "logs"
    (logs / "my-exp-17_1.out").write_text("one\n")
    (logs / "my-exp-17_2.out").write_text("two\n")
    (logs / "my-exp-merge-17.out").write_text("merged\n")

    assert "one\ntwo\nmerged\n" == job.log()


def test_a_task_of_pbs_has_brackets_in_the_name_of_its_log(desk):
    here = desk("pbs")
    here.install("qsub", "case $* in *merge*) echo 18 ;; *) echo '17[].server' ;; esac")
    job = submit("pbs", array=2)

    (here.folder / "hpc" / "logs" / "17[1].server.OU").write_text("one\n")

    assert "one\n" == job.log()


def test_a_chain_goes_on_with_the_jobs_that_it_submits_itself(desk):
    here = desk("pbs")
    job = submit("pbs", resume=True)
    (first,) = job.records()
    log = first.log.replace("17", "18")
    job_records.add(
        job.database, [first._replace(job="18.server", log=log, after=first.job)]
    )

    here.say("ended")
    said = PLAYED["pbs"]["running"].replace("17", "18")
    (here.folder / "said").write_text(PLAYED["pbs"]["ended"] + said)

    assert ["17.server", "18.server"] == [record.job for record in job.records()]
    assert "running" == job.state()


def test_a_duration_that_is_none_is_refused_before_anything_is_written(desk):
    here = desk("slurm")

    with pytest.raises(JobScriptError, match="time is 'soon'; it must be a duration"):
        submit("slurm", time="soon")

    assert ["bin", "exp.py"] == sorted(os.listdir(here.folder))


def test_a_script_that_is_not_there_is_not_submitted(desk):
    here = desk("slurm")
    (here.folder / "exp.py").unlink()

    with pytest.raises(JobScriptError, match=r"no such script: exp\.py"):
        submit("slurm")

    assert ["bin"] == os.listdir(here.folder)


def test_what_was_submitted_before_a_refusal_is_named(desk):
    here = desk("slurm")
    here.install("sbatch", 'case "$*" in *merge*) exit 7 ;; esac; echo 17')

    with pytest.raises(JobScriptError, match=r"exit code 7.*submitted before: 17"):
        submit("slurm", array=2)

    assert ["17"] == [r.job for r in job_records.read("experiments/experiments.db")]


# --- the verb


def jobs(capsys, *arguments):
    code = run_verb(["jobs", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_verb_lists_the_jobs_of_a_database_with_their_logs(desk, capsys):
    here = desk("slurm")
    submit("slurm", database="x.db")
    submit("slurm", database="other.db", force=True)
    here.say("queued")
    log = here.folder / "hpc" / "logs" / "exp-17.out"
    log.write_text("job script: exit code 1\njob script: trials failed\nbye\n")

    code, out, _ = jobs(capsys, "x.db")
    _, document, _ = jobs(capsys, "x.db", "--json")

    assert 0 == code
    header, row = out.splitlines()
    assert ["job", "name", "state", "log", "said"] == header.split()
    assert row.split()[:4] == ["17", "exp", "queued", "hpc/logs/exp-17.out"]
    assert row.endswith("trials failed")
    (told,) = json.loads(document)
    assert "queued" == told["state"] and Path(told["log"]).is_absolute()


def test_the_verb_shows_logs_where_the_scheduler_cannot_be_asked(desk, capsys):
    here = desk("slurm")
    submit("slurm", database="x.db")
    (here.folder / "bin" / "squeue").unlink(missing_ok=True)

    code, out, err = jobs(capsys, "x.db")

    assert 0 == code
    assert "unknown" in out and "exp-17.out" in out
    assert "there is no squeue here" in err


def test_the_verb_cancels_the_jobs_that_are_named_or_all(desk, capsys):
    here = desk("slurm")
    submit("slurm", database="x.db")
    here.say("running")

    unknown = jobs(capsys, "cancel", "x.db", "18")
    code, out, _ = jobs(capsys, "cancel", "x.db", "17")
    everything = jobs(capsys, "cancel", "x.db")

    assert 3 == unknown[0] and "no job 18 was submitted for x.db" in unknown[2]
    assert (0, "cancelled 1 job\n") == (code, out)
    assert 0 == everything[0]
    assert 2 == here.asked().count("scancel 17")


def test_a_database_without_jobs_is_no_mistake_and_none_at_all_is(desk, capsys):
    desk("slurm")
    Path("x.db").touch()

    assert 0 == jobs(capsys, "x.db")[0]
    code, _, err = jobs(capsys, "y.db")

    assert 3 == code and "no such database: y.db" in err


def test_a_number_of_flux_is_known_in_whatever_locale(desk):
    here = desk("flux")
    here.say("running")

    assert {"ƒ17Abc": "running"} == states("flux", ["ƒ17Abc"])


def test_a_job_of_nobody_else_is_taken_for_ours(desk):
    here = desk("slurm")
    here.say("queued")

    assert {"7": "ended", "17": "queued"} == states("slurm", ["7", "17"])

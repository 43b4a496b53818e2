"""What a job asks for beyond ranks and time, in each scheduler's words."""

from __future__ import annotations

import os
import subprocess

import pytest

from experimenter_mpi import JobScriptError
from experimenter_mpi.cluster.job import Job
from experimenter_mpi.cluster.render import render, render_merge
from experimenter_mpi.cluster.schedulers import SCHEDULERS
from support.directives import SIGNS, directives, unknown

IN_A_JOB = dict.fromkeys(("SLURM_JOB_ID", "JOB_ID", "LSB_JOBID", "PBS_JOBID"), "17")
FULL = {"nodes": 2, "cpus_per_rank": 4, "queue": "long", "account": "physics"}


def job(scheduler, **asked):
    if scheduler == "sge":
        asked.pop("nodes", None)
    return Job(scheduler=scheduler, **asked)


ASKED = {"memory": "4G", "gpus_per_rank": 2, "exclusive": True, "mail": "me@x.org"}
SAID = {
    "slurm": "--mem-per-cpu=1024M --gpus-per-task=2 --exclusive --mail-user=me@x.org "
    "--array=1-12%3",
    "pbs": "select=2:ncpus=128:mpiprocs=32:mem=131072mb:ngpus=64 place=scatter:excl "
    "me@x.org 1-12%3",
    "sge": "h_vmem=1024M exclusive=true me@x.org -tc",
    "lsf": '"rusage[mem=4096MB/task]" "num=2/task" -x me@x.org "exp[1-12]%3"',
    "flux": "--gpus-per-slot=2 --exclusive",
}
LACKING = {"flux": ("memory", "mail", "array_limit"), "sge": ("gpus_per_rank",)}


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_resources_are_asked_in_the_schedulers_words_of_the_job_not_of_its_merge(
    scheduler,
):
    asked = {**FULL, **ASKED, "array": 12, "array_limit": 3}
    for name in LACKING.get(scheduler, ()):
        with pytest.raises(JobScriptError, match=name.replace("_", "-")):
            job(scheduler, **FULL, **{"array": 2, name: asked.pop(name)})
    one = job(scheduler, **asked, directives=("-l x=1",))

    text, merge = render(one), render_merge(one)

    assert [] == unknown(scheduler, text.replace(f"{SIGNS[scheduler]}-l x=1\n", ""))
    head = " ".join(directives(scheduler, text)).split()
    assert set() == set(SAID[scheduler].split()) - set(head)
    head = " ".join(directives(scheduler, merge))
    assert "x=1" not in head and "excl" not in head and "gpu" not in head
    assert ("me@x.org" in head) is ("mail" not in LACKING.get(scheduler, ()))


def test_pbs_counts_the_first_of_two_resources_and_the_last_of_other_options():
    text = render(job("pbs", directives=("-l walltime=1:00:00", "-q other"), queue="q"))

    head = directives("pbs", text)
    assert head.index("-l walltime=1:00:00") < head.index("-l walltime=02:00:00")
    assert head.index("-q q") < head.index("-q other")


def test_an_affinity_of_lsf_says_what_the_site_must_have_enabled():
    assert "schmod_affinity" in render(job("lsf", cpus_per_rank=4))
    assert "schmod_affinity" not in render(job("lsf"))


def test_flux_run_gets_the_cores_and_gpus_of_a_rank():
    text = render(job("flux", cpus_per_rank=4, gpus_per_rank=1))

    assert "exec flux run --cores-per-task=4 --gpus-per-task=1 -n" in text


@pytest.mark.parametrize("kind", ["run", "merge"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_a_setup_line_that_fails_ends_the_job_before_the_run(scheduler, kind, tmp_path):
    lines = ("true # a comment", "export A=1", 'cd "it\'s not there" # nor this')
    one = job(scheduler, setup=lines, directory=str(tmp_path), array=2)
    text = render(one) if kind == "run" else render_merge(one)

    done = subprocess.run(
        ["bash", "-c", text],
        cwd=tmp_path,
        env={**os.environ, **IN_A_JOB, "LS_SUBCWD": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert 3 == done.returncode
    logs = (path.read_text() for path in tmp_path.glob("hpc/logs/*"))
    said = done.stdout + "".join(logs)
    assert f"this line of --setup failed: {lines[2]}" in said


def test_each_kind_of_job_has_a_file_name_of_its_own():
    several = [{"array": 2, "resume": True}, *({}, {"resume": True}, {"array": 2})]

    names = {Job(scheduler="slurm", **asked).default_file for asked in several}

    assert 4 == len(names)
    assert {"exp.slurm.sh", "exp-resume.slurm.sh", "exp-array.slurm.sh"} < names


def test_jobs_that_must_have_ended_stand_where_the_script_is_submitted():
    """A successor would wait for them again, when nobody knows them any more."""
    text = render(job("pbs", depends_on=("17.s", "18[].s"), resume=True))

    assert "&& qsub -W 'depend=afterany:17.s:18[].s' resume.sh" in text
    assert 1 == text.count("17.s")

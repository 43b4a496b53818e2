"""What a resuming job script does after each run, played with commands that note it.

Nothing of it is real but bash: ranks, Python and the scheduler are stand-ins, so that
each case takes no longer than a shell.
"""

from __future__ import annotations

import signal
import sys
import time

import pytest

from experimenter_mpi.cluster.job import Job
from experimenter_mpi.cluster.render import render
from support.stage import NEEDED, Stage


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
    call = f"-m experimenter_mpi.cluster.successor pbs {stage.folder} sub/mine.sh"
    call += " experiments/experiments.db"
    assert [f"again {call}, chain exp-7.x"] == stage.asked("again")


@pytest.mark.parametrize(
    ("scheduler", "command"),
    [(name, each) for name, commands in NEEDED.items() for each in commands],
)
def test_a_node_without_the_schedulers_commands_is_noticed_before_the_first_trial(
    scheduler, command, stage
):
    (stage.folder / "bin" / command).unlink()

    code, said = stage.run(scheduler)

    assert 3 == code and [] == stage.asked("mpiexec")
    assert f"there is no {command} on" in said and "leave --resume out" in said


@pytest.mark.parametrize("scheduler", ["pbs", "flux"])
def test_a_refused_resubmission_is_tried_again_for_some_minutes(scheduler, stage):
    (stage.folder / "refusals").write_text("\n" * 3)

    code, said = stage.run(scheduler)

    assert 0 == code
    assert 4 == len(stage.asked("again"))
    assert ["sleep 5", "sleep 15", "sleep 30"] == stage.asked("sleep")
    assert 3 == said.count("no such queue")


@pytest.mark.parametrize("scheduler", ["pbs", "flux"])
def test_a_resubmission_that_is_refused_for_good_ends_the_chain(scheduler, stage):
    (stage.folder / "refusals").write_text("\n" * 99)

    code, said = stage.run(scheduler)

    assert 3 == code
    assert "job script: work is left, but" in said
    (runs,) = stage.folder.glob("hpc/logs/*.runs")
    assert runs.read_text().splitlines()[-1].startswith("ended: work is left, but")


def test_slurm_is_asked_again_before_a_chain_ends(stage):
    stage.say(
        "squeue", "[ -e asked-once ] || { touch asked-once; exit 1; }; echo RUNNING"
    )
    stage.say("scontrol", "exit 1")

    code, said = stage.run()

    assert 3 == code and 8 == len(stage.asked("scontrol"))
    assert "Slurm does not requeue this job; submit it again" in said


@pytest.mark.parametrize("kind", ["run", "resume"])
def test_a_hangup_is_passed_on_as_a_request_to_stop(kind, stage):
    """What `flux cancel` sends to the script of a job."""
    text = (
        "trap 'echo told; exit 75' TERM; touch began; while :; do /bin/sleep 0.1; done"
    )
    stage.install("mpiexec", f"#!/bin/bash\n{text}\n")
    job = stage.start("flux", resume=kind == "resume")
    while not (stage.folder / "began").exists() and job.poll() is None:
        time.sleep(0.01)
    job.send_signal(signal.SIGHUP)
    said, _ = job.communicate(timeout=120)

    assert "told" in said
    assert (143 if kind == "resume" else 75) == job.returncode
    assert [] == stage.asked("again")


# Stands for the daemon of PBS on a node: it gives a shell the name of the script to
# run, signals the whole session of that shell, and kills it when the shell has ended.
PBS_MOM = f"""#!{sys.executable}
import os, signal, subprocess, sys
shell = subprocess.Popen(
    ["bash", "-l"], stdin=subprocess.PIPE, start_new_session=True
)
shell.stdin.write((sys.argv[1] + "\\n").encode())
shell.stdin.close()
sys.stdin.readline()

def send(number):
    for pid in os.listdir("/proc"):
        try:
            if os.getsid(int(pid)) == shell.pid:
                os.kill(int(pid), number)
        except (ValueError, OSError):
            continue

send(signal.SIGUSR1)
os.waitid(os.P_PID, shell.pid, os.WEXITED | os.WNOWAIT)
send(signal.SIGKILL)
"""


@pytest.mark.parametrize("kind", ["run", "resume"])
def test_a_signal_from_pbs_does_not_end_the_job(kind, stage):
    """`qsig -s SIGUSR1` goes to the shell above the script as well."""
    text = "trap '/bin/sleep 0.3; echo told; exit 75' USR1; touch began\n"
    text += "while :; do /bin/sleep 0.1; done"
    stage.install("mpiexec", f"#!/bin/bash\n{text}\n")
    stage.install("pbs_mom", PBS_MOM)
    job = Job(
        scheduler="pbs",
        resume=kind == "resume",
        python=str(stage.folder / "bin" / "python"),
        directory=str(stage.folder),
        file="resume.sh",
    )
    # Without what would have mpiexec ignore it, which has a handler at once here.
    stage.install("script", render(job).replace("trap '' USR1 USR2", ":"))
    mom = stage.popen(
        [stage.folder / "bin" / "pbs_mom", stage.folder / "bin" / "script"]
    )
    while not (stage.folder / "began").exists() and mom.poll() is None:
        time.sleep(0.01)
    said, _ = mom.communicate("signal\n", timeout=120)

    assert "told" in said
    assert (1 if kind == "resume" else 0) == len(stage.asked("again"))

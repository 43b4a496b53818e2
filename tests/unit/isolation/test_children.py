"""Trials in real child processes: whatever they do to theirs, this one goes on."""

from __future__ import annotations

import json
import os
import threading
import uuid

import pytest

from experimenter_mpi.coordination import messages as m
from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.coordination.questions import Questions
from experimenter_mpi.errors import DatabaseWriteError, ScriptError
from experimenter_mpi.experiment.experiment import TrialIds
from experimenter_mpi.isolation.children import ChildProcesses
from experimenter_mpi.trial.briefing import Briefing
from experimenter_mpi.trial.outcome import Status, StoredSnapshot
from experimenter_mpi.trial.script import Script
from support.fakes import PATIENCE, encoded
from support.launch import wait_until

pytestmark = pytest.mark.usefixtures("deadline")
HEADER = """
import ctypes, os, signal, subprocess, sys, time
from pathlib import Path
from experimenter_mpi import *
n_trials = IntegerVariable(0, 99)
"""
MADE = """
experiment = Experiment("heat", function=trial, configuration={"n": n_trials})
"""
WELL = """
def trial(configuration, trial_id):
    return {"n": configuration["n"], "pid": os.getpid()}
"""
ID = uuid.UUID(int=7)
TRIALS = TrialIds(ID)


class TrialServices(Questions):
    """Answers from lists, and refuses what it does not know."""

    def __init__(self):
        self.asked = []
        self.snapshots = []
        self.pieces = []

    def ask(self, question, expected):
        match question:
            case m.SaveSnapshot(trial_id, state, label):
                saved = StoredSnapshot(ID.hex, trial_id, state, label, "2026")
                self.snapshots.append(saved)
            case m.FetchSnapshot():
                return m.SnapshotFound(self.snapshots[-1] if self.snapshots else None)
            case m.FetchResults():
                raise ScriptError("nobody knows")
            case m.AddPiece():
                self.pieces.append(question)
            case m.CompleteTrial():
                self.asked.append(question)
        return m.Done()


@pytest.fixture
def start(tmp_path):
    """Start a child for an exp.py and return what runs its trials."""
    started = []

    def start(source, made=MADE, services=None, watch=None, **others):
        script = Script(str(tmp_path / "exp.py"), (HEADER + source + made).encode())
        folder = str(tmp_path / "arrays")
        job = Briefing("heat", ID, None, script, None, None, folder, None, None, False)
        children = ChildProcesses(job._replace(isolate=True, **others), None)
        attempts = children.start(services or TrialServices(), watch or Drain())
        started.append(attempts)
        return attempts

    here = os.getcwd()
    os.chdir(tmp_path)
    yield start
    os.chdir(here)
    for attempts in started:
        attempts.close()


def results(attempt):
    assert attempt.outcome.status == Status.FINISHED, attempt.outcome.failure
    return json.loads(attempt.outcome.results.document)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def failure_of(attempt):
    assert Status.FAILED == attempt.outcome.status
    return attempt.outcome.failure


# --- what a trial does, and what it asks


def test_trials_run_in_one_process_that_is_not_this_one(start):
    attempts = start(WELL)
    one, other = results(attempts.run(3)), results(attempts.run(5))

    assert (3, 5) == (one["n"], other["n"])
    assert one["pid"] == other["pid"] != os.getpid()


def test_a_failing_trial_fails_as_it_would_here(start):
    attempts = start("def trial(configuration, trial_id): return 1 / 0\n")
    outcome, exception = attempts.run(4)

    assert (4, Status.FAILED, None) == (outcome.index, outcome.status, exception)
    assert "ZeroDivisionError" == outcome.failure.type
    assert "return 1 / 0" in outcome.failure.traceback
    assert "isolation" not in outcome.failure.traceback


def test_a_trial_asks_across_the_pipe_with_the_same_meaning(start):
    services = TrialServices()
    attempts = start(
        """
def trial(configuration, trial_id):
    save_snapshot_in_global_database(trial_id, {"step": 3}, "half way")
    complete_trial_in_global_database(trial_id, {"early": 1})
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    return {"state": snapshot.state, "label": snapshot.label, "left": time_left()}
""",
        services=services,
    )

    assert {"state": {"step": 3}, "label": "half way", "left": None} == results(
        attempts.run(0)
    )
    assert [(TRIALS.text(0), encoded('{"step":3}'))] == [
        (each.trial_id, each.state) for each in services.snapshots
    ]
    assert [m.CompleteTrial(TRIALS.text(0), encoded('{"early":1}'))] == services.asked


def test_a_trial_sees_the_error_of_what_it_asks(start):
    attempts = start(
        "def trial(_, trial_id): get_results_from_trial_global_database(trial_id)\n"
    )
    failure = failure_of(attempts.run(0))

    assert ("ScriptError", "nobody knows") == failure[:2]


def test_a_full_disk_is_no_failure_of_the_trial(start):
    class FullDisk(TrialServices):
        def ask(self, question, expected):
            raise DatabaseWriteError("the disk is full")

    attempts = start(
        "def trial(_, trial_id): save_snapshot_in_global_database(trial_id, {})\n",
        services=FullDisk(),
    )
    outcome = attempts.run(0).outcome

    assert Status.PENDING == outcome.status
    assert ("DatabaseWriteError", "the disk is full") == outcome.failure[:2]


def test_a_trial_sees_that_the_run_drains(start):
    drain = Drain(1000)
    drain.request("SIGTERM")
    attempts = start(
        """
def trial(configuration, trial_id):
    if stop_requested() and time_left() > 0:
        raise TrialInterrupted
""",
        watch=drain,
    )

    assert Status.PENDING == attempts.run(0).outcome.status


def test_a_trial_that_raises_keyboard_interrupt_by_itself_has_failed(start):
    attempts = start("def trial(*_): raise KeyboardInterrupt\n")
    outcome = attempts.run(0).outcome

    assert (Status.FAILED, "KeyboardInterrupt") == (
        outcome.status,
        outcome.failure.type,
    )


def test_a_large_array_is_written_by_the_child_itself(start, tmp_path):
    attempts = start(
        "import numpy\ndef trial(*_): return {'a': numpy.zeros(1_000_000)}\n"
    )
    [array] = attempts.run(0).outcome.results.arrays

    assert None is array.data
    assert (tmp_path / "arrays" / array.file).exists()


def test_a_large_array_goes_through_this_rank_where_the_folder_is_not_shared(start):
    services, elsewhere = TrialServices(), {"lock_token": "of another host"}
    attempts = start(
        "import numpy\ndef trial(*_): return {'a': numpy.zeros(1_000_000)}\n",
        services=services,
        **elsewhere,
    )
    [array] = attempts.run(0).outcome.results.arrays

    assert None is array.data
    assert {array.file} == {file for file, *_ in services.pieces}
    assert 8_000_000 < sum(len(data) for _, _, data, _ in services.pieces)


def test_the_store_is_built_once_per_process(start, tmp_path):
    attempts = start(
        """
def build(configuration):
    with open("built.txt", "a") as file:
        print(os.getpid(), file=file)
    return {"pid": os.getpid()}
def trial(configuration, trial_id):
    if configuration["n"] == 1:
        os._exit(0)
    return {"own": get_global_store()["pid"] == os.getpid()}
""",
        made="""
experiment = Experiment(
    "heat", function=trial, init_store=build, configuration={"n": n_trials})
""",
    )
    ran = [attempts.run(index) for index in (0, 2, 1, 3, 4)]

    assert [{"own": True}] * 4 == [results(each) for each in (*ran[:2], *ran[3:])]
    assert 2 == len((tmp_path / "built.txt").read_text().split())


def test_what_it_prints_comes_out_here_also_just_before_a_crash(
    start, capfd, monkeypatch
):
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    attempts = start("def trial(*_): print('so far'); os._exit(1)\n")
    attempts.run(0)

    assert "so far\n" == capfd.readouterr().out


def test_a_trial_finds_the_words_of_the_command_line(start):
    attempts = start("def trial(*_): return {'argv': sys.argv[1:]}\n")

    assert isinstance(results(attempts.run(0))["argv"], list)


# --- how a trial can end its process


CRASHES = {
    "ctypes.string_at(0)": "its process was killed by SIGSEGV",
    "os._exit(3)": "its process ended with exit code 3",
    "os._exit(0)": "its process ended with exit code 0",
    "os.abort()": "its process was killed by SIGABRT",
    "os.kill(os.getpid(), signal.SIGKILL)": "SIGKILL: perhaps out of memory",
    "ctypes.CDLL(None).exit(4)": "its process ended with exit code 4",
    "os.closerange(3, 100); time.sleep(1000)": "its process was killed by SIGKILL",
    r"os.write(4, b'\0\0\0\0\0\0\0\5hello')": "data from the pipe is not a message",
}


@pytest.mark.parametrize("crash", CRASHES)
def test_a_crash_is_one_failed_trial(start, crash):
    attempts = start(f"""
def trial(configuration, trial_id):
    if configuration["n"] == 1:
        {crash}
    return {{"pid": os.getpid()}}
""")
    before, failure, after = (attempts.run(index) for index in range(3))

    assert "TrialProcessError" == failure_of(failure).type
    assert CRASHES[crash] in failure_of(failure).message
    assert results(before)["pid"] != results(after)["pid"]


def test_a_crash_leaves_the_line_it_came_from(start, tmp_path):
    attempts = start("def trial(*_):\n    ctypes.string_at(0)\n")
    text = failure_of(attempts.run(0)).traceback

    assert "Segmentation fault" in text
    assert f'File "{tmp_path}/exp.py", line 7 in trial' in text
    assert "isolation" not in text
    assert text.endswith("TrialProcessError: its process was killed by SIGSEGV\n")


ENDLESS = {
    "python": "while True: pass",
    "sleep": "time.sleep(1000)",
    "c": "ctypes.CDLL(None).sleep(1000)",
    "c that never lets Python run": "while True: ctypes.PyDLL(None).sleep(1000)",
    "deaf": "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)); time.sleep(1000)",
}


@pytest.mark.parametrize("how", ENDLESS)
def test_a_trial_that_takes_too_long_is_killed(start, how):
    attempts = start(
        f"""
def trial(configuration, trial_id):
    if configuration["n"] == 0:
        {ENDLESS[how]}
    return {{}}
""",
        trial_timeout=0.2,
    )
    failure = failure_of(attempts.run(0))

    assert "TrialTimeoutError" == failure.type
    assert "it ran longer than the 0.2 s of --trial-timeout" == failure.message
    assert how == "deaf" or "line 9 in trial" in failure.traceback
    assert {} == results(attempts.run(1))


@pytest.mark.parametrize("end", ["os._exit(1)", "time.sleep(1000)", "return {}"])
def test_what_a_trial_has_started_ends_with_its_process(start, tmp_path, end):
    attempts = start(
        f"""
def trial(*_):
    started = subprocess.Popen(["sleep", "1000"])
    Path("pid").write_text(str(started.pid))
    {end}
""",
        trial_timeout=1.0 if "sleep" in end else None,
    )
    attempts.run(0)
    attempts.close()
    pid = int((tmp_path / "pid").read_text())

    wait_until(lambda: not alive(pid), PATIENCE, "the end of what the trial started")


def no_pidfd(pid):
    raise OSError


@pytest.mark.parametrize("system", ["with pidfd", "without"])
def test_a_forked_process_that_holds_the_pipes_does_not_hide_the_death(
    start, monkeypatch, system
):
    """Forked by C, which closes nothing."""
    if system == "without":
        monkeypatch.setattr(os, "pidfd_open", no_pidfd)
    attempts = start("""
def trial(configuration, trial_id):
    if configuration["n"] == 1:
        return {}
    if ctypes.CDLL(None).fork():
        os._exit(3)
    ctypes.CDLL(None).sleep(1000)
""")

    assert "exit code 3" in failure_of(attempts.run(0)).message
    assert {} == results(attempts.run(1))


def test_what_a_trial_forks_cannot_speak_for_it(start):
    attempts = start("""
from experimenter_mpi.errors import OutsideTrialError
def trial(configuration, trial_id):
    if os.fork() == 0:
        try:
            save_snapshot_in_global_database(trial_id, {})
        except OutsideTrialError:
            os._exit(17)
        os._exit(0)
    return {"code": os.waitstatus_to_exitcode(os.wait()[1])}
""")

    assert {"code": 17} == results(attempts.run(0))


def test_a_child_that_dies_while_it_waits_is_no_trials_fault(start):
    attempts = start(WELL)
    pid = results(attempts.run(0))["pid"]
    os.kill(pid, 9)
    wait_until(lambda: not alive(pid), PATIENCE)

    assert pid != results(attempts.run(1))["pid"]


def test_closing_ends_the_child(start):
    attempts = start(WELL)
    pid = results(attempts.run(0))["pid"]
    attempts.close()

    assert not alive(pid)


def test_closing_ends_a_trial_of_another_thread(start):
    attempts = start("def trial(*_): Path('begun').touch(); time.sleep(1000)\n")
    found = []
    thread = threading.Thread(target=lambda: found.append(attempts.run(0)))
    thread.start()
    wait_until(lambda: os.path.exists("begun"), PATIENCE)
    attempts.close()
    thread.join(PATIENCE)

    assert ["TrialProcessError"] == [failure_of(each).type for each in found]


def test_it_leaves_nothing_open(start):
    attempts = start("def trial(*_): os._exit(1)\n")
    before = sorted(os.listdir("/proc/self/fd"))
    attempts.run(0)
    attempts.run(1)
    attempts.close()
    after = sorted(os.listdir("/proc/self/fd"))

    assert len(after) < len(before)


def test_trials_on_two_threads_have_a_process_each(start, tmp_path):
    attempts = start("""
def trial(configuration, trial_id):
    Path(f"{configuration['n']:.0f}").touch()
    while not all(Path(name).exists() for name in "01"):
        time.sleep(0.01)
    return {"pid": os.getpid()}
""")
    found = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(attempts.run(n)))
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)

    assert 2 == len({results(each)["pid"] for each in found})

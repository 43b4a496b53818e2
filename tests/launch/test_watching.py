"""``status --watch`` beside a run that has not begun."""

from __future__ import annotations

import signal

from support.experiments import PACKAGE

SOURCE = """
from experimenter_mpi import Experiment
experiment = Experiment("heat", function=lambda c, trial_id: {}, configuration={})
"""


def test_it_waits_for_the_database_and_shows_what_comes(start_serial, serial, folder):
    folder.write(SOURCE)
    watching = start_serial(*PACKAGE, "status", "--watch")
    watching.wait_for("waiting for experiments/experiments.db")

    serial(*PACKAGE, "run", "exp.py").expect(0)

    watching.wait_for("finished, SerialMode")
    watching.send_signal(signal.SIGINT)
    watching.wait(30).expect(0)


def test_an_empty_file_is_no_database_yet(start_serial, serial, folder):
    folder.write(SOURCE)
    (folder.path / "heat.db").touch()
    watching = start_serial(*PACKAGE, "status", "heat.db", "--watch")
    watching.wait_for("waiting for heat.db")

    serial(*PACKAGE, "run", "exp.py", "--db", "heat.db").expect(0)

    watching.wait_for("finished, SerialMode")


def test_whoever_stops_waiting_sees_no_traceback(start_serial, folder):
    watching = start_serial(*PACKAGE, "status", "heat.db", "--watch")
    watching.wait_for("waiting for heat.db")

    watching.send_signal(signal.SIGINT)

    done = watching.wait(30).expect(0)
    # Not counted: Python writes a line twice if a signal comes while it is written.
    assert {"waiting for heat.db"} == set(done.stderr.splitlines())

"""How many snapshots stay: what may be said, in Python and on the command line."""

from __future__ import annotations

import pytest

from experimenter_mpi import Experiment, SerialMode, execute, open_db
from experimenter_mpi import save_snapshot_in_global_database as save
from experimenter_mpi.cli.run_options import parser
from experimenter_mpi.errors import ConfigurationError


def saving(configuration, trial_id):
    for step in range(4):
        save(trial_id, {"step": step})
    return {}


@pytest.mark.parametrize(
    ("given", "steps"), [("all", [3, 2, 1, 0]), ("latest", [3]), (2, [3, 2]), (9, 4)]
)
def test_execute_keeps_as_many_as_it_is_told(given, steps, tmp_path):
    experiment = Experiment("s", function=saving, configuration={"n": 1})
    with open_db("x.db", tmp_path) as db:
        execute(experiment, db, SerialMode(), keep_snapshots=given)
        kept = db.get_snapshots(experiment.trial_ids[0])

    found = [each.state["step"] for each in kept]
    assert (len(found) if isinstance(steps, int) else found) == steps


@pytest.mark.parametrize("given", [0, -1, True, 1.5, "none", "3", None, [1], ""])
def test_execute_refuses_what_is_no_number_of_them(given, tmp_path):
    experiment = Experiment("s", function=saving, configuration={"n": 1})
    with (
        open_db("x.db", tmp_path) as db,
        pytest.raises(ConfigurationError, match="keep_snapshots must be "),
    ):
        execute(experiment, db, SerialMode(), keep_snapshots=given)


@pytest.mark.parametrize(("text", "kept"), [("all", None), ("latest", 1), ("12", 12)])
def test_run_takes_the_same_words(text, kept):
    given = parser().parse_args(["exp.py", "--keep-snapshots", text])

    assert kept == given.keep_snapshots
    assert parser().parse_args(["exp.py"]).keep_snapshots is None


@pytest.mark.parametrize("text", ["0", "-1", "few", "1.5", ""])
def test_run_refuses_others(text, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["exp.py", "--keep-snapshots", text])

    assert "not all, latest or a whole number of 1 or more" in capsys.readouterr().err

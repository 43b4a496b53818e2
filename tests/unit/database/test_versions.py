"""The trials that runs of other code finished: the condition that chooses them."""

from __future__ import annotations

import pytest

from experimenter_mpi import IntegerVariable
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.database.versions import finished_by
from unit.database.making import heat, with_rows

FINISHED = [*range(1, 100), *range(200, 240)]
CHOICES = {
    "few": [3, 5, 201],
    "those before the last": FINISHED[:-1],
    "all": FINISHED,
    "three ranges": [*range(1, 40), *range(50, 60), *range(90, 100), 200, 201],
}


@pytest.mark.parametrize("runs", CHOICES.values(), ids=CHOICES)
def test_it_holds_for_what_these_runs_finished_and_nothing_else(db, runs):
    experiment = heat(i=IntegerVariable(0, 249))
    session_of(db).experiments.enrol(experiment)
    with_rows(db, experiment)
    with session_of(db).storage.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE trial_records SET run_id = key & 65535, status = 3"
        )
        for index in FINISHED:
            connection.exec_driver_sql(
                "UPDATE trial_records SET status = 2 WHERE run_id = ?", (index,)
            )
    condition = finished_by(runs, FINISHED)

    assert runs == session_of(db).upkeep.indices_where(experiment.id, condition)
    assert len(condition) < 150

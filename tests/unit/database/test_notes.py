"""Notes, tags and added results: what people say of trials, and find out later."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from experimenter_mpi import (
    ConfigurationError,
    Experiment,
    IntegerVariable,
    NotFoundError,
    SerialMode,
    TrialNotFinishedError,
    add_results,
    delete_experiment,
    execute,
    export_db,
    get_notes,
    get_tags,
    get_trial,
    get_trials_by_name,
    get_trials_ids_by_name,
    mark_trial_as_incomplete,
    merge_databases,
    note,
    tag,
)
from experimenter_mpi.database.handle import session_of

NOWHERE = "00000000-0000-8000-8000-000000000000"


def heat(configuration, trial_id):
    n = configuration["n"]
    if n == 3:
        raise ValueError(n)
    return {"n": n, "loss": math.nan if n == 1 else 0.5}


def run(database, name="heat"):
    made = Experiment(name, function=heat, configuration={"n": IntegerVariable(1, 4)})
    execute(made, database, SerialMode())
    return get_trials_ids_by_name(database, name)


@pytest.fixture
def db(open_here):
    return open_here()


@pytest.fixture
def ids(db):
    return run(db)


def texts(database, trial_id):
    return [each.text for each in get_notes(database, trial_id)]


def test_notes_are_kept_in_order(db, ids):
    for text in ("diverges", "diverges", "dt is too large\nsee logbook"):
        note(db, ids[2], text)

    assert ["diverges", "diverges", "dt is too large\nsee logbook"] == texts(db, ids[2])
    assert [] == texts(db, ids[1])


def test_tags_are_a_sorted_set(db, ids):
    tag(db, ids[:2], add=["good", "a first one"])
    tag(db, [ids[0]], add=["good", "odd"], remove=["a first one", "never there"])

    assert ["good", "odd"] == get_tags(db, ids[0])
    assert ["a first one", "good"] == get_tags(db, ids[1])
    assert [0, 1] == session_of(db).notes.tagged("heat", "good")


def test_they_stay_when_a_trial_is_reset(db, ids):
    note(db, ids[0], "look at this")
    tag(db, [ids[0]], add=["odd"])
    mark_trial_as_incomplete(db, ids[0])

    assert (["look at this"], ["odd"]) == (texts(db, ids[0]), get_tags(db, ids[0]))


def test_a_trial_that_has_not_run_can_have_them(db):
    experiment = Experiment("x", function_name="f", configuration={"n": 1})
    session_of(db).experiments.enrol(experiment)
    trial_id = experiment.trial_ids[0]
    note(db, trial_id, "expect a peak")
    tag(db, [trial_id], add=["odd"])

    assert "pending" == get_trial(db, trial_id).status
    assert ["expect a peak"] == texts(db, trial_id)


def test_they_go_with_their_experiment_and_no_other(db, ids):
    others = run(db, "wave")
    for each in (ids[0], others[0]):
        note(db, each, "n")
        tag(db, [each], add=["t"])
    delete_experiment(db, get_trial(db, ids[0]).experiment_id)

    assert (["n"], ["t"]) == (texts(db, others[0]), get_tags(db, others[0]))
    with closing(sqlite3.connect(db.path)) as file:
        for table in ("trial_notes", "trial_tags"):
            count = f"SELECT count(*) FROM {table}"
            assert (1,) == file.execute(count).fetchone()


def test_export_and_merge_carry_them(db, ids, open_here, tmp_path):
    note(db, ids[0], "first")
    tag(db, [ids[0]], add=["odd"])
    with export_db(db, tmp_path / "copy.db") as copy:
        assert ["first"] == texts(copy, ids[0])
        note(copy, ids[0], "second")
        tag(copy, [ids[1]], add=["good"])
        for _ in range(2):
            merge_databases(db, copy)

    assert ["first", "second"] == texts(db, ids[0])
    assert ["odd"] == get_tags(db, ids[0]) and ["good"] == get_tags(db, ids[1])


def test_merge_finds_the_trial_where_ids_differ(db, ids, open_here):
    other = open_here("other.db")
    there = run(other)
    note(other, there[3], "mine")

    merge_databases(db, other)

    assert ids[3] != there[3] and ["mine"] == texts(db, ids[3])


@pytest.mark.parametrize("text", ["", "  \n", None, 3])
def test_an_empty_note_is_refused(db, ids, text):
    with pytest.raises(ConfigurationError, match="a note must be a text"):
        note(db, ids[0], text)


@pytest.mark.parametrize("name", ["", " a", "a\nb", "a,b", 3, None, "\0"])
def test_what_is_no_tag_is_refused_and_nothing_is_changed(db, ids, name):
    with pytest.raises(ConfigurationError, match="a tag must be a short text"):
        tag(db, ids, add=["good", name])

    assert [] == get_tags(db, ids[0])


def test_tags_are_all_or_nothing(db, ids):
    with pytest.raises(NotFoundError):
        tag(db, [*ids, NOWHERE], add=["good"])

    assert [] == get_tags(db, ids[0])


@pytest.mark.parametrize("ask", [get_notes, get_tags])
def test_a_trial_that_is_not_there_is_an_error(db, ids, ask):
    with pytest.raises(NotFoundError):
        ask(db, NOWHERE)
    with pytest.raises(NotFoundError):
        note(db, NOWHERE, "lost")


# --- results that are added


def stored(database, index):
    query = "SELECT * FROM trials WHERE trial_index = ?"
    with closing(sqlite3.connect(database.path)) as file:
        file.row_factory = sqlite3.Row
        return dict(file.execute(query, (index,)).fetchone())


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize(
    "added",
    [{"peak": 2.5}, {"peak": math.inf, "curve": [1, math.nan, {"a": math.nan}]}, {}],
    ids=["plain", "NaN", "nothing"],
)
def test_added_results_stand_beside_the_others(db, ids, index, added):
    before = stored(db, index)
    old = get_trial(db, ids[index]).results
    add_results(db, ids[index], added)
    after = stored(db, index)

    assert repr({**old, **added}) == repr(get_trial(db, ids[index]).results)
    del before["results"], after["results"]
    assert before == after


def test_what_was_there_is_the_same_to_the_byte(db, ids):
    before = stored(db, 1)["results"]
    add_results(db, ids[1], {"peak": 1})

    assert f'{before[:-1]},"peak":1}}' == stored(db, 1)["results"]


def test_arrays_can_be_added(db, ids):
    add_results(db, ids[1], {"spectrum": np.arange(3), "large": np.zeros(200_000)})
    found = get_trial(db, ids[1]).results

    assert [0, 1, 2] == found["spectrum"].tolist() and 200_000 == found["large"].size


def test_results_of_the_same_name_are_not_replaced(db, ids):
    with pytest.raises(ConfigurationError, match="has the results 'loss', 'n' already"):
        add_results(db, ids[0], {"n": 1, "loss": 2, "new": 3})

    assert "new" not in get_trial(db, ids[0]).results


def test_only_a_finished_trial_can_have_more(db, ids):
    with pytest.raises(TrialNotFinishedError, match="trial 2 .* is failed"):
        add_results(db, ids[2], {"peak": 1})


def test_the_next_run_skips_a_trial_with_added_results(db, ids):
    add_results(db, ids[0], {"peak": 1})
    run(db)

    assert 1 == get_trials_by_name(db, "heat")[0].results["peak"]
    assert 1 == get_trials_by_name(db, "heat")[0].attempts

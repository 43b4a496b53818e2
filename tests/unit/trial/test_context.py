"""What a running trial may ask for, and that it is asked of the right place."""

from __future__ import annotations

import contextvars
import enum
import threading
import uuid

import numpy as np
import pytest

from experimenter_mpi.errors import (
    EncodingError,
    NotFoundError,
    OutsideTrialError,
    PickleRefusedError,
    StoreError,
)
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.trial import context as context_module
from experimenter_mpi.trial.arrays import SharedArrays
from experimenter_mpi.trial.context import (
    Context,
    complete_trial_in_global_database,
    current,
    get_global_store,
    get_latest_snapshot_from_global_database,
    get_results_from_trial_global_database,
    get_rng,
    get_seed,
    save_snapshot_in_global_database,
    stop_requested,
    time_left,
)
from experimenter_mpi.trial.store import Store
from support.fakes import InlineArrays, ListLedger, encoded, entry

EXPERIMENT = Experiment(
    "heat", function_name="f", configuration={"n": IntegerVariable(0, 2)}
)
TRIAL_ID = EXPERIMENT[1].id


class Ending:
    """A run that is about to end."""

    def requested(self):
        return True

    def time_left(self):
        return 12.5


@pytest.fixture
def ledger():
    return ListLedger(EXPERIMENT)


@pytest.fixture
def inside(ledger):
    """Call a function as a trial would."""

    def call(function, *arguments, **others):
        context = Context("heat", ledger, InlineArrays(), Ending())._replace(**others)
        token = current.set(context)
        try:
            return function(*arguments)
        finally:
            current.reset(token)

    return call


CALLS = {
    get_global_store: (),
    save_snapshot_in_global_database: (TRIAL_ID, {}),
    get_latest_snapshot_from_global_database: (TRIAL_ID,),
    get_results_from_trial_global_database: (TRIAL_ID,),
    complete_trial_in_global_database: (TRIAL_ID, {}),
    get_rng: (),
    get_seed: (),
    stop_requested: (),
    time_left: (),
}


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_outside_a_trial_the_error_names_the_function(function):
    with pytest.raises(
        OutsideTrialError, match=rf"^{function.__name__}\(\) can be called only inside"
    ):
        function(*CALLS[function])


def test_a_thread_of_a_trial_is_told_how_to_have_its_context():
    said = []

    def work():
        try:
            context_module.stop_requested()
        except OutsideTrialError as error:
            said.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert "Thread(target=contextvars.copy_context().run, args=(work,))" in said[0]


def test_every_function_for_trials_is_tried_outside_of_one():
    offered = {
        name
        for name, value in vars(context_module).items()
        if callable(value)
        and getattr(value, "__module__", "") == context_module.__name__
        and not name.startswith("_")
        and name[0].islower()
    }

    # The database asks for one of them, too.
    offered.remove("checked_label")
    assert offered == {function.__name__ for function in CALLS}


def test_the_store_is_that_of_the_running_trial(inside):
    store = Store({"a": 1})

    assert inside(get_global_store, store=store) is store


def test_without_a_store_the_error_says_which_argument_to_set(inside):
    with pytest.raises(
        StoreError, match=r"'heat' has no global store: set init_store="
    ):
        inside(get_global_store)


def test_a_trial_learns_of_the_end_of_its_run(inside):
    assert (True, 12.5) == (inside(stop_requested), inside(time_left))


@pytest.mark.parametrize("kind", [uuid.UUID, str])
def test_a_snapshot_comes_back_as_it_was_saved(inside, kind):
    trial_id = kind(str(TRIAL_ID))
    inside(save_snapshot_in_global_database, trial_id, {"step": (1, 2)}, "half way")
    snapshot = inside(get_latest_snapshot_from_global_database, trial_id)

    assert ({"step": (1, 2)}, "half way") == (snapshot.state, snapshot.label)
    assert TRIAL_ID == snapshot.trial_id
    assert isinstance(snapshot.id, uuid.UUID)


@pytest.mark.parametrize("label", [3, np.int64(3), b"half", ["half"]])
def test_a_label_that_is_no_text_is_the_trials_own_mistake(inside, label):
    with pytest.raises(
        EncodingError, match=r"label must be a string, not .*: use str\("
    ):
        inside(save_snapshot_in_global_database, TRIAL_ID, {}, label)


def test_a_label_of_a_class_that_only_the_user_knows_goes_as_plain_text(inside, ledger):
    class Stage(str, enum.Enum):
        HALF = "half way"

    inside(save_snapshot_in_global_database, TRIAL_ID, {}, Stage.HALF)

    label = ledger.snapshots[0].label
    assert (str, "half way") == (type(label), label)


def test_the_latest_snapshot_is_the_one_saved_last(inside):
    for step in range(3):
        inside(save_snapshot_in_global_database, TRIAL_ID, {"step": step})

    assert {"step": 2} == inside(
        get_latest_snapshot_from_global_database, TRIAL_ID
    ).state


def test_a_trial_that_saved_nothing_has_no_snapshot(inside):
    assert inside(get_latest_snapshot_from_global_database, TRIAL_ID) is None


def test_an_array_in_a_snapshot_comes_back_as_it_was(inside):
    state = {"spins": np.arange(6.0).reshape(2, 3)}
    arrays = SharedArrays(None)
    inside(save_snapshot_in_global_database, TRIAL_ID, state, arrays=arrays)
    state["spins"][:] = 0  # the trial goes on with the same memory
    found = inside(get_latest_snapshot_from_global_database, TRIAL_ID, arrays=arrays)

    assert [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]] == found.state["spins"].tolist()


def test_equal_arrays_are_kept_once(inside, ledger):
    for _ in range(2):
        inside(save_snapshot_in_global_database, TRIAL_ID, {"x": np.ones(3)})
    first, second = (snapshot.state.arrays for snapshot in ledger.snapshots)

    assert [record.id for record in first] == [record.id for record in second]


@pytest.mark.parametrize("state", [None, [1], 3])
def test_a_state_that_is_no_dict_is_refused(inside, ledger, state):
    with pytest.raises(EncodingError, match="^a snapshot's state must be a dict, not"):
        inside(save_snapshot_in_global_database, TRIAL_ID, state)
    assert [] == ledger.snapshots


def test_results_that_are_no_dict_are_refused(inside):
    with pytest.raises(EncodingError, match="^results must be a dict, not list$"):
        inside(complete_trial_in_global_database, TRIAL_ID, [1])


def test_the_results_of_another_trial_can_be_read(inside, ledger):
    ledger.record([entry(1)], [])

    assert {"index": 1} == inside(get_results_from_trial_global_database, TRIAL_ID)


def test_an_unfinished_trial_has_no_results(inside):
    assert inside(get_results_from_trial_global_database, TRIAL_ID) is None


def test_results_that_are_empty_are_not_none(inside, ledger):
    ledger.complete(str(TRIAL_ID), encoded("{}"))

    assert {} == inside(get_results_from_trial_global_database, TRIAL_ID)


def test_a_trial_may_be_completed_from_within(inside):
    inside(complete_trial_in_global_database, TRIAL_ID, {"energy": -1.5})

    assert {"energy": -1.5} == inside(get_results_from_trial_global_database, TRIAL_ID)


def test_an_unknown_trial_is_not_found(inside):
    with pytest.raises(NotFoundError):
        inside(get_results_from_trial_global_database, uuid.uuid4())


def test_a_stored_pickle_is_read_only_where_that_was_allowed(inside):
    results = {"point": Point(3)}
    inside(complete_trial_in_global_database, TRIAL_ID, results)

    with pytest.raises(PickleRefusedError):
        inside(get_results_from_trial_global_database, TRIAL_ID)
    assert results == inside(
        get_results_from_trial_global_database, TRIAL_ID, allow_pickle=True
    )


class Point:
    """A class of the user's, of which no rule of the codec knows."""

    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x

    __hash__ = None


def test_trials_on_several_threads_do_not_see_each_others_context(inside):
    """Two trials run at the same time, each with its own."""
    both_inside = threading.Barrier(2)
    seen = {}

    def trial(name):
        def look():
            both_inside.wait(60)
            seen[name] = get_global_store()["name"]

        inside(look, store=Store({"name": name}))

    threads = [
        threading.Thread(target=contextvars.Context().run, args=[trial, name])
        for name in ("first", "second")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {"first": "first", "second": "second"} == seen

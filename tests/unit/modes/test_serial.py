"""SerialMode: the trials of a sweep, one after the other, in this very process."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from experimenter_mpi.coordination import batch_size as pace
from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.errors import (
    DatabaseWriteError,
    NotFoundError,
    PickledValueWarning,
    ScriptError,
    StoreError,
    TrialInterrupted,
)
from experimenter_mpi.experiment.experiment import Experiment
from experimenter_mpi.experiment.variables import IntegerVariable
from experimenter_mpi.modes import SerialMode
from experimenter_mpi.trial.context import (
    complete_trial_in_global_database,
    get_global_store,
    get_latest_snapshot_from_global_database,
    get_results_from_trial_global_database,
    save_snapshot_in_global_database,
    stop_requested,
)
from experimenter_mpi.trial.outcome import Place, Status
from support.fakes import PATIENCE, WITH_PACKAGE, ListLedger, encoded, sweep_of


def make(function, trials=4, **others):
    n = IntegerVariable(0, trials - 1)
    return Experiment("heat", function=function, configuration={"n": n}, **others)


def run(function, trials=4, ledger_kind=ListLedger, **others):
    """Run a sweep over n = 0, 1, 2, ... and return the ledger."""
    experiment = (
        function if isinstance(function, Experiment) else make(function, trials)
    )
    ledger = ledger_kind(experiment)
    others.setdefault("drain", Drain())
    SerialMode().run(sweep_of(experiment, ledger, **others))
    return ledger


def statuses(ledger):
    return [(e.outcome.index, e.outcome.status) for e in ledger.entries]


def test_every_trial_is_run_in_order_and_recorded():
    ledger = run(lambda c, _: {"double": 2 * c["n"]})

    assert [0, 1, 2, 3] == ledger.indices
    assert [f'{{"double":{2 * n}}}' for n in range(4)] == [
        entry.outcome.results.document for entry in ledger.entries
    ]


def test_only_the_pending_trials_are_run():
    ledger = run(lambda *_: {}, trials=10, pending=[range(1, 3), range(8, 9)])

    assert [1, 2, 8] == ledger.indices


def test_all_that_is_recorded_came_from_rank_0_of_this_host():
    ledger = run(lambda *_: {})

    assert {Place(0, os.uname().nodename)} == {entry.place for entry in ledger.entries}


def test_trials_run_in_this_thread_of_this_process():
    """So that pdb and print work in them."""
    seen = []
    run(lambda *_: {"": seen.append((os.getpid(), threading.current_thread()))}, 1)

    assert [(os.getpid(), threading.main_thread())] == seen


def test_who_watches_is_told_of_every_outcome_once():
    told = []
    run(lambda *_: {}, on_recorded=told.extend)

    assert [0, 1, 2, 3] == [entry.outcome.index for entry in told]


def test_short_trials_share_their_commits():
    ledger = run(lambda *_: {}, trials=100, commit_seconds=1000)

    assert 2 == len(ledger.transactions)


def test_a_long_trial_is_marked_as_running_and_the_one_before_it_recorded(monkeypatch):
    """Whoever looks at the database sees what is going on."""
    monkeypatch.setattr(pace, "SHORT_SECONDS", 0)
    ledger = run(lambda *_: {}, trials=3)

    assert [([], [0]), ([0], [1]), ([1], [2]), ([2], [])] == [
        ([e.outcome.index for e in entries], [t.index for t in running])
        for entries, running in ledger.transactions
    ]
    assert {Place(0, os.uname().nodename)} == {trial.place for trial in ledger.running}


def test_a_trial_that_raises_is_recorded_and_the_next_one_runs():
    def odd_fails(configuration, trial_id):
        if configuration["n"] % 2:
            raise ValueError("odd")
        return {}

    assert [
        (0, Status.FINISHED),
        (1, Status.FAILED),
        (2, Status.FINISHED),
        (3, Status.FAILED),
    ] == statuses(run(odd_fails))


def test_told_to_raise_it_stops_at_the_first_failure_and_raises_it():
    """For debugging: the exception is the trial's own, and pdb finds its frames."""
    error = ValueError("odd")

    def odd_fails(configuration, trial_id):
        if configuration["n"] % 2:
            raise error
        return {}

    experiment = make(odd_fails)
    ledger = ListLedger(experiment)
    with pytest.raises(ValueError, match="odd") as caught:
        SerialMode().run(sweep_of(experiment, ledger, raise_errors=True))

    assert caught.value is error
    assert [(0, Status.FINISHED), (1, Status.FAILED)] == statuses(ledger)


def test_told_to_raise_a_trial_that_steps_back_raises_nothing():
    def step_back(configuration, trial_id):
        raise TrialInterrupted

    ledger = run(step_back, trials=2, raise_errors=True)

    assert [(0, Status.PENDING), (1, Status.PENDING)] == statuses(ledger)


def test_what_has_ended_does_not_wait_for_a_long_trial():
    """A crash of that one cannot take it away, and who watches sees it."""
    recorded = threading.Event()

    class Watched(ListLedger):
        def record(self, entries, running):
            super().record(entries, running)
            if 40 == len(self.entries):
                recorded.set()

    def last_is_long(configuration, trial_id):
        assert configuration["n"] < 40 or recorded.wait(PATIENCE)
        return {}

    assert list(range(41)) == run(last_is_long, 41, Watched).indices


# --- stopping early


def test_a_drain_starts_no_new_trial():
    drain = Drain()

    def ask_at_one(configuration, trial_id):
        if configuration["n"] == 1:
            drain.request("SIGTERM")
        return {"asked": stop_requested()}

    ledger = run(ask_at_one, drain=drain)

    assert [0, 1] == ledger.indices
    assert ['{"asked":false}', '{"asked":true}'] == [
        entry.outcome.results.document for entry in ledger.entries
    ]


def test_a_drain_before_the_first_trial_runs_none():
    drain = Drain()
    drain.request("the time limit")

    assert [] == run(lambda *_: {}, drain=drain).indices


def test_the_ctrl_c_that_stops_a_draining_run_puts_its_trial_back():
    """The run heeds the first one; it reaches a trial only once that has to stop."""
    drain = Drain()

    def interrupted_at_one(configuration, trial_id):
        if configuration["n"] == 1:
            drain.request("SIGINT")
            raise KeyboardInterrupt
        return {}

    ledger = run(interrupted_at_one, drain=drain)

    assert [(0, Status.FINISHED), (1, Status.PENDING)] == statuses(ledger)


def test_a_trial_that_raises_keyboard_interrupt_by_itself_has_failed():
    """In every mode alike: no other rank would know that it meant Ctrl-C."""

    def odd_idea(configuration, trial_id):
        raise KeyboardInterrupt

    assert {Status.FAILED} == {status for _, status in statuses(run(odd_idea))}


def test_what_has_ended_is_committed_whatever_stops_the_run():
    class Stopped(BaseException):
        pass

    class StoppingDrain(Drain):
        stops = False

        def requested(self):
            if self.stops:
                raise Stopped
            return False

    drain = StoppingDrain()

    def stop_in_the_second(configuration, trial_id):
        drain.stops = configuration["n"] == 1
        return {}

    experiment = make(stop_in_the_second)
    ledger = ListLedger(experiment)
    with pytest.raises(Stopped):
        SerialMode().run(sweep_of(experiment, ledger, drain=drain, commit_seconds=1000))

    assert [0, 1] == ledger.indices


# --- what a trial asks for


def test_a_snapshot_is_in_the_ledger_when_saving_it_returns():
    experiment = make(lambda *_: {}, trials=1)
    ledger = ListLedger(experiment)
    seen = []

    def save(configuration, trial_id):
        save_snapshot_in_global_database(trial_id, {"step": 3}, "half way")
        seen.extend((s.trial_id, s.state, s.label) for s in ledger.snapshots)
        return {}

    experiment.function = save
    SerialMode().run(sweep_of(experiment, ledger))

    assert [(str(experiment[0].id), encoded('{"step":3}'), "half way")] == seen


def test_a_trial_goes_on_from_its_latest_snapshot():
    steps = []

    def go_on(configuration, trial_id):
        for _ in range(3):
            snapshot = get_latest_snapshot_from_global_database(trial_id)
            steps.append(snapshot.state["step"] if snapshot else 0)
            save_snapshot_in_global_database(trial_id, {"step": steps[-1] + 1})
        return {}

    run(go_on, trials=1)

    assert [0, 1, 2] == steps


def test_the_results_of_a_trial_that_just_ended_can_be_read():
    """Though no commit was due yet."""
    found = []

    def read_the_one_before(configuration, trial_id):
        n = configuration["n"]
        if n:
            before = experiment[n - 1].id
            found.append(get_results_from_trial_global_database(before))
        return {"n": n}

    experiment = make(read_the_one_before)
    run(experiment, commit_seconds=1000)

    assert [{"n": 0}, {"n": 1}, {"n": 2}] == found


def test_a_later_trial_may_be_completed_from_within():
    def complete_the_last(configuration, trial_id):
        complete_trial_in_global_database(experiment[3].id, {"early": 1})
        return {"early": 0}

    experiment = make(complete_the_last)
    ledger = run(experiment, pending=[range(1)])

    assert encoded('{"early":1}') == ledger.results_of(str(experiment[3].id))


def test_a_trial_that_asks_for_what_is_not_there_sees_the_error():
    def ask(configuration, trial_id):
        get_results_from_trial_global_database(make(ask).id)

    (entry,) = run(ask, trials=1).entries

    assert NotFoundError.__name__ == entry.outcome.failure.type


class Model:
    """Something that only a pickle can store."""


@pytest.mark.parametrize(
    "keep",
    [
        lambda trial_id: {"model": Model()},
        lambda trial_id: save_snapshot_in_global_database(trial_id, {"model": Model()}),
        lambda trial_id: complete_trial_in_global_database(
            trial_id, {"model": Model()}
        ),
    ],
    ids=["results", "snapshot", "completed"],
)
def test_whatever_is_kept_as_a_pickle_is_warned_of(keep):
    with pytest.warns(PickledValueWarning, match=r"'model' is a .*Model"):
        run(lambda _, trial_id: keep(trial_id) or {}, trials=1)


def test_each_trial_sees_the_store():
    experiment = make(
        lambda *_: {"offset": get_global_store()["offset"]},
        init_store=lambda configuration: {"offset": len(configuration["n"])},
    )

    assert {'{"offset":4}'} == {
        entry.outcome.results.document for entry in run(experiment).entries
    }


# --- what cannot begin, or cannot be kept


def test_without_its_function_nothing_runs():
    experiment = Experiment("heat", function_name="nowhere", configuration={})

    with pytest.raises(ScriptError, match="no function 'nowhere'"):
        run(experiment)


def test_without_its_store_nothing_runs():
    with pytest.raises(StoreError):
        run(make(lambda *_: {}, init_store=lambda _: 1 / 0))


def test_a_disk_that_is_full_ends_the_run():
    class FullDisk(ListLedger):
        def record(self, entries, running):
            raise DatabaseWriteError("the disk is full")

    with pytest.raises(DatabaseWriteError):
        run(lambda *_: {}, ledger_kind=FullDisk)


def test_it_needs_no_mpi(serial):
    code = (
        "import sys\n"
        "import experimenter_mpi.modes.serial, experimenter_mpi.run.execute\n"
        "print([name for name in sys.modules if name.startswith('mpi4py')])\n"
    )

    assert "[]\n" == serial("-c", code, env=WITH_PACKAGE).expect(0).stdout


def test_it_does_not_end_the_process_a_trial_exits_from():
    ledger = run(lambda *_: sys.exit(0), trials=2)

    assert [(0, Status.FAILED), (1, Status.FAILED)] == statuses(ledger)


def test_it_shows_how_it_is_written():
    assert "SerialMode()" == repr(SerialMode())

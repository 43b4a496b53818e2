"""What the fuzzer starts from: values of every kind, a database, what it is asked."""

from __future__ import annotations

import datetime as dt
import decimal
import fractions
import pathlib
import random
import uuid
import zoneinfo
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from experimenter_mpi import (
    Experiment,
    IntegerVariable,
    IterableVariable,
    LinearVariable,
    LogLinearVariable,
    MatchIterableVariable,
    RepeatVariable,
    open_db,
)
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding.codec import encode
from experimenter_mpi.trial.outcome import Entry, Failure, Outcome, Place, Status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUES: list[Any] = [
    {"a": 1, "b": [1.5, None, True, "x"], "$key": {"n": {}}},
    [(1, 2), {3, 4}, frozenset([5]), {1: 2, (3,): 4}, b"ab", bytearray(b"c")],
    {"a": float("nan"), "b": [None, float("inf")], "c": (float("nan"),)},
    [1j, float("nan"), -float("inf"), 2**70, "\ud83d\ude00"[:1], range(3), slice(1, 2)],
    [uuid.UUID(int=5), deque([1], 3), decimal.Decimal("1.5"), fractions.Fraction(1, 3)],
    [random.Random(1)],
    [pathlib.Path("a/b"), pathlib.PureWindowsPath("c:/d"), dt.date(2024, 2, 29)],
    [
        dt.datetime(2024, 1, 2, 3, 4, 5, 6, zoneinfo.ZoneInfo("Europe/Paris"), fold=1),
        dt.time(1, 2, tzinfo=dt.timezone(dt.timedelta(hours=1), "named")),
        dt.timedelta(1, 2, 3),
    ],
    [np.random.default_rng(1), np.random.RandomState(1)],
    [np.random.Generator(np.random.Philox(2)), np.random.SeedSequence(7)],
    [np.arange(6.0).reshape(2, 3), np.zeros((2, 2), "f8", order="F"), np.array("x")],
    [np.array([1, "a", None], object), np.zeros(2, [("a", "O"), ("b", "i4")])],
    [np.zeros(1, [("a", "i4")])[0], np.datetime64(1, "s"), np.longdouble(1) / 3],
    [
        np.ma.masked_array([1, 2], [False, True]),
        np.ma.masked,
        np.array(["2020"], "M8[D]"),
    ],
    {"N": LinearVariable(1, 3, 3), "x": LogLinearVariable(1, 100, 3)},
    {"n": IntegerVariable(1, 5, 2)},
    {"r": RepeatVariable([1], 2), "i": IterableVariable([1, (2,)])},
    {"m": MatchIterableVariable([np.arange(2)])},
]
PLACE = Place(3, "node17")


def make_database(folder: Path) -> None:
    """Store two experiments with a bit of everything, among it array files."""
    from experimenter_mpi.encoding import codec

    codec.INLINE_BYTES = 1000  # so that small arrays are in files
    with open_db("heat.db", folder) as db:
        one = Experiment(
            "heat",
            configuration={
                "n": 10,
                "N": IntegerVariable(1, 3),
                "x": IterableVariable([np.arange(3), "b"]),
            },
            function_name="f",
        )
        session_of(db).experiments.enrol(one)
        session_of(db).experiments.enrol(
            Experiment("other", configuration={"v": VALUES[1]}, function_name="f")
        )
        ids = one.trial_ids
        with session_of(db).storage.writing():
            run = session_of(db).runs.start(
                one.id, {"mode": "MPIMode", "ranks": 4, "command_line": "python exp.py"}
            )
            failure = Failure("ValueError", "too hot", "Traceback ...")
            session_of(db).ledger(one.id).record([_entry(1, None, failure)], ())
            session_of(db).ledger(one.id).record(
                [_entry(2, {"d": 0.5, "a": np.zeros(9)})], ()
            )
            db.complete_trial(ids[0], {"field": np.arange(500.0), "text": "x" * 9000})
            db.complete_trial(ids[3], {"all": VALUES[3], **VALUES[2]})
            for step in range(2):
                state = {"step": step, "spins": np.full(300, float(step))}
                db.save_snapshot(ids[4], state, "half way")
            session_of(db).runs.finish(
                run, "failed", session_of(db).trials.counts(one.id)
            )
            session_of(db).views.renew(one.id)
    assert list(folder.glob("heat.db.arrays/*/*.h5")), "no array went to a file"


def _entry(index: int, results: Any, failure: Failure | None = None) -> Entry:
    status = Status.FINISHED if failure is None else Status.FAILED
    encoded = None if results is None else encode(results)
    times = 1e9, 1e9 + 1
    return Entry(Outcome(index, status, encoded, failure, *times, 1.0), PLACE)


def _read(folder: Path) -> None:
    with open_db("heat.db", folder, read_only=True) as db:
        for name in ("heat", "other"):
            _tried(db.get_progress, name)
            _tried(db.get_ratio_completed_trials_by_name, name)
            _tried(db.get_trials_by_name, name)
            _tried(
                lambda name=name: list(
                    islice(
                        session_of(db).trials.unfinished(
                            db.get_experiment_by_name(name).id
                        ),
                        100,
                    )
                )
            )
            for trial_id in _tried(db.get_trials_ids_by_name, name) or []:
                _tried(db.get_trial, trial_id)
                _tried(db.get_snapshots, trial_id)
                _tried(db.latest_snapshot, trial_id)
        db.get_experiments()


def _tried(question: Callable[..., Any], *arguments: Any) -> Any:
    from experimenter_mpi.errors import ExperimenterError

    try:
        return question(*arguments)
    except ExperimenterError:
        return None


def _export(folder: Path) -> None:
    with open_db("heat.db", folder, read_only=True) as db:
        db.export_db(folder / "copy.db").close()


def _merge(folder: Path) -> None:
    with (
        open_db("heat.db", folder, read_only=True) as db,
        open_db("merged.db", folder) as primary,
    ):
        primary.merge_databases(db)


def _run(folder: Path) -> None:
    """Do what a run does before and after its trials."""
    with open_db("heat.db", folder) as db, session_of(db).storage.writing():
        for experiment in db.get_experiments():
            session_of(db).experiments.enrol(experiment)
            session_of(db).deaths.last_run_crashed(experiment.id)
            session_of(db).deaths.settle(experiment.id)
            session_of(db).deaths.fatal(experiment.id)
            session_of(db).deaths.suspects(experiment.id)
            session_of(db).deaths.release(experiment.id)
            session_of(db).sweep_leftovers()
            run = session_of(db).runs.start(experiment.id, {})
            ledger = session_of(db).ledger(experiment.id)
            for index in range(min(len(experiment), 4)):
                trial_id = str(experiment.trial_ids[index])
                _tried(ledger.results_of, trial_id)
                _tried(ledger.latest_snapshot, trial_id)
            ledger.record([_entry(5, {"a": np.arange(200.0)})], ())
            session_of(db).runs.finish(
                run, "finished", session_of(db).trials.counts(experiment.id)
            )


QUESTIONS = [_read, _export, _merge, _run]
VERBS = [
    *(("status",), ("status", "heat"), ("status", "--json"), ("show", "heat:1")),
    *(("show", "heat:0", "--json"), ("results", "heat"), ("results", "heat", "--csv")),
    *(("results", "heat", "--json"), ("reset", "heat", "0", "3", "--yes")),
    *(("reset", "heat", "--failed", "--yes"), ("reset", "heat", "--all", "--yes")),
    ("reset", "heat", "--where", "configuration ->> '$.N' > 1", "--yes"),
    *(("compact", "--snapshots", "latest", "--yes"), ("delete", "heat", "--yes")),
]

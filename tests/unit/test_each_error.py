"""Every error there is, met as a user meets it, with what to do next."""

from __future__ import annotations

import sqlite3
import sys
import types
from pathlib import Path

import pytest

import experimenter_mpi as em
from experimenter_mpi import Experiment, IntegerVariable, LinearVariable, errors
from experimenter_mpi.cli import run
from experimenter_mpi.cluster.job import Job
from experimenter_mpi.coordination import messages as m
from experimenter_mpi.database.file import lock
from experimenter_mpi.database.handle import ExperimentDatabase, session_of
from experimenter_mpi.modes.futures import FuturesPort
from experimenter_mpi.mpi import launch
from experimenter_mpi.run.serve import _order
from experimenter_mpi.trial.outcome import Place
from support.fakes import FakeTransport
from unit.test_errors import all_errors

HERE = Path(__file__).parent


def one(**changes):
    """An experiment of two trials."""
    configuration = {"n": IntegerVariable(1, 2)}
    chosen = {"configuration": configuration, "function": lambda c, t: {}, **changes}
    return Experiment("one", **chosen)


@pytest.fixture
def db(tmp_path):
    with em.open_db("one.db", tmp_path) as database:
        session_of(database).experiments.enrol(one())
        yield database


@pytest.fixture
def meet(db, tmp_path, monkeypatch):
    return Meeting(db, tmp_path, monkeypatch)


class Meeting:
    """How each error is met: the method of its name raises it."""

    def __init__(self, db, folder, monkeypatch):
        self.db, self.folder, self.monkeypatch = db, folder, monkeypatch
        self.trial_id = db.get_trials_ids_by_name("one")[0]

    def alter(self, *statements):
        self.db.close()
        plain = sqlite3.connect(self.folder / "one.db")
        for statement in statements:
            plain.execute(statement)
        plain.commit()
        plain.close()
        return em.open_db("one.db", self.folder)

    def configuration_error(self):
        LinearVariable(1, 2, 0)

    def script_error(self):
        em.execute(one(function=None, function_name="nowhere"), self.db)

    def store_error(self):
        def build(_):
            return 5

        em.execute(one(init_store=build), self.db, force_overwrite=True)

    def outside_trial_error(self):
        em.stop_requested()

    def trial_error(self):
        (self.folder / "exp.py").write_text(
            "import sys\n"
            "from experimenter_mpi import Experiment\n"
            "def f(c, t):\n    sys.exit(5)\n"
            "e = Experiment('exits', function=f, configuration={})\n"
        )
        path, new = str(self.folder / "exp.py"), str(self.folder / "new.db")
        run.main([path, "--db", new, "--on-error", "raise", "--progress", "none"])

    def trial_not_finished_error(self):
        self.db.get_trial(self.trial_id).results["n"]

    def isolation_error(self):
        em.execute(one(), self.db, isolate=True, force_overwrite=True)

    def encoding_error(self):
        self.db.complete_trial(self.trial_id, {"n": lambda: 1})

    def pickle_refused_error(self):
        with pytest.warns(em.PickledValueWarning):
            self.db.complete_trial(self.trial_id, {"n": em.Experiment})
        self.db.get_trial(self.trial_id)

    def missing_package_error(self):
        self.monkeypatch.setitem(sys.modules, "pandas", None)
        self.db.to_dataframe("one")

    def launch_error(self):
        self.monkeypatch.setitem(sys.modules, "mpi4py", None)
        launch.connect(even_alone=True)

    def worker_died_error(self):
        transport = FakeTransport(0, 3)
        transport.dead.append(2)
        FuturesPort(transport, {}, ()).deaths()

    def job_script_error(self):
        Job(scheduler="slurm", ranks=64, nodes=3)

    def protocol_error(self):
        ready = m.Ready(Place(1, "node1"))
        said = types.SimpleNamespace(receive=lambda: (0, ready), leave=None)
        _order(said)

    def not_found_error(self):
        self.db.get_experiment_by_name("won")

    def experiment_mismatch_error(self):
        self.db.restore_from_db(one(configuration={"n": 5}))

    def foreign_database_error(self):
        (self.folder / "letter.db").write_text("Dear Sir or Madam, " * 10)
        em.open_db("letter.db", self.folder)

    def schema_version_error(self):
        self.alter("PRAGMA user_version = 99")

    def database_locked_error(self):
        self.monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)
        with (
            session_of(self.db).storage.writing(),
            em.open_db("one.db", self.folder) as other,
        ):
            other.complete_trial(self.trial_id, {})

    def database_write_error(self):
        with em.open_db("one.db", self.folder, read_only=True) as reader:
            reader.complete_trial(self.trial_id, {})

    def not_coordinator_error(self):
        ExperimentDatabase(None).get_experiments()

    def corrupt_document_error(self):
        with em.open_db("one.db", self.folder) as db:
            db.complete_trial(self.trial_id, {})
        with self.alter("UPDATE trial_records SET results = '{'") as db:
            db.get_trial(self.trial_id)


# What the message of each tells its reader to do or to look at.
NEXT = {
    errors.ConfigurationError: "n must be a whole number of 1 or more",
    errors.ScriptError: "has no function 'nowhere'",
    errors.StoreError: "'.*build' must return a dict",
    errors.OutsideTrialError: "call it from the trial function",
    errors.TrialError: "a trial of 'exits' raised SystemExit",
    errors.TrialNotFinishedError: "check trial.has_finished first",
    errors.IsolationError: "with `def` at the top",
    errors.EncodingError: "use numbers, strings, lists, dicts or arrays",
    errors.MissingPackageError: r"pip install 'experimenter_mpi\[pandas\]'",
    errors.PickleRefusedError: "--allow-pickle",
    errors.WorkerDiedError: r"rerun the same command to continue",
    errors.LaunchError: r"pip install \"experimenter_mpi\[mpich\]\"",
    errors.JobScriptError: "use 66",
    errors.ProtocolError: "to a rank without an experiment",
    errors.NotFoundError: "'one'",
    errors.ExperimentMismatchError: "--overwrite",
    errors.ForeignDatabaseError: "choose another file",
    errors.SchemaVersionError: "pip install -U",
    errors.DatabaseLockedError: "wait for it to end, or use another database",
    errors.DatabaseWriteError: "reopen it without",
    errors.NotCoordinatorError: "if database.is_coordinator:",
    errors.CorruptDocumentError: "'reset' lets the trial run again",
}
# Recorded of a trial by name, not raised in this process; who meets it there.
RECORDED = {
    errors.TrialProcessError: "isolation/test_children.py",
    errors.TrialTimeoutError: "trial/test_timed.py",
    errors.RankDiedError: "database/test_deaths.py",
}
# Raised only as one of their kinds, and what a trial raises itself.
NOT_RAISED = {errors.ExperimenterError, errors.DatabaseError, errors.TrialInterrupted}


def test_every_error_is_met_here():
    """A new one needs a place above, or nobody knows what its message says."""
    assert set(all_errors()) == {*NEXT, *RECORDED, *NOT_RAISED}


@pytest.mark.parametrize("kind", RECORDED)
def test_what_is_recorded_is_met_elsewhere(kind):
    assert f'"{kind.__name__}"' in (HERE / RECORDED[kind]).read_text()


def named(kind):
    letters = "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__)
    return letters.lstrip("_")


@pytest.mark.parametrize("kind", NEXT, ids=named)
def test_its_message_is_one_line_and_says_what_to_do(meet, kind):
    with pytest.raises(kind, match=NEXT[kind]) as caught:
        getattr(meet, named(kind))()

    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)


def test_a_trial_that_was_interrupted_goes_back_to_pending(db):
    def trial(configuration, trial_id):
        raise em.TrialInterrupted

    experiment = one(function=trial)
    db.delete_experiment(db.get_experiments()[0].id)
    em.execute(experiment, db)

    assert {"pending"} == {trial.status for trial in db.get_trials_by_name("one")}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (lambda f: em.open_db("new.db", f / "none", create_folder=False), "create it"),
        (lambda f: em.open_db("", f), "give the name of a database file"),
        (lambda f: em.open_db("a\x00b", f), "contains a NUL character"),
    ],
)
def test_a_database_that_cannot_be_opened_is_any_other_error(tmp_path, request_, said):
    with pytest.raises(em.DatabaseError, match=said) as caught:
        request_(tmp_path)

    assert type(caught.value) is em.DatabaseError

"""``run --share`` and ``merge``: a job array whose tasks share no database."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import uuid

import pytest

from experimenter_mpi import (
    ConfigurationError,
    Experiment,
    IntegerVariable,
    execute,
    open_db,
)
from experimenter_mpi.cli import run_verb
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.experiment.share import Share
from support.fakes import WITH_PACKAGE

SOURCE = """
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    if configuration["n"] in BAD:
        raise ValueError("too hot")
    return {"double": 2 * configuration["n"], "id": str(trial_id)}

BAD = {4}
experiment = Experiment(
    "heat", function=trial, configuration={"n": IntegerVariable(0, 9)}
)
"""


class Folder:
    """An exp.py of ten trials, of which that of index 4 fails."""

    def __init__(self, path, capsys):
        self.path = path
        self._capsys = capsys
        (path / "exp.py").write_text(SOURCE)

    def call(self, *arguments):
        """Return the exit code and what was said on both streams."""
        self._capsys.readouterr()
        code = run_verb(list(arguments))
        return code, *self._capsys.readouterr()

    def run(self, share, *options, db=None):
        database = db or f"share-{share.replace('/', '-')}.db"
        return self.call("run", "exp.py", "--db", database, "--share", share, *options)

    def trials(self, database):
        with open_db(database, ".", read_only=True) as db:
            return db.get_trials_by_name("heat")


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Folder(tmp_path, capsys)


def test_a_share_runs_its_own_trials_and_is_then_done(folder):
    """The trials of other shares are not work that is left."""
    code, out, err = folder.run("2/4", "--progress", "log")

    assert 0 == code
    assert out.startswith("heat, share 2/4: 3 finished, 0 failed in ")
    assert "left" not in out
    assert "heat, share 2/4: 3 trials to run on 1 rank" in err
    done = [t.index for t in folder.trials("share-2-4.db") if t.has_finished]
    assert [1, 5, 9] == done


def test_a_share_that_has_failed_trials_says_so_itself(folder):
    assert (0, 1) == (folder.run("2/4")[0], folder.run("1/4")[0])


def test_a_share_goes_on_where_it_was(folder):
    folder.run("1/2", "--trial", "0,2")

    code, out, _ = folder.run("1/2")

    assert 1 == code
    assert out.startswith("heat, share 1/2: 2 finished, 1 failed in ")
    assert "; 2 finished before" in out


def test_failures_of_another_share_are_not_this_ones(folder):
    folder.run("1/2", db="one.db")

    code, out, _ = folder.run("2/2", "--no-retry-failed", db="one.db")

    assert 0 == code
    assert out.startswith("heat, share 2/2: 5 finished, 0 failed in ")
    assert "before" not in out


def test_a_trial_of_another_share_that_kills_its_ranks_is_not_this_ones(folder):
    folder.run("1/2", "--trial", "2", db="one.db")
    plain = sqlite3.connect("one.db")
    plain.executescript("""
        INSERT INTO trial_records (key, status, deaths, configuration)
        SELECT sequence << 40, 3, 2, '{}' FROM experiments;
        INSERT INTO trial_errors
        SELECT sequence << 40, 'RankDiedError', '', '' FROM experiments;
    """)
    plain.commit()
    plain.close()

    assert 0 == folder.run("2/2", db="one.db")[0]


def test_more_shares_than_trials_leave_some_with_nothing_to_do(folder):
    code, out, _ = folder.run("11/12")

    assert 0 == code and "0 finished, 0 failed" in out


def test_a_share_that_is_overwritten_leaves_the_others_alone(folder):
    for share in ("1/2", "2/2"):
        folder.run(share, db="one.db")
    (folder.path / "exp.py").write_text(SOURCE.replace("2 * ", "3 * "))

    asked, _, err = folder.run("2/2", "--overwrite", db="one.db")
    before = [trial.results for trial in folder.trials("one.db")]
    code, _, _ = folder.run("2/2", "--overwrite", "--yes", db="one.db")

    assert 3 == asked
    assert "Delete share 2/2 of 'heat' (5 of 5 trials finished) from one.db?" in err
    assert 0 == code
    after = [trial.results for trial in folder.trials("one.db")]
    assert before[::2] == after[::2]
    assert [3 * n for n in range(1, 10, 2)] == [each["double"] for each in after[1::2]]


def test_a_share_with_another_configuration_does_not_overwrite_the_others(folder):
    folder.run("1/2", db="one.db")
    (folder.path / "exp.py").write_text(SOURCE.replace("(0, 9)", "(0, 3)"))

    refused, _, err = folder.run("2/2", "--overwrite", "--yes", db="one.db")
    kept = len(folder.trials("one.db"))
    own, _, _ = folder.run("1/2", "--overwrite", "--yes", db="one.db")

    assert 3 == refused and "with another configuration" in err
    assert 10 == kept
    assert 0 == own and 4 == len(folder.trials("one.db"))


def test_a_share_overwrites_what_is_not_there(folder):
    assert 0 == folder.run("2/2", "--overwrite")[0]


def test_a_share_that_ran_anew_counts_in_a_new_merged_database_alone(folder):
    """As the help of merge says: what is finished there keeps its results."""
    folder.run("1/3")
    folder.call("merge", "all.db", "share-1-3.db")
    (folder.path / "exp.py").write_text(SOURCE.replace("2 * ", "3 * "))
    folder.run("1/3", "--overwrite", "--yes")

    for merged in ("all.db", "new.db"):
        folder.call("merge", merged, "share-1-3.db")

    assert 6 == folder.trials("all.db")[3].results["double"]
    assert 9 == folder.trials("new.db")[3].results["double"]


def test_the_shares_of_a_job_array_merge_to_the_whole(folder):
    codes = [folder.run(f"{k}/3")[0] for k in (1, 2, 3)]
    assert sorted(codes) == [0, 0, 1]
    shares = [f"share-{k}-3.db" for k in (1, 2, 3)]

    code, out, _ = folder.call("merge", "all.db", *shares)
    again, _, _ = folder.call("merge", "all.db", "all.db", *reversed(shares))

    assert (0, 0) == (code, again)
    assert "all.db now holds all of 3 databases\n" == out
    trials = folder.trials("all.db")
    statuses = ["failed" if n == 4 else "finished" for n in range(10)]
    assert statuses == [trial.status for trial in trials]
    results = {t.index: t.results for t in trials if t.has_finished}
    assert results == {
        t.index: {"double": 2 * t.index, "id": str(t.id)}
        for t in trials
        if t.has_finished
    }
    plain = sqlite3.connect("all.db")
    runs = plain.execute("SELECT share FROM runs ORDER BY share").fetchall()
    plain.close()
    assert [("1/3",), ("2/3",), ("3/3",)] == runs


def test_an_array_may_have_more_tasks_than_a_process_has_open_files(folder):
    folder.run("1/2")
    shares = [f"copy-{k}.db" for k in range(60)]
    for name in shares:
        shutil.copy("share-1-2.db", name)
    merge = f"{shlex.quote(sys.executable)} -m experimenter_mpi merge all.db"

    done = subprocess.run(
        ["sh", "-c", f"ulimit -n 40; exec {merge} {' '.join(shares)}"],
        env={**os.environ, **WITH_PACKAGE},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "all.db now holds all of 60 databases\n" == done.stdout


def test_what_is_merged_goes_on_as_one_experiment(folder):
    folder.run("1/2")
    folder.run("2/2", "--trial", "1")
    folder.call("merge", "all.db", "share-1-2.db", "share-2-2.db")

    code, out, _ = folder.call("run", "exp.py", "--db", "all.db")

    assert 1 == code
    assert out.startswith("heat: 4 finished, 1 failed in ")
    assert "; 5 finished before" in out


def test_a_secondary_that_does_not_exist_leaves_everything_as_it_is(folder):
    folder.run("1/2")

    code, _, err = folder.call("merge", "all.db", "share-1-2.db", "share-2-2.db")

    assert 3 == code and "no such database: share-2-2.db" in err
    assert not (folder.path / "all.db").exists()


def test_the_share_is_that_of_the_task_of_a_job_array(folder, monkeypatch):
    monkeypatch.setenv("PBS_ARRAY_INDEX", "1")

    code, out, _ = folder.run("auto/4", db="two.db")

    assert 0 == code and out.startswith("heat, share 2/4: 3 finished")


@pytest.mark.parametrize(
    ("share", "expected", "said"),
    [
        ("2", 2, "'2' is not a share such as 2/8, auto or auto/8"),
        ("5/4", 3, "'5/4' is not a share: the shares of N are 1/N to N/N"),
        ("auto", 3, "this is not a task of a job array"),
    ],
)
def test_a_share_that_is_none_is_refused_before_anything_is_made(
    folder, share, expected, said
):
    try:
        code, _, err = folder.run(share)
    except SystemExit as leave:
        code = leave.code

    assert expected == code and said in err
    assert ["exp.py"] == [file.name for file in folder.path.iterdir()]


def test_a_dry_run_counts_the_trials_of_the_share(folder):
    folder.run("2/4", "--trial", "1")

    _, out, _ = folder.run("2/4", "--dry-run")

    assert ["heat", "3", "1", "2"] == out.splitlines()[1].split()


def test_status_says_which_share_the_last_run_was_for(folder):
    folder.run("2/4")

    _, out, _ = folder.call("status", "share-2-4.db")
    _, text, _ = folder.call("status", "share-2-4.db", "--json")

    assert "finished, share 2/4, SerialMode" in out
    assert "2/4" == json.loads(text)[0]["last_run"]["share"]


def test_the_time_left_of_a_share_is_that_of_its_own_trials(folder):
    """While it runs, and in its database the other shares are pending for ever."""
    from experimenter_mpi.cli.status import Asked, _states

    folder.run("2/4", "--trial", "1")
    with open_db("share-2-4.db", ".") as db:
        experiment = db.get_experiment_by_name("heat")
        with session_of(db).storage.writing():
            session_of(db).runs.start(
                experiment.id, {"share": "2/4", "finished_before": 0, "ranks": 1}
            )
            asked = Asked(
                ["share-2-4.db"], None, ranks=False, verbose=False, aside=False
            )
            (state,) = _states([session_of(db)], asked)

    assert 9 == state["pending"]
    assert 2 == pytest.approx(state["seconds_left"] * state["rate"])


@pytest.mark.parametrize("share", ["no share", "9/2", "auto", ""])
def test_a_strangers_database_may_name_any_share(folder, share):
    folder.run("2/4", "--trial", "1")
    with open_db("share-2-4.db", ".") as db:
        experiment = db.get_experiment_by_name("heat")
        session_of(db).runs.start(
            experiment.id, {"share": share, "mode": "X", "ranks": 1}
        )

    code, out, _ = folder.call("status", "share-2-4.db")

    assert 0 == code and " 10 " in out


# --- execute


def trial(configuration, trial_id):
    return {"n": configuration["n"]}


def made():
    return Experiment(
        "heat", function=trial, configuration={"n": IntegerVariable(0, 9)}
    )


def test_execute_takes_a_share_and_counts_it(tmp_path):
    with open_db("a.db", tmp_path) as db:
        summary = execute(made(), db, share=(3, 4))

    assert (Share(3, 4), 2, 2, 0, 0) == (
        summary.share,
        summary.trials,
        summary.finished,
        summary.remaining,
        summary.exit_code,
    )


def test_shares_agree_on_the_ids_of_trials_which_may_name_files(tmp_path):
    ids = []
    for k in (1, 2):
        with open_db(f"{k}.db", tmp_path) as db:
            experiment = made()
            execute(experiment, db, share=(k, 2))
            ids.append(db.get_trials_ids_by_name("heat"))

    assert ids[0] == ids[1]
    assert experiment.trial_ids[0] == ids[0][0]


def test_without_a_share_an_experiments_id_is_random(tmp_path):
    with open_db("a.db", tmp_path) as db:
        execute(made(), db)
        first = db.get_experiment_by_name("heat").id
        execute(made(), db, force_overwrite=True)

        assert first != db.get_experiment_by_name("heat").id


@pytest.mark.parametrize("share", [(0, 4), "4", (1, 2, 3), uuid.UUID(int=1), 2.5])
def test_execute_refuses_what_is_no_share(tmp_path, share):
    with open_db("a.db", tmp_path) as db, pytest.raises(ConfigurationError):
        execute(made(), db, share=share)

"""What the verbs say of a database that is there, and what they change in it."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest

from experimenter_mpi import (
    Experiment,
    IntegerVariable,
    IterableVariable,
    SerialMode,
    execute,
    open_db,
)
from experimenter_mpi.cli import run_verb
from experimenter_mpi.cli.results import _print_json
from experimenter_mpi.cli.show import _rerun
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.trial.outcome import (
    Entry,
    Failure,
    Outcome,
    Place,
    RunningTrial,
    Status,
)
from support.experiments import PACKAGE
from support.fakes import WITH_PACKAGE
from support.libraries import clean_environment


class Odd:
    """No rule stores it: it is pickled."""


def rich(configuration, trial_id):
    n = configuration["n"]
    if n == 3:
        raise ValueError("three\nis bad")
    results = {
        "n": n * 10,
        "status": "odd",
        "spins": np.zeros((2, n)),
        "z": 1 - 2j,
        "nest": {"a": {"b": n}},
        "gap": float("nan"),
        "text": 'a,"b"\nc',
    }
    return results | ({"odd": Odd()} if n == 2 else {})


def plain(configuration, trial_id):
    if configuration["n"] > 100:
        raise ValueError(f"bad {configuration['n']}")
    return {"n": configuration["n"]}


HEAT = {"n": IntegerVariable(1, 3), "solver": {"dt": 0.123456789}, "trial": "x"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.db"


def keep(path, name="heat", function=rich, **options):
    """Run an experiment and keep it; ``configuration`` is HEAT unless given."""
    configuration = options.pop("configuration", HEAT)
    experiment = Experiment(name, function=function, configuration=configuration)
    with warnings.catch_warnings(), open_db(path.name, path.parent) as database:
        warnings.simplefilter("ignore")
        execute(experiment, database, SerialMode(), **options)
    return experiment


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Make the database once: most tests only look at a copy of it."""
    path = tmp_path_factory.mktemp("kept") / "x.db"
    return path, keep(path)


@pytest.fixture
def heat(path, kept):
    original, experiment = kept
    shutil.copy(original, path)
    return experiment


@pytest.fixture
def ask(capsys):
    """Run a verb and return its exit code and what it said on both streams."""

    def ask(*arguments):
        code = run_verb(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return ask


def statuses(path, name="heat"):
    with open_db(path.name, path.parent, read_only=True) as database:
        return [row["status"] for row in database.get_progress(name)]


@pytest.mark.parametrize("verb", ["status", "show", "results", "reset", "delete"])
def test_an_unknown_name_lists_near_ones(verb, ask, path, heat):
    words = {"show": ["heta:1"], "reset": ["heta", "0"]}.get(verb, ["heta"])

    code, out, err = ask(verb, path, *words)

    assert (3, "") == (code, out)
    assert re.fullmatch(r"experimenter_mpi: .*'heta'.*'heat'.*\n", err)


@pytest.mark.parametrize("verb", ["status", "show", "results", "reset", "delete"])
def test_no_database_is_made_by_looking(verb, ask, tmp_path):
    words = {"status": [], "reset": ["heat", "0"]}.get(verb, ["heat"])

    code, _, err = ask(verb, tmp_path / "no.db", *words)

    assert 3 == code
    assert err.startswith(f"experimenter_mpi: no such database: {tmp_path}/no.db; ")
    assert "run SCRIPT --db" in err and err.count("\n") == 1
    assert [] == list(tmp_path.iterdir())


# --- status


def test_status_counts_the_trials_of_every_experiment(ask, path, heat):
    keep(path, "later", plain, time_limit=0)

    code, out, _ = ask("status", path)

    rows = [re.split("  +", line) for line in out.splitlines()]
    assert 0 == code
    assert ["heat", "3", "2", "1", "0", "0", "failed, SerialMode"] == rows[1]
    assert ["later", "3", "0", "0", "0", "3", "stopped, SerialMode"] == rows[2]


def test_status_as_json_has_the_same_counts(ask, path, heat):
    _, out, _ = ask("status", path, "--json")

    (state,) = json.loads(out)
    counts = [state[key] for key in ("trials", "finished", "failed", "pending")]
    assert ["heat", [3, 2, 1, 0]] == [state["name"], counts]


def test_status_of_a_name_lists_failures_and_how_one_is_explained(ask, path, heat):
    _, out, _ = ask("status", path, "heat")

    assert re.search(r"^ +2  ValueError  three$", out, re.MULTILINE)
    assert out.endswith(f" show {shlex.quote(str(path))} heat:2\n")


def test_status_lists_the_first_failures_only(ask, path):
    keep(path, "bad", plain, configuration={"n": IntegerVariable(101, 115)})

    _, out, _ = ask("status", path, "bad")

    assert 10 == out.count("ValueError")
    assert "\n...\n" in out


def test_status_of_an_empty_database(ask, path):
    open_db(path.name, path.parent).close()

    assert (0, "no experiments yet\n", "") == ask("status", path)
    assert [] == json.loads(ask("status", path, "--json")[1])


# --- show


def test_show_explains_a_failed_trial(ask, path, heat):
    code, out, _ = ask("show", path, "heat:2")

    assert 0 == code
    assert out.startswith("trial 2 of 'heat': failed\n")
    assert f"  id            {heat.trial_ids[2]}\n" in out
    assert "  solver.dt     0.123457\n" in out
    assert "in rich\n" in out and "\n  ValueError: three\n  is bad\n" in out
    assert "\nresults\n" not in out


def test_show_takes_an_id_as_well(ask, path, heat):
    assert ask("show", path, "heat:1") == ask("show", path, heat.trial_ids[1])


def test_show_takes_a_name_with_a_colon(ask, path):
    keep(path, "a:1", plain)

    assert ask("show", path, "a:1:2")[1].startswith("trial 2 of 'a:1': finished")


def test_show_as_json_has_documents_as_they_are_stored(ask, path, heat):
    finished = json.loads(ask("show", path, "heat:0", "--json")[1])
    failed = json.loads(ask("show", path, "heat:2", "--json")[1])

    assert {"n": 1, "solver": {"dt": 0.123456789}, "trial": "x"} == (
        finished["configuration"]
    )
    assert 10 == finished["results"]["n"]
    assert (None, "ValueError") == (failed["results"], failed["error_type"])


def test_show_names_the_last_snapshot(ask, path, heat):
    with open_db(path.name, path.parent) as database:
        database.save_snapshot(heat.trial_ids[0], {"step": 1}, "first")
        database.save_snapshot(heat.trial_ids[0], {"step": 2}, "second")

    _, out, _ = ask("show", path, "heat:0")

    assert "  snapshots     2, the last 'second' at 2" in out


def test_show_says_why_a_trial_failed_that_ranks_died_of(ask, path, heat):
    """It left no traceback; and by itself it would take the whole program along."""
    message = "its rank died twice while it ran, the last time rank 2 on node17"
    failure = Failure("RankDiedError", message, "")
    outcome = Outcome(2, Status.FAILED, None, failure, 1.0, 2.0, 0.0)
    with open_db(path.name, path.parent) as database:
        ledger = session_of(database).ledger(heat.id)
        ledger.count_deaths([2, 2])
        ledger.record([Entry(outcome, Place(2, "node17"))], ())

    _, out, _ = ask("show", path, "heat:2")

    assert (
        "  deaths        2 times its rank or the whole job died while it ran\n" in out
    )
    assert f"\nerror\n  RankDiedError: {message}\n" in out
    assert " --trial 2 --on-error raise --isolate" in out.splitlines()[-1]


def test_show_of_a_running_trial_gives_no_duration_of_an_earlier_attempt(
    ask, path, heat
):
    with open_db(path.name, path.parent) as database:
        running = RunningTrial(2, 5.0, Place(2, "node17"))
        session_of(database).ledger(heat.id).record((), [running])

    _, out, _ = ask("show", path, "heat:2")

    assert out.startswith("trial 2 of 'heat': running\n")
    assert "duration" not in out


@pytest.mark.parametrize(
    ("trial", "expected"),
    [
        ("heat:3", "'heat' has trials 0 to 2, not 3"),
        ("heat:²", "'heat:²' is not the id of a trial"),
        ("heat", "'heat' is not the id of a trial"),
        ("00000000-0000-0000-0000-000000000000", "has no trial 00000000"),
    ],
)
def test_show_of_an_unknown_trial_is_one_line(trial, expected, ask, path, heat):
    code, out, err = ask("show", path, trial)

    assert (3, "", 1) == (code, out, err.count("\n"))
    assert expected in err


SCRIPT = """
import sys
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    with open("ran.txt", "a") as file:
        print(round(configuration["n"]), *sys.argv[1:], file=file)
    if configuration["n"] == 2:
        raise ValueError("two")
    return {}

configuration = {"n": IntegerVariable(1, 3)}
experiment = Experiment("my heat", function=trial, configuration=configuration)
"""


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("what", [["my exp.py"], ["-m", "sweeps.my_exp"]])
def test_the_command_that_show_gives_runs_only_that_trial(
    what, index, ask, tmp_path, monkeypatch
):
    """A finished one is reset first; another that failed is left alone."""
    monkeypatch.chdir(tmp_path)
    for each in ("path", "argv"):
        monkeypatch.setattr(sys, each, list(getattr(sys, each)))
    (tmp_path / "sweeps").mkdir()
    for name in ("my exp.py", "sweeps/my_exp.py"):
        (tmp_path / name).write_text(SCRIPT)
    words = ["run", "--db", "my own.db", *what, "--", "run", "--to", "my words"]
    monkeypatch.setattr("sys.orig_argv", ["python", *PACKAGE, *words])
    ask(*words)
    (tmp_path / "ran.txt").unlink()
    command = ask("show", "my own.db", f"my heat:{index}")[1].splitlines()[-1]

    with suppress(ValueError):  # what the trial raised
        for part in command.split(" && "):
            program, *verb = shlex.split(part.strip().removeprefix("python -m "))
            run_verb(verb)

    assert "experimenter_mpi" == program
    assert f"{index + 1} run --to my words\n" == (tmp_path / "ran.txt").read_text()
    sys.modules.pop("sweeps.my_exp", None)
    sys.modules.pop("sweeps", None)


STARTED = {
    "python heat.py --size 3": "run heat.py --db x.db A -- --size 3",
    "python -u a/heat.py": "run a/heat.py --db x.db A",
    "python -m sweeps.heat run": "run -m sweeps.heat --db x.db A -- run",
    "python -m sweeps.heat 'a b'": "run -m sweeps.heat --db x.db A -- 'a b'",
    "python -m experimenter_mpi run heat.py -- -m a.py": (
        "run heat.py --db x.db A -- -m a.py"
    ),
    "experimenter-mpi run -m sweeps.heat --": "run -m sweeps.heat --db x.db A",
    "python /lib/__main__.py run": "run SCRIPT --db x.db A",
    "python heat.py run -- run": "run heat.py --db x.db A -- run -- run",
    "python 'heat.py": "run SCRIPT --db x.db A",
    "": "run SCRIPT --db x.db A",
}


@pytest.mark.parametrize("command", STARTED)
def test_the_command_that_show_gives_names_the_script_and_its_arguments(command):
    row = {
        "experiment": "h",
        "index": 0,
        "error_type": None,
        "deaths": 0,
        "status": "failed",
        "command_line": command,
    }

    _, _, given = _rerun(row, "x.db").partition("experimenter_mpi ")

    expected = "--experiment h --trial 0 --on-error raise"
    assert STARTED[command].replace("A", expected) == given


# --- results


def test_results_are_a_table_of_short_values(ask, path, heat):
    code, out, _ = ask("results", path, "heat")

    lines = [re.split("  +", line.strip()) for line in out.splitlines()]
    first = dict(zip(lines[0], lines[1], strict=True))
    assert 0 == code
    assert ("0", "finished") == (first["trial"], first["status"])
    assert "array(2, 1) <f8" == first["spins"]
    assert ("1-2j", "nan", "1") == (first["z"], first["gap"], first["nest.a.b"])
    assert f"<pickled {__name__}.Odd>" == lines[2][-1]
    assert ["2", "failed", "3", "0.123457", "x"] == lines[3][:5]
    assert {"-"} == set(lines[3][5:])


def test_a_name_that_is_taken_gets_a_prefix(ask, path, heat):
    """The trial's own index and status are never hidden by a value of that name."""
    header = ask("results", path, "heat")[1].splitlines()[0].split()

    assert ["trial", "status", "n", "solver.dt", "configuration.trial"] == header[:5]
    assert ["results.n", "results.status"] == header[5:7]


def test_results_as_csv_are_read_back(ask, path, heat):
    _, out, _ = ask("results", path, "heat", "--csv")

    rows = list(csv.DictReader(io.StringIO(out)))
    assert ["0.123456789"] * 3 == [row["solver.dt"] for row in rows]
    assert ["10", "20", ""] == [row["results.n"] for row in rows]
    assert ["nan", "nan", ""] == [row["gap"] for row in rows]
    assert 'a,"b"\nc' == rows[0]["text"]
    assert ("1-2j", "array(2, 1) <f8") == (rows[0]["z"], rows[0]["spins"])


def keep_one(path, results, /, **configuration):
    """Keep an experiment of one trial with these results."""
    configuration = configuration or {"n": 1}
    return keep(path, "one", lambda *_: results, configuration=configuration)


@pytest.mark.parametrize(
    "text", ["a\rb", "a\r\nb", "\r", "\n", "a,b", '"', '""', " a "]
)
def test_any_text_comes_back_from_csv(text, ask, path):
    keep_one(path, {"text": text, "n": 5}, **{f"key {text}": 1})

    _, out, _ = ask("results", path, "one", "--csv")

    [header, row] = csv.reader(io.StringIO(out, newline=""))
    assert ["trial", "status", f"key {text}", "text", "n"] == header
    assert ["0", "finished", "1", text, "5"] == row


def test_in_csv_nothing_is_empty_and_an_empty_text_is_quoted(ask, path):
    keep_one(path, {"nothing": None, "empty": "", "true": True})

    assert '0,finished,1,,"",true' == ask("results", path, "one", "--csv")[1].split()[1]


def test_half_a_character_does_not_stop_a_table(path, serial):
    keep_one(path, {"text": "\ud83d"})

    for form in ([], ["--csv"], ["--json"]):
        done = serial(*PACKAGE, "results", path, "one", *form, env=WITH_PACKAGE)
        assert "\\ud83d" in done.expect(0).stdout


def test_no_column_hides_another(ask, path):
    """Not the keys of one document, nor those of configuration and results."""
    results = {"loss": {"val": 1.0}, "loss.val": 2.0, "n": 3, "results": {"n": 4}}
    keep_one(path, results, n=5, results={"n": 6}, status=7)

    _, out, _ = ask("results", path, "one", "--csv")

    [row] = csv.DictReader(io.StringIO(out))
    assert row == {
        "trial": "0",
        "status": "finished",
        "n": "5",
        "results.n": "6",
        "configuration.status": "7",
        "loss.val": "1.0",
        '"loss.val"': "2.0",
        "results.results.n": "3",
        "results.results.results.n": "4",
    }


def test_a_column_has_one_meaning_in_all_rows(ask, path):
    """A result that has a parameter's name in some trials has a prefix in all."""
    points = {"n": IterableVariable([1, 2])}

    def trial(configuration, trial_id):
        n = configuration["n"]
        return {"a.b": n} if n == 1 else {"a": {"b": n}}

    keep(path, "one", trial, configuration=points)
    lines = ask("results", path, "one", "--csv")[1].splitlines()

    assert ['trial,status,n,"""a.b""",a.b', "0,finished,1,1,", "1,finished,2,,2"] == (
        lines
    )


@pytest.mark.parametrize("verb", ["results", "show"])
def test_json_of_nan_and_infinities_is_as_it_is_stored(ask, path, verb):
    results = {"a": [float("inf"), "Infinity"], "b": float("nan"), "c": None}
    keep_one(path, results, low=-float("inf"))
    trial = "one" if verb == "results" else "one:0"
    _, out, _ = ask(verb, path, trial, "--json")
    _, table, _ = ask(verb, path, trial)

    read = json.loads(out, parse_constant=pytest.fail)
    row = read[0] if verb == "results" else read
    assert {**results, "b": None, "$nan": [["b"]]} == row["results"]
    assert {"low": -float("inf")} == row["configuration"]
    assert "$nan" not in table
    for word in ("nan", "null", "-inf", '[inf, "Infinity"]'):
        assert word in table


def test_results_as_json_are_one_list(ask, path, heat):
    _, out, _ = ask("results", path, "heat", "--json")

    rows = json.loads(out)
    assert [str(heat.trial_ids[i]) for i in range(3)] == [row["id"] for row in rows]
    assert ["finished", "finished", "failed"] == [row["status"] for row in rows]
    assert rows[2]["results"] is None
    assert {"a": {"b": 2}} == rows[1]["results"]["nest"]


def test_results_of_no_trials_are_an_empty_list(capsys):
    _print_json(iter([]))

    assert [] == json.loads(capsys.readouterr().out)


# --- parameters that had to be pickled


@pytest.fixture
def pickled(path):
    """Keep an experiment whose configuration holds what no rule stores."""
    configuration = {"n": IntegerVariable(1, 2), "odd": Odd(), "list": [Odd()]}
    keep(path, "odd", plain, configuration=configuration)
    return configuration


def test_verbs_need_no_pickle_to_be_loaded(ask, path, pickled):
    name = f"{__name__}.Odd"

    assert f"  odd           <pickled {name}>\n" in ask("show", path, "odd:1")[1]
    assert (
        f",<pickled {name}>,[<pickled {name}>],"
        in (ask("results", path, "odd", "--csv")[1])
    )
    assert 0 == ask("results", path, "odd", "--json")[0]
    assert (0, "1 trial of 'odd' is pending\n", "") == (
        ask("reset", path, "odd", "1", "--yes")
    )
    assert ["finished", "pending"] == statuses_of(path)
    assert "'odd' has trials 0 to 1, not 2" in ask("show", path, "odd:2")[2]
    assert (0, "deleted 'odd'\n", "") == ask("delete", path, "odd", "--yes")


def statuses_of(path):
    with open_db(path.name, path.parent, read_only=True) as database:
        return [row["status"] for row in session_of(database).reports.trials("odd")]


@pytest.mark.parametrize("form", [[], ["--csv"]])
def test_verbs_load_them_where_they_are_told_to(form, ask, path, pickled, monkeypatch):
    monkeypatch.setattr(Odd, "__repr__", lambda _: "Odd(1)", raising=False)
    monkeypatch.setattr("sys.path", list(sys.path))

    shown = ask("show", path, "odd:0", "--allow-pickle")[1]
    table = ask("results", path, "odd", "--allow-pickle", *form)[1]
    reset = ask("reset", path, "odd", "0", "--yes", "--allow-pickle")

    assert "  odd           Odd(1)\n  list          [Odd(1)]\n" in shown
    assert 2 == table.count("[Odd(1)]")
    assert 0 == reset[0]


def test_a_class_of_a_script_in_the_current_folder_is_found(tmp_path, serial):
    (tmp_path / "exp.py").write_text(
        "from experimenter_mpi import Experiment\n"
        "class Grid:\n"
        "    def __repr__(self):\n        return 'a grid'\n"
        "experiment = Experiment('grid', function=lambda c, _: {'n': 1},\n"
        "    configuration={'grid': Grid()})\n"
    )
    command = "import sys; from experimenter_mpi.cli import main; sys.exit(main())"
    env = {**WITH_PACKAGE, "PYTHONSAFEPATH": "1"}
    serial(*PACKAGE, "run", "exp.py", "--db", "x.db", env=WITH_PACKAGE).expect(0)

    shown = serial("-c", command, "show", "x.db", "grid:0", "--allow-pickle", env=env)
    dry = serial("-c", command, "run", "exp.py", "--db", "x.db", "--dry-run", env=env)

    assert "  grid          a grid\n" in shown.expect(0).stdout
    assert re.search(r"^grid +1 +1 +0$", dry.expect(0).stdout, re.MULTILINE)


# --- export, merge, reset, delete


def test_export_makes_a_database_of_the_named_experiments(ask, path, heat):
    keep(path, "other", plain)
    out_path = path.with_name("out.db")

    said = ask("export", path, out_path, "heat")

    assert (0, f"{out_path}: 1 experiment\n", "") == said
    assert statuses(path) == statuses(out_path)


def test_export_of_all_says_how_many(ask, path, heat):
    keep(path, "other", plain)
    out_path = path.with_name("out.db")

    assert f"{out_path}: 2 experiments\n" == ask("export", path, out_path, "--all")[1]


def test_export_takes_an_empty_list_for_nothing(ask, path, heat):
    """`export DB OUT $(a query that found nothing)` copies no experiment."""
    out_path = path.with_name("out.db")

    code, out, err = ask("export", path, out_path)

    assert (2, "", 1) == (code, out, err.count("\n"))
    assert "name the experiments to copy, or use --all" in err
    assert not out_path.exists()


def test_export_refuses_to_overwrite(ask, path, heat):
    out_path = path.with_name("out.db")
    out_path.write_text("precious")

    code, out, err = ask("export", path, out_path, "heat")

    assert (3, "", 1) == (code, out, err.count("\n"))
    assert "export writes a new file" in err
    assert "precious" == out_path.read_text()


def test_merge_adds_what_is_lacking_and_says_so(ask, path, heat):
    second = path.with_name("y.db")
    keep(second, "other", plain)

    said = [ask("merge", path, second) for _ in range(2)]

    assert [(0, f"{path} now holds all of {second}\n", "")] * 2 == said
    assert ["finished"] * 3 == statuses(path, "other")


def test_merge_of_another_configuration_changes_nothing(ask, path, heat):
    second = path.with_name("y.db")
    keep(second, configuration={"n": IntegerVariable(1, 2)})
    before = path.read_bytes()

    code, _, err = ask("merge", path, second)

    assert (3, 1) == (code, err.count("\n"))
    assert before == path.read_bytes()


@pytest.mark.parametrize("verb", ["reset", "delete"])
def test_what_destroys_is_refused_without_a_terminal(
    verb, ask, path, heat, monkeypatch
):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    which = ["--all"] if verb == "reset" else []
    code, out, err = ask(verb, path, "heat", *which)

    assert (3, "", 1) == (code, out, err.count("\n"))
    assert err.endswith(
        "? Cannot ask, as standard input is not a terminal: use --yes\n"
    )
    assert ["finished", "finished", "failed"] == statuses(path)


def test_delete_says_what_would_be_lost(ask, path, heat, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())

    _, _, err = ask("delete", path, "heat")

    assert f"Delete 'heat' with 3 trials, 2 of them finished, from {path}?" in err


def test_delete_deletes(ask, path, heat):
    assert (0, "deleted 'heat'\n", "") == ask("delete", path, "heat", "--yes")
    assert "no experiments yet\n" == ask("status", path)[1]


def test_reset_trials_run_again_and_no_others(ask, path, heat):
    said = ask("reset", path, "heat", "0", "0-1", "--yes")
    before = statuses(path)
    keep(path)

    assert (0, "2 trials of 'heat' are pending\n", "") == said
    assert ["pending", "pending", "failed"] == before
    assert ["finished", "finished", "failed"] == statuses(path)


def test_reset_of_one_trial_speaks_of_one(ask, path, heat):
    _, out, _ = ask("reset", path, "heat", "1", "--yes")

    assert "1 trial of 'heat' is pending\n" == out


@pytest.mark.parametrize(
    ("index", "code"), [("3", 3), ("0-9", 3), ("5-3", 2), ("2-1", 2), ("x", 2)]
)
def test_a_wrong_index_resets_nothing(index, code, ask, path, heat):
    assert code == ask("reset", path, "heat", index, "--yes")[0]
    assert ["finished", "finished", "failed"] == statuses(path)


# --- standard output


@pytest.mark.parametrize("words", [["status"], ["results", "--csv", "big"]])
def test_a_reader_that_has_seen_enough_is_no_error(words, path):
    """`experimenter-mpi results ... | head`, with little and with much to say."""
    value = {"n": IntegerVariable(1, 100), "text": "x" * 2000}
    keep(path, "big", plain, configuration=value)
    verb, *others = words
    process = subprocess.Popen(
        [sys.executable, *PACKAGE, verb, str(path), *others],
        env=clean_environment() | WITH_PACKAGE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()

    with process:
        said = process.stderr.read()

    assert (0, "") == (process.returncode, said)


def test_a_value_that_the_terminal_cannot_show_is_escaped(path):
    texts = IterableVariable(["Å", "\ud800"])
    keep(path, "texts", lambda c, i: {}, configuration={"text": texts})

    done = subprocess.run(
        [sys.executable, *PACKAGE, "results", str(path), "texts", "--csv"],
        env=clean_environment() | WITH_PACKAGE | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )

    assert ["trial,status,text", "0,finished,\\xc5", "1,finished,\\ud800"] == (
        done.stdout.splitlines()
    )

"""``run``: which experiments and trials are run, where they are kept, how it ends."""

from __future__ import annotations

import io
import subprocess
import sys

import pytest

from experimenter_mpi import open_db
from experimenter_mpi.cli import run_verb
from support.experiments import PACKAGE
from support.fakes import WITH_PACKAGE
from support.libraries import clean_environment

SOURCE = """
from experimenter_mpi import Experiment, IntegerVariable

def trial(configuration, trial_id):
    with open("ran.txt", "a") as file:
        print(configuration["name"], configuration["n"], file=file)
    if configuration["name"] == "heat" and configuration["n"] == 2:
        ERROR
    return {"double": 2 * configuration["n"]}

def made(name):
    n = IntegerVariable(1, 4)
    return Experiment(name, function=trial, configuration={"name": name, "n": n})

wave, heat = made("wave"), made("heat")
"""


class Folder:
    """An exp.py with two experiments; a trial of the second fails."""

    def __init__(self, path, capsys):
        self.path = path
        self._capsys = capsys
        self.fails_with("raise ValueError('too hot')")

    def fails_with(self, statement):
        (self.path / "exp.py").write_text(SOURCE.replace("ERROR", statement))

    def made_by(self, statement):
        source = (self.path / "exp.py").read_text()
        kept = source[: source.index("wave, heat = ")]
        (self.path / "exp.py").write_text(f"{kept}{statement}\n")

    def run(self, *options):
        """Return the exit code and what was said on both streams."""
        self._capsys.readouterr()
        code = run_verb(["run", "exp.py", "--progress", "none", *options])
        return code, *self._capsys.readouterr()

    def ran(self):
        """Return the trials that ran since the last time it was asked."""
        file = self.path / "ran.txt"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def files(self):
        return sorted(file.name for file in self.path.iterdir())


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EXPERIMENTER_DB", raising=False)
    for name in ("path", "argv"):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Folder(tmp_path, capsys)


HEAT = [f"heat {n}" for n in range(1, 5)]
WAVE = [f"wave {n}" for n in range(1, 5)]


def test_all_experiments_of_a_script_run_in_the_order_they_are_written(folder):
    code, out, _ = folder.run()

    assert WAVE + HEAT == folder.ran()
    assert 1 == code
    assert out.startswith("wave: 4 finished, 0 failed in ")
    assert "\nheat: 3 finished, 1 failed in " in out
    assert out.endswith(" status experiments/experiments.db heat\n")


def test_a_second_run_runs_only_what_failed(folder):
    folder.run()
    folder.ran()

    code, out, _ = folder.run()

    assert 1 == code
    assert ["heat 2"] == folder.ran()
    assert "; 4 finished before" in out


def test_failed_trials_are_left_alone_if_it_is_said(folder):
    folder.run()
    folder.ran()

    code, _, _ = folder.run("--no-retry-failed")

    assert (1, []) == (code, folder.ran())


def test_one_experiment_of_a_script_can_be_run(folder):
    code, out, _ = folder.run("--experiment", "wave")

    assert (0, WAVE) == (code, folder.ran())
    assert "heat" not in out


def test_several_experiments_of_a_script_can_be_run(folder):
    code, _, _ = folder.run("--experiment", "heat", "--experiment=wave")

    assert (1, WAVE + HEAT) == (code, folder.ran())


UNKNOWN = {
    "ware": "exp.py defines no experiment 'ware'; did you mean wave?\n",
    "xyz": "exp.py defines no experiment 'xyz'; it defines wave, heat\n",
    "": "exp.py defines no experiment ''; it defines wave, heat\n",
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_experiment_is_one_line_that_names_others(name, folder):
    code, out, err = folder.run("--experiment", "heat", "--experiment", name)

    assert (3, "") == (code, out)
    assert 1 == err.count("\n")
    assert err.endswith(UNKNOWN[name])
    assert ["exp.py"] == folder.files()


@pytest.mark.parametrize(
    "making",
    [
        "for name in ('wave', 'heat'): made(name)",
        "plan = [made('wave'), made('heat')]",
        "plan = {name: made(name) for name in ('wave', 'heat')}",
    ],
)
def test_experiments_in_loops_and_containers_are_run_and_listed(making, folder):
    folder.made_by(making)

    _, listed, _ = folder.run("--dry-run")
    code, _, _ = folder.run()

    assert [["wave", "4", "0", "4"], ["heat", "4", "0", "4"]] == rows(listed)
    assert (1, WAVE + HEAT) == (code, folder.ran())


READING = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("name", nargs="?", default="wave")
made(parser.parse_args().name)
"""


@pytest.mark.parametrize(("words", "name"), [([], "wave"), (["--", "heat"], "heat")])
def test_a_script_reads_its_own_arguments(words, name, folder):
    folder.made_by(READING)

    folder.run("--trial", "0", *words)

    assert [f"{name} 1"] == folder.ran()


ENDINGS = {
    "its --help": (READING, ["--", "--help"], 0),
    "its version": ("import sys; sys.exit()", ["--", "--version"], 0),
    "a mistake in its arguments": (READING, ["--", "--no-such"], 2),
    "a usage error of its own": ("import sys; sys.exit(2)", [], 2),
}


@pytest.mark.parametrize("case", ENDINGS)
def test_a_script_may_end_over_its_arguments(case, folder):
    source, words, code = ENDINGS[case]
    folder.made_by(source)

    ended, _, err = folder.run(*words)

    assert (code, []) == (ended, folder.ran())
    line = f"exp.py ended with exit code {code} while it was loaded; nothing was run\n"
    assert err.endswith(line)


@pytest.mark.parametrize("words", [(), ("--", "--size", "3")])
@pytest.mark.parametrize("ending", ["0", "", "1", "'no'"])
def test_any_other_end_of_a_script_is_a_mistake(ending, words, folder):
    """With exit code 0 a chain of jobs would take its sweep for finished."""
    folder.made_by(f"import sys; sys.exit({ending})")

    code, out, err = folder.run(*words)

    assert (3, "", 1) == (code, out, err.count("\n"))
    assert "the script called sys.exit(" in err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "arguments are required: SCRIPT, or -m MODULE"),
        (("--", "exp.py"), "arguments are required: SCRIPT, or -m MODULE"),
        (("exp.py", "-m", "exp"), "give SCRIPT or -m MODULE, not both"),
        (("exp.py", "--size", "3"), "unrecognized arguments: --size 3"),
    ],
)
def test_what_is_to_be_run_is_said_once(words, expected, folder, capsys):
    assert 2 == run_verb(["run", *words])

    err = capsys.readouterr().err
    assert expected in err and 1 == err.count("\n")


def test_two_experiments_of_one_name_are_refused(folder):
    folder.made_by("for n in range(3): made('wave')")

    code, out, err = folder.run()

    assert (3, "", []) == (code, out, folder.ran())
    expected = "exp.py defines 3 experiments named 'wave'; give each a different name\n"
    assert err.endswith(expected)


def test_experiments_that_only_an_imported_file_makes_are_explained(folder):
    (folder.path / "exp.py").rename(folder.path / "waves_of_heat.py")
    (folder.path / "exp.py").write_text("import waves_of_heat\n")

    code, _, err = folder.run()

    assert (3, 1) == (code, err.count("\n"))
    assert "'wave' belongs to " in err
    assert "waves_of_heat.py: run that file, or import the experiment by" in err


def test_some_trials_can_be_run_and_that_is_all_that_was_asked(folder):
    code, out, _ = folder.run("--experiment", "wave", "--trial", "0,2-3,2")

    assert (0, ["wave 1", "wave 3", "wave 4"]) == (code, folder.ran())
    assert "wave: 3 finished, 0 failed in " in out
    assert "left" not in out


def test_a_finished_trial_is_not_run_again_by_naming_it(folder):
    folder.run("--experiment", "wave")
    folder.ran()

    code, _, _ = folder.run("--experiment", "wave", "--trial", "1")

    assert (0, []) == (code, folder.ran())


@pytest.mark.parametrize("options", [[], ["--dry-run"]])
def test_a_trial_that_is_not_there_is_refused(options, folder):
    code, _, err = folder.run("--trial", "4", *options)

    assert (3, []) == (code, folder.ran())
    assert "experiment 'wave' has trials 0 to 3, not 4\n" in err


def test_overwrite_runs_everything_again_and_keeps_nothing(folder):
    folder.run("--experiment", "wave")
    with open_db("experiments.db", read_only=True) as database:
        before = database.get_experiment_by_name("wave").id
    folder.ran()

    code, _, _ = folder.run("--experiment", "wave", "--overwrite", "--yes")

    with open_db("experiments.db", read_only=True) as database:
        assert before != database.get_experiment_by_name("wave").id
        assert 1 == len(database.get_experiments())
    assert (0, WAVE) == (code, folder.ran())


def test_overwrite_of_finished_trials_wants_a_yes(folder, monkeypatch):
    """Under mpirun and in a job nobody can be asked."""
    folder.run()
    folder.ran()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))

    code, out, err = folder.run("--overwrite")

    assert (3, "", 1, []) == (code, out, err.count("\n"), folder.ran())
    assert (
        "Delete 'wave' (4 of 4 trials finished), 'heat' (3 of 4 trials finished) from "
        "experiments/experiments.db? Cannot ask, as standard input is not a terminal: "
        "use --yes\n"
    ) in err


@pytest.mark.parametrize(("answer", "code"), [("y\n", 0), ("n\n", 3), ("\n", 3)])
def test_overwrite_asks_on_a_terminal(answer, code, folder, monkeypatch):
    folder.run("--experiment", "wave")
    folder.ran()
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)

    ended, _, err = folder.run("--experiment", "wave", "--overwrite")

    assert code == ended
    assert "Delete 'wave' (4 of 4 trials finished)" in err
    assert ([] if code else WAVE) == folder.ran()


def test_overwrite_asks_nothing_where_nothing_was_finished(folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO())
    folder.run("--experiment", "heat", "--trial", "1")  # which fails
    folder.ran()

    code, _, _ = folder.run("--experiment", "heat", "--overwrite")

    assert (1, HEAT) == (code, folder.ran())


def test_a_dry_run_names_what_overwrite_would_delete(folder):
    folder.run("--experiment", "wave")

    _, out, _ = folder.run("--dry-run", "--overwrite")

    assert "--overwrite would delete 'wave' (4 of 4 trials finished)\n" in out


@pytest.mark.parametrize("how", [[], ["--yes"], ["--dry-run"]])
def test_overwriting_all_in_order_to_run_some_is_refused(how, folder):
    """Instead of the results of every trial those of these are to be reset."""
    folder.run()
    folder.ran()

    code, out, err = folder.run("--trial", "0", "--overwrite", *how)

    assert (2, "", 1, []) == (code, out, err.count("\n"), folder.ran())
    assert "reset experiments/experiments.db NAME INDEX'" in err
    with open_db("experiments.db", read_only=True) as database:
        assert 1.0 == database.get_ratio_completed_trials_by_name("wave")


def rows(out):
    """Return the cells of a table, without its header and what stands below it."""
    return [line.split() for line in out.partition("\n\n")[0].splitlines()[1:]]


def test_a_dry_run_writes_nothing_at_all(folder):
    code, out, _ = folder.run("--dry-run")

    assert 0 == code
    assert [["wave", "4", "0", "4"], ["heat", "4", "0", "4"]] == rows(out)
    assert ["exp.py"] == folder.files()
    assert "nothing was run or written; database: experiments/experiments.db" in out


def test_a_dry_run_counts_what_is_stored_and_leaves_it_alone(folder):
    folder.run()
    folder.ran()
    stored = (folder.path / "experiments" / "experiments.db").read_bytes()

    _, out, _ = folder.run("--dry-run")

    assert [["wave", "4", "4", "0"], ["heat", "4", "3", "1"]] == rows(out)
    assert stored == (folder.path / "experiments" / "experiments.db").read_bytes()
    assert [] == folder.ran()


@pytest.mark.parametrize("is_stored", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        ["--trial", "1-2"],
        ["--no-retry-failed"],
        ["--overwrite", "--yes"],
    ],
)
def test_a_dry_run_says_what_the_run_then_runs(options, is_stored, folder):
    if is_stored:
        folder.run()
        folder.ran()
    _, out, _ = folder.run("--dry-run", *options)

    folder.run(*options)

    ran = [line.split()[0] for line in folder.ran()]
    counts = [[name, str(ran.count(name))] for name in ("wave", "heat")]
    assert counts == [[row[0], row[3]] for row in rows(out)]


def test_a_dry_run_finds_another_configuration_too(folder):
    folder.run()
    changed = (folder.path / "exp.py").read_text().replace("(1, 4)", "(1, 5)")
    (folder.path / "exp.py").write_text(changed)

    code, _, err = folder.run("--dry-run")

    assert 3 == code
    assert "wave" in err and 1 == err.count("\n")


def test_a_trials_own_exception_ends_the_run_if_it_is_said(folder):
    with pytest.raises(ValueError, match="too hot"):
        folder.run("--on-error", "raise")

    assert [*WAVE, "heat 1", "heat 2"] == folder.ran()


def test_the_exception_is_shown_with_its_traceback_and_exit_code_1(folder):
    done = subprocess.run(
        [sys.executable, *PACKAGE, "run", "exp.py", "--on-error", "raise"],
        env=clean_environment() | WITH_PACKAGE,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert 1 == done.returncode
    assert "in trial" in done.stderr
    assert done.stderr.endswith("ValueError: too hot\n")


@pytest.mark.parametrize(
    "statement", ["import sys; sys.exit(0)", "raise BrokenPipeError"]
)
def test_no_exception_of_a_trial_is_taken_for_success(statement, folder):
    """Both mean something else where the program itself raises them."""
    folder.fails_with(statement)

    code, _, err = folder.run("--on-error", "raise", "--experiment", "heat")

    assert 1 == code
    assert "in trial" in err
    assert "experimenter_mpi: a trial of 'heat' raised" in err


def test_a_time_limit_of_nothing_runs_nothing_and_asks_to_be_run_again(folder):
    code, out, _ = folder.run("--time-limit", "0")

    assert (75, []) == (code, folder.ran())
    assert "; 4 left; stopped by the time limit" in out
    assert "stopped by the time limit" in out
    assert "heat" not in out


def test_the_environment_names_the_database(folder, monkeypatch):
    monkeypatch.setenv("EXPERIMENTER_DB", str(folder.path / "mine.db"))

    folder.run("--experiment", "wave")

    assert ["exp.py", "mine.db", "ran.txt"] == folder.files()


def test_the_folder_of_a_new_database_is_made(folder):
    code, _, _ = folder.run("--experiment", "wave", "--db", "new/deep/mine.db")

    assert 0 == code
    assert ["mine.db"] == [file.name for file in (folder.path / "new/deep").iterdir()]


def test_trials_work_in_the_given_directory(folder):
    (folder.path / "work").mkdir()

    folder.run("--experiment", "wave", "--directory", "work")

    assert ["ran.txt"] == [file.name for file in (folder.path / "work").iterdir()]
    assert ["exp.py", "experiments", "work"] == folder.files()


def test_a_directory_that_is_not_there_is_one_line_and_no_database(folder):
    code, _, err = folder.run("--directory", "nowhere")

    assert (3, 1) == (code, err.count("\n"))
    assert "nowhere" in err
    assert ["exp.py"] == folder.files()

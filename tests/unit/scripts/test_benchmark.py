"""What ``scripts/benchmark`` says of what it measured, and of what it could not."""

from __future__ import annotations

import sys
import uuid

import pytest
from benchmarks import __main__ as command
from benchmarks import report
from benchmarks.cases import profile
from benchmarks.figures import (
    Requirement,
    Section,
    Series,
    markdown,
    number,
    paired,
    text,
)
from benchmarks.launching import Bench, ProgramError, run
from benchmarks.repeating import Contender, again, rate, rates

from support import processes

PYTHON = [sys.executable, "-c"]
TELLS = "import json; print(json.dumps({'trials': 10, 'seconds': 2}))"


def failing(message="it is broken"):
    def fail():
        raise ProgramError(message)

    return fail


def test_a_program_tells_its_figures_on_its_last_line():
    assert {"trials": 10, "seconds": 2, "exit_code": 0} == run([*PYTHON, TELLS])


def test_a_peer_that_is_not_installed_is_reported_with_its_error():
    with pytest.raises(ProgramError, match="ModuleNotFoundError: .*'no_such_peer'"):
        run([*PYTHON, "import no_such_peer"])


def test_a_program_that_does_not_end_is_ended():
    mark = uuid.uuid4().hex

    with pytest.raises(ProgramError, match=r"did not end in 0\.2 s"):
        run(["sleep", "600"], {processes.MARK: mark}, deadline=0.2)

    assert processes.gone(mark, timeout=10)


def test_figures_of_a_program_that_then_ends_badly_count_and_it_is_said():
    series = Series("peer", "/s")

    again(series, lambda: run([*PYTHON, f"{TELLS}; raise SystemExit(9)"]), rate)

    assert [5.0] == series.values
    assert ["peer: gave its figures, then ended with exit code 9"] == series.notes()


def test_a_program_that_tells_nothing_must_end_well():
    assert {} == run([*PYTHON, ""], tells=False)
    with pytest.raises(ProgramError, match="exit code 3"):
        run([*PYTHON, "raise SystemExit(3)"], tells=False)


def test_contenders_run_in_turn_so_that_each_meets_the_same_noise():
    order = []

    def contender(name):
        def run_it():
            order.append(name)
            return {"trials": 1, "seconds": 1}

        return Contender(name, "", run_it)

    rates([contender("ours"), contender("peer")], 2)

    assert ["ours", "peer", "ours", "peer"] == order


def test_who_failed_once_is_not_tried_again():
    series = Series("peer")
    calls = []

    assert {} == again(series, failing(), rate)
    assert {} == again(series, lambda: calls.append(1), rate)
    assert [] == calls
    assert ["peer: not measured: it is broken"] == series.notes()


def test_a_series_is_told_by_median_and_spread():
    series = Series("ours", "/s")
    series.values = [30_000.0, 1_000.0, 20_000.0]

    assert ["ours", "20,000/s", "1,000 - 30,000"] == series.cells()


def test_a_ratio_is_taken_within_each_round():
    ours, peer = Series("ours"), Series("peer")
    ours.values, peer.values = [1.0, 2.0, 30.0], [2.0, 20.0, 60.0]

    assert 0.5 == paired(ours, peer)
    assert paired(ours, Series("missing")) is None


@pytest.mark.parametrize(
    ("value", "told"),
    [(None, "-"), (0.12345, "0.123"), (4, "4"), (123.4, "123"), (123_456, "123,000")],
)
def test_numbers_have_three_digits(value, told):
    assert told == number(value)


@pytest.mark.parametrize(
    ("bounds", "measured", "reached"),
    [
        ({"at_least": 5}, 4.99, "**no**"),
        ({"at_least": 5}, 5.0, "yes"),
        ({"at_most": 2}, 2.01, "**no**"),
        ({"at_most": 2}, 2.0, "yes"),
        ({"at_most": 2}, None, "not measured"),
    ],
)
def test_what_does_not_reach_its_bound_says_no(bounds, measured, reached):
    assert reached == Requirement("it", measured, **bounds).row()[-1]


def test_a_table_is_aligned():
    lines = markdown(("a", "long"), [("longer", "b")]).splitlines()

    assert ["| a      | long |", "|--------|------|", "| longer | b    |"] == lines


def test_the_page_says_what_failed_and_what_was_not_reached(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "DOCS", tmp_path)
    section = Section("Dispatch", "About it.", ["", "median", "spread"])
    peer = Series("peer", "/s")
    again(peer, failing(), rate)
    section.add(peer)
    section.require("ours / peer", 0.2, at_least=0.5, unit=" x")

    report.write({"Python": "3.11"}, {"dispatch": section})

    page = (tmp_path / "performance.md").read_text()
    assert text(section) in page
    assert "| Python" in page
    assert "- peer: not measured: it is broken" in page
    assert "**no**" in page


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dispach"], "no case 'dispach'; there are dispatch, profile"),
        (["dispatch", "--write"], "--write is for all cases"),
        (["--quick", "--write"], "not for --quick"),
        (["--json", "no such folder/figures.json"], "no folder for no such"),
        (["--ranks", "2"], "two must work"),
    ],
)
def test_a_mistake_in_the_command_is_told_at_once(arguments, said, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)

    assert 2 == stopped.value.code
    assert said in capsys.readouterr().err


def test_quick_runs_few_trials():
    assert 20 == Bench(quick=True).count(1_500)
    assert 1_500 == Bench().count(1_500)


SAMPLES = """\
<module> (sweep.py:1);main (sweep.py:5);execute (a/runner.py:24);wait (a/mail.py:3) 90
<module> (sweep.py:1);timed (sweep.py:69);execute (a/runner.py:24);put (a/sql.py:1) 6
<module> (sweep.py:1);timed (sweep.py:69);execute (a/runner.py:24);put (a/sql.py:9) 3
<module> (sweep.py:1);timed (sweep.py:69);execute (a/b.py:4);f.<lambda> (<string>) 1
<module> (sweep.py:1);timed (sweep.py:69);enrol (a/database.py:7) 50
"""


def test_a_profile_is_of_what_was_timed_and_by_function(monkeypatch):
    parts = profile.parts_of(SAMPLES)

    assert {("put", "a/sql.py"): 9, ("f.<lambda>", "<string>"): 1} == parts
    monkeypatch.setattr(profile, "SHOWN", 1)
    assert [
        ["rank 0", "90%", "`put`", "a/sql.py"],
        ["rank 0", "10%", "all others", ""],
    ] == list(profile.rows("rank 0", parts))


def test_a_machine_that_allows_no_profile_is_said_to(monkeypatch):
    monkeypatch.setattr(profile.shutil, "which", lambda *_, **__: None)

    assert ["not measured: there is no py-spy"] == profile.measure(Bench()).notes

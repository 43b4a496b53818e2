"""Support vector machines read real digits, from a store loaded once."""

import pytest

from experimenter_mpi import (
    IterableVariable,
    SerialMode,
    execute,
    get_trials_by_name,
    open_db,
)

pytest.importorskip("sklearn", reason="the digits example needs scikit-learn")


@pytest.fixture
def digits(load):
    return load("digits/exp.py")


def test_a_narrow_kernel_learns_by_heart_and_a_good_one_reads(
    digits, resized, tmp_path
):
    gammas = IterableVariable([0.001, 1.0])
    small = resized(
        digits.experiment, C=10.0, gamma=gammas, fold=IterableVariable([0, 1])
    )
    db = open_db("digits.db", tmp_path)

    execute(small, db, SerialMode())

    results = [trial.results for trial in get_trials_by_name(db, "digits")]
    good, narrow = results[:2], results[2:]
    assert all(result["accuracy"] > 0.97 for result in good)
    assert all(result["accuracy"] < 0.2 for result in narrow)
    assert all(result["fit_seconds"] > 0 for result in results)


def test_the_data_are_loaded_once_for_all_trials(
    digits, resized, tmp_path, monkeypatch
):
    loads = []
    original = digits.load_digits
    monkeypatch.setattr(
        digits, "load_digits", lambda **kw: loads.append(1) or original(**kw)
    )
    small = resized(digits.experiment, C=1.0, gamma=0.001)

    execute(small, open_db("digits.db", tmp_path), SerialMode())

    assert len(small) == 5
    assert loads == [1]


def test_every_digit_is_tested_exactly_once(digits):
    store = digits.load_folds({"folds": 5})

    tested = sorted(i for _, test in store["folds"] for i in test.tolist())
    assert tested == list(range(len(store["labels"])))
    assert len(store["labels"]) == 1797

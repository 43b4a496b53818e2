"""``to_xarray``: results on the grid of their parameters, arrays read late."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from experimenter_mpi import (
    ConfigurationError,
    Experiment,
    IterableVariable,
    LinearVariable,
    MatchIterableVariable,
    RepeatVariable,
    SerialMode,
    execute,
    open_db,
    to_xarray,
)
from experimenter_mpi.database.stored_array import StoredArray


@pytest.fixture
def db():
    with open_db("x", in_memory=True) as database:
        yield database


def ising(c, trial_id):
    if (c["T"], c["h"]) == (2.0, 1):
        raise ValueError("too hot")
    spins = np.full((2, 3), c["T"]) + np.arange(3) + 100 * c["h"]
    return {
        "m": c["T"] * c["h"],
        "n": c["h"],
        "ok": c["h"] > 1,
        "phase": "up" if c["T"] < 2 else "down",
        "spins": spins,
    }


GRID = {
    "T": LinearVariable(1, 3, 3),
    "h": IterableVariable([1, 2]),
    "solver": {"dt": 0.1},
    "lattice": "square",
}


def run(db, function=ising, **configuration):
    made = Experiment("e", function=function, configuration=configuration or GRID)
    execute(made, db, SerialMode())


def test_parameters_span_the_grid(db):
    run(db)
    made = to_xarray(db, "e")

    assert {"T": 3, "h": 2, "spins_0": 2, "spins_1": 3} == dict(made.sizes)
    assert [1.0, 2.0, 3.0] == made["T"].values.tolist()
    assert 6.0 == made["m"].sel(T=3, h=2) and np.isnan(made["m"].sel(T=2, h=1))
    assert {"experiment": "e", "solver.dt": 0.1, "lattice": "square"} == made.attrs
    assert "failed" == made["status"].sel(T=2, h=1)


def test_what_is_missing_is_nan_whatever_its_type(db):
    run(db)
    made = to_xarray(db, "e")

    assert [np.float64, np.float64] == [made["n"].dtype, made["ok"].dtype]
    assert [1.0, 1.0] == made["ok"].sel(h=2).values.tolist()[:2]
    assert np.isnan(made["ok"].sel(T=2, h=1))
    assert "up" == made["phase"].sel(T=1, h=1)


def test_types_are_kept_where_nothing_is_missing(db):
    run(db, lambda c, _: {"n": c["T"] * 2, "ok": True}, T=IterableVariable([1, 2]))
    made = to_xarray(db, "e")

    assert [np.int64, bool] == [made["n"].dtype, made["ok"].dtype]


def test_repetitions_are_a_dimension(db):
    run(
        db,
        lambda c, i: {"id": str(i)},
        n=IterableVariable([1, 2]),
        r=RepeatVariable(0, 3),
    )
    made = to_xarray(db, "e")

    assert {"n": 2, "repetition": 3} == dict(made.sizes)
    assert 6 == len(set(made["id"].values.flat))


def test_what_follows_from_a_dimension_is_a_coordinate_along_it(db):
    run(
        db,
        lambda c, _: {"y": c["a"]},
        a=IterableVariable([1, 2]),
        tenfold=MatchIterableVariable([10, 20]),
    )
    made = to_xarray(db, "e")

    assert {"a": 2} == dict(made.sizes)
    assert ("a",) == made["tenfold"].dims and [10, 20] == made[
        "tenfold"
    ].values.tolist()


def test_what_follows_from_all_dimensions_is_a_coordinate_of_all(db):
    run(
        db,
        lambda c, _: {"y": c["seed"]},
        a=IterableVariable([1, 2]),
        b=IterableVariable([1, 2]),
        seed=MatchIterableVariable([5, 6, 7, 8]),
    )
    made = to_xarray(db, "e")

    assert [[5, 6], [7, 8]] == made["y"].values.tolist()
    assert [[5, 6], [7, 8]] == made["seed"].values.tolist()


def test_points_that_form_no_grid_have_one_dimension(db):
    run(
        db,
        lambda c, _: {"y": c["a"] + c["b"]},
        a=MatchIterableVariable([1, 2, 2]),
        b=MatchIterableVariable([1, 1, 2]),
    )
    made = to_xarray(db, "e")

    assert {"trial": 3} == dict(made.sizes)
    assert [1, 2, 2] == made["a"].values.tolist() and ("trial",) == made["a"].dims
    assert [2, 3, 4] == made["y"].values.tolist()


def test_a_single_trial_has_no_dimensions(db):
    run(db, lambda c, _: {"y": 7}, a=1)
    made = to_xarray(db, "e")

    assert {} == dict(made.sizes) and 7 == made["y"] and 1 == made.attrs["a"]


def test_arrays_have_the_dimensions_that_are_named(db):
    run(db)
    made = to_xarray(db, "e", dims={"spins": ("x", "y")})

    assert ("T", "h", "x", "y") == made["spins"].dims
    assert [101.0, 102.0, 103.0] == made["spins"].sel(T=1, h=1)[0].values.tolist()
    assert np.isnan(made["spins"].sel(T=2, h=1)).all()


def test_arrays_are_read_when_they_are_looked_at(db, monkeypatch):
    run(db)
    read = StoredArray.read
    seen = []

    def counting(array):
        seen.append(array.id)
        return read(array)

    monkeypatch.setattr(StoredArray, "read", counting)
    made = to_xarray(db, "e", dims={"spins": ("x", "y")})
    assert [] == seen

    line = made["spins"].isel(h=1, x=0).values
    assert 3 == len(seen)
    assert [[201.0, 202.0, 203.0], [202.0, 203.0, 204.0], [203.0, 204.0, 205.0]] == (
        line.tolist()
    )


@pytest.mark.parametrize(
    "key",
    [
        {},
        {"T": 1},
        {"T": slice(1, None), "h": [1, 0], "x": 0},
        {"T": [2, 0], "y": slice(None, None, -1)},
        {"T": slice(0, 0)},
        {"T": -1, "h": -1, "x": -1, "y": -1},
    ],
    ids=str,
)
def test_a_part_of_an_array_is_that_part_of_the_whole(db, key):
    run(db)
    dims = {"spins": ("x", "y")}
    whole = to_xarray(db, "e", dims=dims)["spins"].load()

    part = to_xarray(db, "e", dims=dims)["spins"].isel(key)

    xr.testing.assert_equal(whole.isel(key), part)


def test_arrays_of_several_shapes_stay_as_they_are(db):
    run(db, lambda c, _: {"a": np.zeros(c["n"])}, n=IterableVariable([1, 2]))
    made = to_xarray(db, "e")

    assert ("n",) == made["a"].dims
    assert [(1,), (2,)] == [array.shape for array in made["a"].values]


def test_names_of_dimensions_must_fit(db):
    run(db)
    with pytest.raises(ConfigurationError, match=r"'spins' has the shape \(2, 3\)"):
        to_xarray(db, "e", dims={"spins": ("x",)})
    with pytest.raises(ConfigurationError, match="'m' is not an array"):
        to_xarray(db, "e", dims={"m": ("x",)})


def test_it_can_be_written_to_netcdf_and_read_again(db, tmp_path):
    pytest.importorskip("scipy.io")
    run(db)
    made = db.to_xarray("e")[["m", "n"]].drop_attrs()
    made.to_netcdf(tmp_path / "x.nc", engine="scipy")

    with xr.open_dataset(tmp_path / "x.nc", engine="scipy") as again:
        xr.testing.assert_equal(made, again.load())


def test_constants_that_are_no_plain_values_are_texts(db):
    run(db, lambda c, _: {"y": 1}, a=IterableVariable([1, 2]), none=None, pair=(1, 2))

    assert {"none": "None", "pair": "(1, 2)", "experiment": "e"} == to_xarray(
        db, "e"
    ).attrs


def test_dates_are_missing_where_a_trial_has_failed(db):
    def trial(c, trial_id):
        if c["n"] == 2:
            raise ValueError
        return {"days": np.array(["2026-01-02"], dtype="M8[D]")}

    run(db, trial, n=IterableVariable([1, 2]))
    made = to_xarray(db, "e")["days"].load()

    assert np.datetime64("2026-01-02") == made.values[0, 0]
    assert np.isnan(made.values[1, 0])

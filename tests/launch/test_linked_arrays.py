"""Arrays on another disk, by a link: in every mode, or refused at the start."""

from __future__ import annotations

import numpy as np
import pytest

from experimenter_mpi import open_db
from support.ways import WAYS

# Large arrays as results and in snapshots, written by whoever runs the trial.
LARGE = """
import numpy
from experimenter_mpi import (
    Experiment, IterableVariable, get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database,
)
from experimenter_mpi.trial import remote_arrays

remote_arrays.RemoteArrays = None  # the folder is seen from here

def trial(configuration, trial_id):
    with open("ran.txt", "a") as file:
        file.write("x")
    field = numpy.arange(200_000) + configuration["n"]
    save_snapshot_in_global_database(trial_id, {"field": field})
    found = get_latest_snapshot_from_global_database(trial_id).state["field"]
    return {"sum": int((found == field).sum()), "field": field}

experiment = Experiment(
    "large", function=trial, configuration={"n": IterableVariable(range(4))}
)
"""


@pytest.fixture
def scratch(folder):
    """Another disk, where the arrays are to be."""
    scratch = folder.path / "scratch" / "arrays"
    scratch.mkdir(parents=True)
    folder.database.parent.mkdir()
    folder.database.with_name("experiments.db.arrays").symlink_to(scratch)
    return scratch


@pytest.mark.launches
@pytest.mark.parametrize(
    ("way", "library", "options"),
    [
        *((way, "mpich", ()) for way in WAYS),
        ("coordinated", "openmpi", ()),
        *((way, "mpich", ("--isolate",)) for way in ("serial", "coordinated")),
    ],
)
def test_large_arrays_go_where_the_link_leads(
    way, library, options, launches, folder, scratch
):
    folder.write(LARGE)
    (scratch / "ab").mkdir()
    leftover = scratch / "ab" / f"{'ab' * 16}.h5.part"
    leftover.write_text("half")

    run = WAYS[way].start_run(launches, *options, library=library)
    run.wait(90).expect(0)

    assert not leftover.exists()
    assert 8 == len([path for path in scratch.rglob("*.h5") if path.is_file()])
    assert folder.database.with_name("experiments.db.arrays").is_symlink()
    with open_db(folder.database, read_only=True) as database:
        for n, trial in enumerate(database.get_trials_by_name("large")):
            assert 200_000 == trial.results["sum"]
            assert (np.arange(200_000) + n == trial.results["field"]).all()


@pytest.mark.launches
@pytest.mark.parametrize(
    ("way", "library"),
    [("serial", "mpich"), ("coordinated", "mpich"), ("coordinated", "openmpi")],
)
def test_a_link_that_leads_nowhere_is_refused_before_the_first_trial(
    way, library, launches, folder, scratch
):
    """Every trial would be computed, and fail."""
    folder.write(LARGE)
    scratch.rmdir()

    refused = WAYS[way].start_run(launches, library=library).wait(60).expect(3)

    assert f"is a link to {scratch}, where there is no folder" in refused.stderr
    assert f"mkdir -p {scratch}" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (folder.path / "ran.txt").exists()
    scratch.mkdir()
    WAYS[way].start_run(launches, library=library).wait(60).expect(0)


@pytest.mark.launches
@pytest.mark.parametrize("name", ["experiments.db", "second.db"])
def test_the_folder_of_a_database_that_is_away_is_refused(
    name, launches, folder, scratch
):
    """Its arrays would be deleted as leftovers."""
    folder.write(LARGE)
    serial = WAYS["serial"]
    serial.start_run(launches, library="mpich").wait(60).expect(0)
    files = set(scratch.rglob("*.h5"))
    folder.database.rename(folder.path / "away.db")
    other = folder.database.with_name(name)
    if name == "second.db":
        other.with_name("second.db.arrays").symlink_to(scratch)

    for _ in range(2):
        run = serial.start_run(launches, "--db", other, library="mpich")
        refused = run.wait(60).expect(3)

    (claim,) = scratch.glob("*.database")
    assert refused.stderr.rstrip().endswith(f"run: rm {claim}")
    assert len(files) == 8
    assert files == set(scratch.rglob("*.h5"))

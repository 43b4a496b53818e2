"""Snapshots in every mode: how many stay, and that those of other code are told of."""

from __future__ import annotations

import pytest

from support.experiments import PACKAGE
from support.ways import WAYS

SAVING = """
import numpy
from experimenter_mpi import (
    Experiment, IterableVariable, get_latest_snapshot_from_global_database,
    save_snapshot_in_global_database,
)

def grow(configuration, trial_id):
    snapshot = get_latest_snapshot_from_global_database(trial_id)
    total = snapshot.state["total"] if snapshot else 0
    for step in range(5):
        total += STEP
        state = {"total": total, "small": numpy.full(9, total)}
        state["large"] = numpy.full(200_000, float(total))
        save_snapshot_in_global_database(trial_id, state)
    ENDING
    return {"total": total}

experiment = Experiment(
    "growth", function=grow, configuration={"n": IterableVariable(range(3))}
)
"""
COUNTS = "SELECT trial_index, count(*) FROM snapshots JOIN trials ON "
COUNTS += "trial_id = trials.id GROUP BY 1 ORDER BY 1"


def write(folder, step=1, ending=""):
    folder.write(SAVING.replace("STEP", str(step)).replace("ENDING", ending))


def totals(folder):
    rows = folder.query("SELECT results ->> '$.total' FROM trials ORDER BY trial_index")
    return [total for (total,) in rows]


@pytest.mark.launches
@pytest.mark.parametrize(
    ("name", "library", "options"),
    [
        *((name, "mpich", ()) for name in WAYS),
        ("coordinated", "openmpi", ()),
        ("coordinated", "mpich", ("--isolate",)),
    ],
)
def test_a_run_keeps_the_newest_snapshots(name, library, options, launches, folder):
    write(folder)

    done = WAYS[name].start_run(
        launches,
        *("--keep-snapshots", "2", *options),
        library=library,
        cwd=folder.path,
    )

    done.wait(90).expect(0)
    assert [(0, 2), (1, 2), (2, 2)] == folder.query(COUNTS)
    assert [(12,)] == folder.query("SELECT count(*) FROM arrays")
    assert 6 == len(list(folder.path.glob("experiments/*.arrays/*/*.h5")))


@pytest.mark.launches
@pytest.mark.parametrize("name", ["serial", "coordinated"])
def test_going_on_from_a_snapshot_of_other_code_is_said_once(name, launches, folder):
    def run():
        running = WAYS[name].start_run(launches, library="mpich", cwd=folder.path)
        return running.wait(90)

    write(folder, 1, "raise ValueError('wrong')")
    first = run().expect(1)
    write(folder, 100)
    second = run().expect(0)

    said = "1 snapshot was made with another version of exp.py, and trial "
    assert (0, 1) == (first.stderr.count(said), second.stderr.count(said))
    assert "start from scratch: python -m experimenter_mpi reset " in second.stderr
    assert [505] * 3 == totals(folder)


@pytest.mark.launches
def test_after_a_reset_nothing_of_the_old_code_is_left(serial, folder):
    run = (*PACKAGE, "run", "exp.py")
    write(folder)
    serial(*run).expect(0)
    write(folder, 100)
    serial(*PACKAGE, "reset", folder.database, "growth", "--all", "--yes").expect(0)

    done = serial(*run).expect(0)

    assert [500] * 3 == totals(folder)
    assert "another version" not in done.stderr


@pytest.mark.launches
def test_the_recipe_of_show_starts_a_finished_trial_from_scratch(serial, folder):
    write(folder)
    serial(*PACKAGE, "run", "exp.py").expect(0)
    write(folder, 100)
    shown = serial(*PACKAGE, "show", folder.database, "growth:1").expect(0).stdout

    recipe = shown.splitlines()[-1].split("-m experimenter_mpi ")[1:]
    for command in recipe:
        serial(*PACKAGE, *command.removesuffix(" && python ").split()).expect(0)

    assert [5, 500, 5] == totals(folder)


@pytest.mark.launches
def test_show_offers_to_go_on_and_to_start_from_scratch(serial, folder):
    write(folder, 1, "raise ValueError('wrong')")
    serial(*PACKAGE, "run", "exp.py").expect(1)
    shown = serial(*PACKAGE, "show", folder.database, "growth:1").expect(0).stdout

    on, anew = shown.splitlines()[-5:-3], shown.splitlines()[-2:]
    assert "run only this trial again, from its latest snapshot:" == on[0]
    assert "or from scratch:" == anew[0]
    assert anew[1].endswith(f"--yes && {on[1].strip()}")

"""What the job that merges an array does, played with commands that note it."""

from __future__ import annotations

import pytest

from experimenter_mpi.cluster.job import Job
from experimenter_mpi.cluster.render import render_merge
from support.stage import Stage


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def test_a_task_that_left_an_empty_file_does_not_keep_others_from_the_merge(stage):
    parts = stage.folder / "x.db.parts"
    parts.mkdir()
    (parts / "1.db").write_text("something")
    (parts / "2.db").touch()
    python = str(stage.folder / "bin" / "python")
    job = Job(scheduler="slurm", array=2, database="x.db", python=python)

    code, said = stage.run(text=render_merge(job))

    assert 0 == code
    assert "x.db.parts/2.db is empty" in said and "left over" not in said
    merged = "python -m experimenter_mpi merge x.db x.db.parts/1.db"
    assert merged == stage.asked("python")[0]


def test_a_merge_says_which_parts_no_task_of_the_array_has_and_that_work_is_left(stage):
    parts = stage.folder / "x.db.parts"
    parts.mkdir()
    for name in ("1", "2", "3", "10", "mine"):
        (parts / f"{name}.db").write_text("something")
    (stage.folder / "pending").touch()
    python = str(stage.folder / "bin" / "python")
    job = Job(scheduler="slurm", array=2, database="x.db", python=python)

    code, said = stage.run(text=render_merge(job))

    assert 75 == code
    left = "merged, too: x.db.parts/10.db x.db.parts/3.db x.db.parts/mine.db"
    assert left in said
    assert "trials are pending; submit the array again, then this" in said
    (merged,) = [line for line in stage.asked("python") if " merge " in line]
    assert 5 == merged.count(".parts/")


def test_a_merge_that_fails_ends_with_its_exit_code(stage):
    (stage.folder / "x.db.parts").mkdir()
    (stage.folder / "x.db.parts" / "1.db").write_text("something")
    stage.say("python", "exit 3")
    python = str(stage.folder / "bin" / "python")
    job = Job(scheduler="slurm", array=2, database="x.db", python=python)

    assert 3 == stage.run(text=render_merge(job))[0]

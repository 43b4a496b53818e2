"""A job array on a cluster: each task under mpirun, with a database of its own."""

from __future__ import annotations

import sqlite3

from support.experiments import EVERYTHING, PACKAGE, STABLE


def rows(path):
    connection = sqlite3.connect(path)
    query = f"SELECT id, {STABLE} FROM trials ORDER BY trial_index"
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def task(index):
    """The environment of one task of sbatch --array=0-1."""
    return {
        "SLURM_ARRAY_TASK_ID": str(index),
        "SLURM_ARRAY_TASK_MIN": "0",
        "SLURM_ARRAY_TASK_MAX": "1",
        "SLURM_ARRAY_TASK_STEP": "1",
        "SLURM_ARRAY_TASK_COUNT": "2",
    }


def test_tasks_under_mpirun_merge_to_what_one_run_makes(mpirun, serial, folder):
    """Results, failures, snapshots and array files of both."""
    script = folder.write(EVERYTHING)
    for index, code in ((0, 0), (1, 1)):
        options = ("--db", f"share-{index}.db", "--share", "auto")
        done = mpirun(3, *PACKAGE, "run", script, *options, env=task(index))
        assert f"everything, share {index + 1}/2: " in done.expect(code).stdout
    merge = (*PACKAGE, "merge", "all.db", "share-0.db", "share-1.db")
    serial(*merge).expect(0)
    before = rows(folder.path / "all.db")
    serial(*merge).expect(0)

    assert before == rows(folder.path / "all.db")
    serial(*PACKAGE, "run", script, "--db", "all.db").expect(1)
    serial(*PACKAGE, "run", script, "--share", "1/1", "--db", "whole.db").expect(1)
    one_run = [row[:4] for row in rows(folder.path / "whole.db")]
    # But for the attempts: the failed trial was tried once more just now.
    assert one_run == [row[:4] for row in rows(folder.path / "all.db")]

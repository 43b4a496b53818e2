"""Killed at any moment, a job loses nothing that anyone has seen.

A few rounds of what ``scripts/torture`` does by the hundred: SIGKILL to launcher and
ranks, with snapshots and arrays on their way, while a reader looks on.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from contextlib import closing

import pytest

from support import swept
from support.launch import Launches
from support.moments import DATABASE
from support.torture import RUN, SERIAL, Torture, ask, summary
from support.witness import Witness, unreferenced


@pytest.mark.parametrize(("how", "rounds"), [(SERIAL, 2), ("mpich", 2), ("openmpi", 1)])
def test_nothing_is_lost_when_a_whole_job_is_killed(how, rounds, launches, tmp_path):
    chosen = os.environ.get("EXPERIMENTER_TORTURE_SEED")
    seed = int(chosen) if chosen else random.SystemRandom().randrange(2**32)
    print(f"EXPERIMENTER_TORTURE_SEED={seed}")
    torture = Torture(tmp_path, launches, seed, most_kills=2)

    done = [torture.round(how, number) for number in range(rounds)]

    print(summary(done))
    assert [] == [wrong for each in done for wrong in each.wrong]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A folder with the database of a sweep that ran to its end."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "exp.py").write_text(swept.SCRIPT)
    ask(folder, swept.STUDY)
    with Launches(folder) as launches:
        launches.serial(*RUN).expect(0)
    return folder


@pytest.fixture
def finished(undisturbed, tmp_path):
    """A copy of that database, to be damaged."""
    shutil.copytree(undisturbed, tmp_path / "copy")
    return tmp_path / "copy" / DATABASE


def change(database, sql):
    with closing(sqlite3.connect(database)) as plain:
        plain.execute(sql)
        plain.commit()


def test_the_witness_finds_nothing_wrong_with_a_sound_database(finished):
    witness = Witness(finished)
    for _ in range(2):
        witness.look()

    assert [] == witness.wrong
    assert 2 == witness.looks
    assert set() == unreferenced(finished, finished.with_name(f"{DATABASE}.arrays"))


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM snapshots WHERE sequence = 3", "is gone"),
        ("UPDATE trial_records SET results = '{}' WHERE key % 1024 = 0", "has changed"),
        ("UPDATE trial_records SET status = 0 WHERE key % 1024 = 5", "is gone"),
        ("DELETE FROM trial_records WHERE key % 1024 = 5", "is gone"),
        ("DELETE FROM arrays", "refers to an array that is not in the table"),
        ("UPDATE arrays SET file = 'no.h5', data = NULL", "no.h5, which is not there"),
    ],
)
def test_the_witness_sees_what_is_lost(damage, found, finished):
    witness = Witness(finished)
    witness.look()
    change(finished, damage)
    witness.look()

    assert any(found in line for line in witness.wrong), witness.wrong


def test_the_witness_sees_a_partial_array_file(finished):
    witness = Witness(finished)
    witness.look()
    file = next(finished.with_name(f"{DATABASE}.arrays").rglob("*.h5"))
    os.truncate(file, file.stat().st_size // 2)
    witness.look()

    assert any("cannot be read" in line for line in witness.wrong), witness.wrong

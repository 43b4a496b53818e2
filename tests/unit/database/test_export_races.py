"""Exports that find their place taken, or lose it, at the last moment."""

from __future__ import annotations

import os

import numpy as np
import pytest

from experimenter_mpi import DatabaseWriteError
from experimenter_mpi.database import transfer
from unit.database.making import heat


def test_a_file_that_appears_while_exporting_is_kept(db, stored, tmp_path, monkeypatch):
    out = tmp_path / "out.db"
    rename = transfer._rename

    def appeared(unfinished, outfile):
        out.write_text("somebody else's")
        rename(unfinished, outfile)

    monkeypatch.setattr(transfer, "_rename", appeared)
    with pytest.raises(DatabaseWriteError, match=r"cannot create .*out\.db"):
        db.export_db(out)

    assert "somebody else's" == out.read_text()


def test_an_export_that_fails_at_its_end_can_be_repeated(
    db, stored, tmp_path, monkeypatch
):
    db.save_snapshot(stored.trial_ids[0], {"spins": np.zeros(400_000)})
    out = tmp_path / "out.db"
    rename = os.rename

    def full(source, target):
        if str(target) == str(out):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(DatabaseWriteError, match="No space left"):
        db.export_db(out)
    monkeypatch.undo()

    with db.export_db(out) as copy:
        assert [heat().name] == [each.name for each in copy.get_experiments()]

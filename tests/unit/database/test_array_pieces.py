"""Array files that arrive in pieces, and small arrays so many that they are a file."""

from __future__ import annotations

import errno
import os

import numpy as np
import pytest

from experimenter_mpi import CorruptDocumentError, DatabaseWriteError
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding import codec
from experimenter_mpi.encoding.array_files import ArrayFiles
from experimenter_mpi.encoding.codec import decode, encode

FIELD = np.arange(200_000.0)


@pytest.fixture
def files(tmp_path):
    return ArrayFiles(str(tmp_path / "heat.db.arrays"))


def files_below(folder):
    return sorted(
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder)
        for name in names
    )


def test_a_file_from_afar_appears_with_its_last_piece(files, tmp_path):
    far = ArrayFiles(str(tmp_path / "far"))
    written = far.write(encode({"field": FIELD}))
    file = written.arrays[0].file
    whole = (tmp_path / "far" / file).read_bytes()
    for offset in range(0, len(whole), 500_000):
        with pytest.raises(CorruptDocumentError, match="missing"):
            files.read(written.arrays[0])
        piece = whole[offset : offset + 500_000]
        files.add_piece(file, offset, piece, is_last=offset + 500_000 >= len(whole))

    assert np.array_equal(files.read(written.arrays[0]), FIELD)
    assert [file] == files_below(files.folder)
    assert whole[10:30] == files.piece(file, 10, 20)
    assert b"" == files.piece(file, len(whole), 20)


@pytest.mark.parametrize("file", ["../x.h5", "/etc/passwd", "ab/../../x"])
def test_pieces_stay_in_the_folder(files, file, tmp_path):
    with pytest.raises(CorruptDocumentError, match="outside"):
        files.add_piece(file, 0, b"x", is_last=True)
    with pytest.raises(CorruptDocumentError, match="outside"):
        files.piece(file, 0, 1)

    assert [] == os.listdir(tmp_path)


def test_a_piece_that_cannot_be_written_leaves_nothing_of_its_file(files, monkeypatch):
    files.add_piece("ab/c.h5", 0, b"first", is_last=False)

    def full(handle):
        raise OSError(errno.ENOSPC, "as the system says it")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DatabaseWriteError, match="No space left on device; free some"):
        files.add_piece("ab/c.h5", 5, b"last", is_last=True)
    assert [] == files_below(files.folder)


def test_a_piece_that_is_not_there_is_missed(files):
    with pytest.raises(CorruptDocumentError, match="is missing"):
        files.piece("ab/c.h5", 0, 10)


def test_many_small_arrays_are_one_file(files, monkeypatch):
    """Each of them may be a row, all of them would be a message without bounds."""
    monkeypatch.setattr(codec, "INLINE_BYTES_TOGETHER", 3 * 1024 * 1024)
    value = {"parts": [np.full(100_000, n, "f8") for n in range(4)]}
    few, many = encode({"parts": value["parts"][:3]}), encode(value)

    assert files.write(few) is few
    written = files.write(many)
    assert 1 == len(files_below(files.folder))
    records = {record.id: record for record in written.arrays}
    again = decode(written.document, lambda array_id: files.read(records[array_id]))
    assert np.array_equal(value["parts"], again["parts"])


def test_equal_small_arrays_may_be_a_row_here_and_in_a_file_there(
    db, stored, monkeypatch
):
    small = np.arange(100_000.0)
    db.complete_trial(stored.trial_ids[0], {"x": small})
    monkeypatch.setattr(codec, "INLINE_BYTES_TOGETHER", 1024 * 1024)
    db.complete_trial(stored.trial_ids[1], {"x": small, "y": small + 1})
    db.complete_trial(stored.trial_ids[2], {"y": small + 1})
    db.mark_trial_as_incomplete(stored.trial_ids[1])
    db.mark_trial_as_incomplete(stored.trial_ids[0])

    assert np.array_equal(db.get_trial(stored.trial_ids[2]).results["y"], small + 1)
    assert 1 == len(files_below(session_of(db).storage.arrays_folder))

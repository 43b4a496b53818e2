"""Where large arrays go: a file, a file in pieces through rank 0, or nowhere."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from experimenter_mpi import CorruptDocumentError, DatabaseWriteError, EncodingError
from experimenter_mpi.encoding.array_files import ArrayFiles
from experimenter_mpi.encoding.codec import decode, encode
from experimenter_mpi.trial import arrays as shared_arrays
from experimenter_mpi.trial import remote_arrays
from experimenter_mpi.trial.arrays import SharedArrays

FIELD = np.arange(200_000.0)
VALUE = {"field": FIELD, "other": FIELD + 1, "few": FIELD[:9]}


class FileTransfer:
    """Rank 0 with its folder, as a worker reaches it."""

    def __init__(self, folder):
        self.files = ArrayFiles(folder)
        self.sizes = []

    def add_piece(self, file, offset, data, *, is_last):
        self.sizes.append(len(data))
        self.files.add_piece(file, offset, data, is_last=is_last)

    def piece(self, file, offset, size):
        return self.files.piece(file, offset, size)


@pytest.fixture
def folder(tmp_path):
    """The array folder of a database whose lock is held by ``me``."""
    (tmp_path / "heat.db.lock").write_text(json.dumps({"token": "me"}))
    return str(tmp_path / "heat.db.arrays")


@pytest.fixture
def transfer(folder):
    return FileTransfer(folder)


@pytest.fixture
def far(folder, transfer, tmp_path, monkeypatch):
    """The arrays of a rank that sees another folder of that name."""
    monkeypatch.setattr(remote_arrays, "PIECE_BYTES", 300_000)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "far"))
    (tmp_path / "far").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    return SharedArrays(folder, "somebody else", transfer)


def files_below(folder):
    return sorted(path for path in Path(folder).rglob("*") if path.is_file())


def again(arrays, encoded):
    records = {record.id: record for record in encoded.arrays}
    return decode(encoded.document, lambda each: arrays.read(records[each]))


def test_a_rank_that_sees_the_folder_writes_by_itself(folder, transfer):
    written = SharedArrays(folder, "me", transfer).write(encode(VALUE))

    assert [] == transfer.sizes
    assert 1 == len(files_below(folder))
    assert np.array_equal(FIELD, again(SharedArrays(folder), written)["field"])


def test_a_rank_that_does_not_sends_the_file_in_pieces(far, transfer, folder, tmp_path):
    written = far.write(encode(VALUE))

    assert [None, None, 72] == [r.data and len(r.data) for r in written.arrays]
    assert 10 < len(transfer.sizes)
    assert 300_000 == max(transfer.sizes)
    assert 1 == len(files_below(folder))
    assert [] == files_below(tmp_path / "far"), "the rank keeps no copy"
    assert np.array_equal(FIELD, again(SharedArrays(folder), written)["field"])


def test_such_a_rank_reads_in_pieces_and_keeps_one_file(far, tmp_path):
    first, second = far.write(encode(VALUE)), far.write(encode({"x": FIELD + 2}))
    for _ in range(2):
        assert np.array_equal(FIELD + 1, again(far, first)["other"])
        assert np.array_equal(FIELD + 2, again(far, second)["x"])

    assert 1 == len(files_below(tmp_path / "far"))


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_file_of_just_so_many_pieces_arrives_whole(far, folder, pieces, monkeypatch):
    written = SharedArrays(folder).write(encode(VALUE))
    (file,) = files_below(folder)
    monkeypatch.setattr(remote_arrays, "PIECE_BYTES", file.stat().st_size // pieces)

    assert np.array_equal(FIELD, again(far, written)["field"])


def test_a_file_that_is_not_there_is_missed(far, folder):
    written = far.write(encode(VALUE))
    os.unlink(files_below(folder)[0])
    with pytest.raises(CorruptDocumentError, match="is missing"):
        again(far, written)


def test_what_rank_0_cannot_keep_stays_nowhere(far, transfer, folder, tmp_path):
    def full(*_, **__):
        raise DatabaseWriteError("the disk is full")

    transfer.add_piece = full
    with pytest.raises(DatabaseWriteError, match="the disk is full"):
        far.write(encode(VALUE))

    assert [] == files_below(tmp_path / "far")


@pytest.mark.parametrize(
    "arrays", [SharedArrays(None), SharedArrays("/no/such.db.arrays", "somebody else")]
)
def test_without_any_file_arrays_are_kept_up_to_a_limit(arrays, monkeypatch):
    written = arrays.write(encode(VALUE))
    assert np.array_equal(FIELD, again(arrays, written)["field"])

    monkeypatch.setattr(shared_arrays, "MAX_BYTES_WITHOUT_FILES", 3_000_000)
    with pytest.raises(EncodingError, match=r"3,200,072 bytes .* at most 3,000,000"):
        arrays.write(encode(VALUE))


def test_a_file_is_out_of_reach_without_a_courier(far):
    written = far.write(encode(VALUE))
    with pytest.raises(CorruptDocumentError, match="cannot be reached"):
        again(SharedArrays("/no/such.db.arrays", "somebody else"), written)

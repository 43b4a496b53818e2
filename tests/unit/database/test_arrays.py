"""Large arrays: immutable HDF5 files beside the database, exact in every bit."""

from __future__ import annotations

import json
import os
import sqlite3
import uuid

import h5py
import numpy as np
import pytest

from experimenter_mpi import CorruptDocumentError, DatabaseWriteError
from experimenter_mpi.database.handle import session_of
from experimenter_mpi.encoding import array_files as arrays
from experimenter_mpi.encoding.array_files import ArrayFiles
from experimenter_mpi.encoding.codec import decode, encode
from unit.database.making import heat

BIG = 1024 * 1024 + 1


def files_below(folder):
    return sorted(
        os.path.relpath(os.path.join(place, name), folder)
        for place, _, names in os.walk(folder)
        for name in names
    )


def big(dtype, order="C"):
    """A two-dimensional array of more than the limit."""
    dtype = np.dtype(dtype)
    rows = BIG // dtype.itemsize // 7 + 1
    array = np.empty((rows, 7), dtype, order=order)
    pattern = np.arange(array.nbytes, dtype=np.uint64) * 40503 >> 4
    data = pattern.astype(np.uint8).tobytes()
    if dtype.kind == "b":
        array[...] = (np.arange(array.size) % 3 == 0).reshape(array.shape)
    elif dtype.kind == "U":
        array[...] = np.array(["añ", "結果"], dtype)[
            np.arange(array.size).reshape(array.shape) % 2
        ]
    else:
        array[...] = np.frombuffer(data, dtype).reshape(array.shape)
    return array


DTYPES = [
    *("?", "i1", "<i4", ">i8", "u2", "<f2", "f4", ">f8", "c8", ">c16", "S9", "U3"),
    *("V11", "<M8[s]", ">M8[ns]", "M8[25us]", "m8[D]"),
    [("a", "<i4"), ("b", ">f8", (2,))],
    [("when", "M8[D]"), ("name", "U2")],
    {"names": ["a", "b"], "formats": ["i1", "f8"], "offsets": [0, 8], "itemsize": 24},
]


@pytest.fixture
def files(tmp_path):
    return ArrayFiles(str(tmp_path / "heat.db.arrays"))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arrays_of_every_type_come_back_bit_for_bit(files, dtype, order):
    array = big(dtype, order)
    written = files.write(encode({"field": array}))
    (record,) = written.arrays
    assert record.file is not None and record.data is None
    again = decode(written.document, lambda _: files.read(record))["field"]

    assert (again.dtype, again.shape) == (array.dtype, array.shape)
    for name in array.dtype.names or (...,):  # what is between fields is no value
        assert again[name].tobytes() == array[name].tobytes()
    assert again.flags.f_contiguous == array.flags.f_contiguous
    assert again.flags.writeable and again.dtype.metadata is None


def test_long_doubles_and_single_large_values_come_back(files):
    for array in (
        np.arange(100_000).astype(np.longdouble) / 3,
        np.array(b"x" * BIG + b"y"),
        np.frombuffer(b"z" * BIG, f"V{BIG}")[0:1].reshape(()),
    ):
        written = files.write(encode({"field": array}))
        again = files.read(written.arrays[0])
        assert again.shape == array.shape and again.dtype == array.dtype
        assert np.array_equal(again, array)


def test_small_arrays_stay_where_they_are(files, tmp_path):
    encoded = encode({"a": np.arange(BIG // 8)})

    assert files.write(encoded) is encoded
    assert os.listdir(tmp_path) == []


def test_one_payload_is_one_file_with_its_small_arrays_left_out(files):
    written = files.write(
        encode({"a": big("f8"), "b": {"c": [big("i4")]}, "small": np.arange(3)})
    )
    by_path = {record.path: record for record in written.arrays}

    assert by_path["a"].file == by_path["b.c.0"].file
    assert by_path["small"].file is None
    assert len(files_below(files.folder)) == 1


def test_other_tools_read_the_files(files):
    field, days = big("f4"), big("M8[D]")
    written = files.write(encode({"field": field, "days": days, "names": big("U3")}))
    path = os.path.join(files.folder, written.arrays[0].file)
    with h5py.File(path) as file:
        assert np.array_equal(file["field"][()], field, equal_nan=True)
        assert np.array_equal(file["days"][()], days.view("i8"))
        assert file["days"].attrs["unit"] == "datetime64[D]"
        assert file["names"].dtype == "uint8"


@pytest.mark.parametrize(
    "key", ["a/b", ".", "..", "", "a\x00b", "\udce9", "$x", "結果"]
)
def test_any_key_may_hold_a_large_array(files, key):
    array = big("i2")
    written = files.write(encode({key: array, "other": {key: big("i1")}}))

    assert np.array_equal(files.read(written.arrays[0]), array)


def test_the_database_keeps_large_arrays_in_its_folder(db, stored, tmp_path):
    field = big("f8", "F")
    db.complete_trial(stored.trial_ids[0], {"field": field})
    db.save_snapshot(stored.trial_ids[0], {"field": field})

    assert len(files_below(tmp_path / "heat.db.arrays")) == 2
    again = db.get_trial(stored.trial_ids[0]).results["field"]
    assert np.array_equal(again, field) and again.flags.f_contiguous
    assert np.array_equal(db.latest_snapshot(stored.trial_ids[0]).state["field"], field)


def test_results_that_go_take_their_files_along(db, stored, tmp_path):
    folder = tmp_path / "heat.db.arrays"
    trial_id = stored.trial_ids[0]
    db.complete_trial(trial_id, {"field": big("f8")})
    first = files_below(folder)
    db.complete_trial(trial_id, {"field": big("f8")})
    second = files_below(folder)
    db.mark_trial_as_incomplete(trial_id)

    assert len(first) == len(second) == 1 and first != second
    assert files_below(folder) == []


def test_deleting_an_experiment_deletes_its_files_only(db, stored, tmp_path):
    other = heat("other", field=big("f8"))
    session_of(db).experiments.enrol(other)
    db.complete_trial(stored.trial_ids[0], {"field": big("f8")})
    db.save_snapshot(stored.trial_ids[0], {"field": big("f8")})
    assert len(files_below(tmp_path / "heat.db.arrays")) == 3
    db.delete_experiment(stored.id)

    assert len(files_below(tmp_path / "heat.db.arrays")) == 1
    assert np.array_equal(db.get_trials(other.id)[0].configuration["field"], big("f8"))


def test_sweeping_removes_what_no_row_refers_to(db, stored, files, tmp_path):
    db.complete_trial(stored.trial_ids[0], {"field": big("f8")})
    kept = files_below(files.folder)
    files.write(encode({"lost": big("f8")}))
    (tmp_path / "heat.db.arrays" / kept[0][:2] / "0.h5.part").write_text("half")

    assert session_of(db).sweep_leftovers() == 2
    assert files_below(files.folder) == kept
    assert session_of(db).sweep_leftovers() == 0


def test_a_file_appears_only_when_it_is_complete(files, monkeypatch):
    def interrupted(path, **_):
        raise KeyboardInterrupt

    monkeypatch.setattr(arrays, "_sync", interrupted)
    os.makedirs(files.folder)
    with pytest.raises(KeyboardInterrupt):
        files.write(encode({"field": big("f8")}))

    assert files_below(files.folder) == []


def test_a_file_is_told_of_when_all_that_leads_to_it_is_on_the_disk(files, monkeypatch):
    """Another rank may have made the folder, and be killed before it says so."""
    synced, sync = [], arrays._sync

    def noted(path, **options):
        synced.append(path)
        sync(path, **options)

    monkeypatch.setattr(arrays, "_sync", noted)
    numbers = (uuid.UUID(int=(0xAB << 120) + i) for i in range(2))
    monkeypatch.setattr(arrays.uuid, "uuid4", lambda: next(numbers))
    os.makedirs(os.path.join(files.folder, "ab"))
    folder = os.path.join(files.folder, "ab")
    above = [files.folder, os.path.dirname(files.folder)]

    files.write(encode({"field": big("f8")}))
    assert [folder, *above] == synced[1:]
    assert synced[0].startswith(f"{folder}/ab")

    synced.clear()
    files.write(encode({"field": big("f8")}))
    assert [folder] == synced[1:]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "heat.db.arrays").write_text("a file is in the way")
    files = ArrayFiles(str(tmp_path / "heat.db.arrays"))
    with pytest.raises(DatabaseWriteError, match=r"cannot write an array to .*\.h5"):
        files.write(encode({"field": big("f8")}))


def test_a_missing_file_is_named(db, stored, tmp_path):
    db.complete_trial(stored.trial_ids[0], {"field": big("f8")})
    (name,) = files_below(tmp_path / "heat.db.arrays")
    os.unlink(tmp_path / "heat.db.arrays" / name)
    with pytest.raises(
        CorruptDocumentError, match=f"results of trial.*{name}.* missing"
    ):
        dict(db.get_trial(stored.trial_ids[0]).results)


def truncate(path, name):
    os.truncate(path, 3000)


def replace_by_text(path, name):
    path.write_text("not HDF5")


def noted(**changes):
    """Change what the file says of its dataset."""

    def change(path, name):
        data = path.read_bytes()
        line, _, rest = data.partition(b"\n")
        said = json.loads(line)
        place = dict(
            zip(
                ("dtype", "shape", "order", "offset"),
                said["datasets"]["field"],
                strict=True,
            )
        )
        said["datasets"]["field"] = list({**place, **changes}.values())
        block = json.dumps(said).encode() + b"\n"
        path.write_bytes(block + rest[len(block) - len(line) - 1 :])

    return change


def first_line(text):
    def change(path, name):
        path.write_bytes(text + b"\n" + path.read_bytes()[len(text) + 1 :])

    return change


def a_pipe(path, name):
    path.unlink()
    os.mkfifo(path)


def a_folder(path, name):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "damage",
    [
        *(truncate, replace_by_text, a_pipe, a_folder),
        noted(shape=[2, 2]),
        noted(shape=[-1]),
        noted(dtype='"<f4"'),
        noted(order="K"),
        noted(offset=-1),
        noted(offset=2**62),
        noted(offset="0"),
        noted(offset=None),
        first_line(b'{"experimenter_mpi": 1, "datasets": {}}'),
        first_line(b'{"experimenter_mpi": 2}'),
        first_line(b'{"experimenter_mpi": 1, "datasets": [["x"]]}'),
        first_line(b"[" * 400),
        first_line(b"1" * 400),
    ],
)
def test_a_damaged_file_is_named(db, stored, tmp_path, damage):
    db.complete_trial(stored.trial_ids[0], {"field": big("f8")})
    (name,) = files_below(tmp_path / "heat.db.arrays")
    damage(tmp_path / "heat.db.arrays" / name, name)
    with pytest.raises(CorruptDocumentError, match=name) as caught:
        dict(db.get_trial(stored.trial_ids[0]).results)

    assert "\n" not in str(caught.value)


def test_reading_an_array_needs_no_hdf5(db, stored, child):
    """Its library crashes on files that were made to crash it."""
    db.complete_trial(stored.trial_ids[0], {"field": big("f8")})
    code = (
        "import sys\n"
        "from experimenter_mpi import open_db\n"
        "with open_db(sys.argv[1], '', read_only=True) as db:\n"
        "    print(db.get_trials_by_name('heat')[0].results['field'].shape)\n"
        "print('h5py' in sys.modules)\n"
    )
    reader = child(code, db.path)

    assert [str(big("f8").shape), "False"] == [reader.line(), reader.line()]


def test_a_folder_that_becomes_a_link_is_refused(db, stored, tmp_path):
    """What a stranger's archive calls the array folder may be anybody's."""
    db.complete_trial(stored.trial_ids[0], {"field": big("f8")})
    folder, elsewhere = tmp_path / "heat.db.arrays", tmp_path / "elsewhere"
    folder.rename(elsewhere)
    folder.symlink_to(elsewhere)
    before = files_below(elsewhere)
    with pytest.raises(CorruptDocumentError, match="has become a link"):
        dict(db.get_trial(stored.trial_ids[0]).results)
    with pytest.raises(CorruptDocumentError, match="has become a link"):
        db.export_db(tmp_path / "copy.db")
    db.delete_experiment(stored.id)

    assert session_of(db).sweep_leftovers() == 0
    assert before == files_below(elsewhere)
    assert not (tmp_path / "copy.db").exists()


def test_a_file_where_the_folder_should_be_is_swept_over(db, tmp_path):
    (tmp_path / "heat.db.arrays").write_text("no folder")

    assert session_of(db).sweep_leftovers() == 0


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../secret.h5", "a/../../x", "ab/\x00"]
)
def test_a_file_name_must_not_lead_out_of_the_folder(db, stored, tmp_path, name):
    db.complete_trial(stored.trial_ids[0], {"field": big("f8")})
    (tmp_path / "secret.h5").write_text("keep me")
    plain = sqlite3.connect(tmp_path / "heat.db")
    plain.execute("UPDATE arrays SET file = ?", (name,))
    plain.commit()
    plain.close()
    with pytest.raises(CorruptDocumentError, match="outside of"):
        dict(db.get_trial(stored.trial_ids[0]).results)
    db.delete_experiment(stored.id)

    assert (tmp_path / "secret.h5").exists()


def test_a_link_inside_the_folder_must_not_lead_out_of_it(files, tmp_path):
    written = files.write(encode({"field": big("f8")}))
    path = os.path.join(files.folder, written.arrays[0].file)
    os.rename(path, tmp_path / "elsewhere.h5")
    os.symlink(tmp_path / "elsewhere.h5", path)
    with pytest.raises(CorruptDocumentError, match="outside of"):
        files.read(written.arrays[0])

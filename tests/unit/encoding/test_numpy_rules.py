"""numpy values in documents: every dtype, bit for bit, and generators that go on."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from experimenter_mpi.encoding import numpy_rules as ndarrays
from experimenter_mpi.encoding import rules as tags
from experimenter_mpi.encoding.codec import decode, encode
from support.values import round_trip

_FEW = settings(deadline=None, max_examples=60)
_MANY = settings(deadline=None, max_examples=150)
_LONG_DOUBLES = [np.dtype(code).newbyteorder(order) for code in "gG" for order in "<>"]

dtypes = st.one_of(
    hnp.scalar_dtypes(),
    hnp.byte_string_dtypes(),
    hnp.unicode_string_dtypes(),
    hnp.nested_dtypes(),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def arrays(draw):
    """Draw an array of any dtype, in one of the ways to lie in memory."""
    array = draw(hnp.arrays(draw(dtypes), draw(shapes)))
    lay = draw(st.sampled_from([np.array, np.asfortranarray, np.transpose, reverse]))
    return lay(array) if array.ndim else array


def reverse(array):
    return array[::-1]


def assert_same(array, copy):
    assert type(copy) is np.ndarray
    assert (array.dtype, array.dtype.str) == (copy.dtype, copy.dtype.str)
    assert array.shape == copy.shape
    assert array.tobytes() == copy.tobytes()


# --- arrays -------------------------------------------------------------------------


@_MANY
@given(arrays())
def test_an_array_comes_back_in_every_bit(array):
    copy = round_trip({"a": array})["a"]

    assert_same(array, copy)
    assert copy.flags.f_contiguous or not array.flags.f_contiguous
    assert copy.flags.writeable
    assert copy.base is None


@pytest.mark.parametrize(
    "dtype",
    [
        np.dtype([("a", "i1"), ("b", ">f8")], align=True),
        np.dtype({"names": ["a"], "formats": ["<i4"], "offsets": [6], "itemsize": 16}),
        np.dtype([(("title", "a"), "<f8"), ("b", "<i2", (2, 3))]),
        np.dtype([("a", [("x", "<U2"), ("y", "<M8[25s]", (2,))], (2,)), ("é", "S1")]),
        np.dtype([("a", "U0"), ("b", "V3")]),
        np.dtype([]),
        np.dtype("V0"),
        np.dtype("U0"),
        np.dtype("<f8", metadata={"unit": "m"}),
    ],
)
def test_unusual_dtypes_come_back(dtype):
    array = np.ndarray((2, 3), dtype)
    array.view(np.uint8)[:] = 65 if array.nbytes else ()
    copy = round_trip(array)

    assert_same(array, copy)
    assert array.dtype.fields == copy.dtype.fields


def test_long_doubles_come_back_and_have_one_id_whatever_pads_them():
    for dtype in _LONG_DOUBLES:
        third = np.ones(4, dtype) / 3
        noisy = third.astype(dtype)
        if np.finfo(np.longdouble).nmant == 63:
            big = dtype.str[0] == ">"
            size = np.dtype(np.longdouble).itemsize
            padding = slice(0, size - 10) if big else slice(10, None)
            noisy.view(np.uint8).reshape(-1, size)[:, padding] = 77

        assert (third == round_trip(noisy)).all()
        assert encode(third.astype(dtype)).arrays[0].id == encode(noisy).arrays[0].id
        assert dtype == round_trip(noisy).dtype


def test_a_document_tells_its_reader_what_the_array_is():
    encoded = encode({"run": [{"spins": np.zeros((2, 3), ">i2")}]})
    (record,) = encoded.arrays

    assert {
        "run": [{"spins": {"$array": record.id, "dtype": ">i2", "shape": [2, 3]}}]
    } == (json.loads(encoded.document))
    assert ("run.0.spins", '">i2"', (2, 3), "C") == (
        record.path,
        record.dtype,
        record.shape,
        record.order,
    )
    assert record.nbytes == 12


@_FEW
@given(arrays())
def test_a_record_knows_its_size_without_its_data(array):
    (record,) = encode(array).arrays

    assert array.nbytes == record.nbytes == record._replace(data=None).nbytes


def test_a_contiguous_array_is_not_copied():
    for array in (np.zeros((3, 4)), np.asfortranarray(np.zeros((3, 4)))):
        (record,) = encode(array).arrays

        assert np.shares_memory(array, np.frombuffer(record.data, np.uint8))


def test_equal_arrays_have_equal_ids_and_are_kept_once():
    encoded = encode([np.arange(3), np.arange(3), {"again": np.arange(3)}])

    assert ["0"] == [record.path for record in encoded.arrays]


@pytest.mark.parametrize(
    "other",
    [
        np.arange(6).reshape(3, 2),
        np.arange(6).astype(">i8").reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(1, 7).reshape(2, 3),
        np.arange(6).reshape(2, 3).astype("m8[s]"),
    ],
)
def test_arrays_that_differ_in_anything_have_different_ids(other):
    (one,), (two,) = encode(np.arange(6).reshape(2, 3)).arrays, encode(other).arrays

    assert one.id != two.id


def test_arrays_too_large_to_hash_get_ids_of_chance_but_one_each():
    array = np.zeros(1000)
    first, second = (
        encode([array, array], hash_up_to=7999),
        encode(array, hash_up_to=7999),
    )

    assert len(first.arrays) == 1
    assert first.arrays[0].id != second.arrays[0].id
    assert encode(array).arrays[0].id == encode(array, hash_up_to=8000).arrays[0].id


def test_a_memory_map_is_an_ordinary_array(tmp_path):
    array = np.memmap(tmp_path / "a", np.float32, "w+", shape=(2, 2), order="F")
    array[:] = [[1, 2], [3, 4]]

    assert_same(np.asarray(array), round_trip(array))


def test_arrays_of_objects_are_encoded_one_by_one():
    array = np.empty((2, 2), object)
    array[:] = [["a", 1.5], [(1, 2), None]]
    array[1, 1] = np.array([1, 2])
    copy = round_trip(array)

    assert (object, (2, 2)) == (copy.dtype, copy.shape)
    assert ["a", 1.5, (1, 2)] == copy.reshape(-1).tolist()[:3]
    assert_same(array[1, 1], copy[1, 1])
    assert round_trip(np.array({1}, object))[()] == {1}
    assert round_trip(np.asfortranarray(array)).flags.f_contiguous


def test_records_with_objects_in_them_come_back():
    dtype = np.dtype([("n", ">i4"), ("o", "O"), ("in", [("p", "O", (2,)), ("x", "g")])])
    array = np.zeros((2,), dtype)
    array["o"] = [{"a": 1}, None]
    array["in"]["p"][1] = [1, "x"]
    array["in"]["x"] = np.longdouble(1) / 3
    copy = round_trip(array)

    assert array.dtype == copy.dtype
    assert repr(array) == repr(copy)


@pytest.mark.skipif(not hasattr(np.dtypes, "StringDType"), reason="numpy 1")
@pytest.mark.parametrize("options", [{}, {"na_object": None}, {"coerce": False}])
def test_arrays_of_numpys_strings_come_back(options):
    dtype = np.dtypes.StringDType(**options)
    missing = options.get("na_object", "z")
    array = np.array([["a", "\x00é"], ["", missing]], dtype=dtype)
    copy = round_trip(array)

    assert dtype == copy.dtype
    assert array.tolist() == copy.tolist()


def masked_arrays():
    yield np.ma.masked_array([1.5, np.nan], [True, False], fill_value=7)
    yield np.ma.masked_array([[1, 2]], hard_mask=True)
    yield np.ma.masked_array(
        [(1, 2.0)], [(True, False)], dtype=[("a", "i4"), ("b", "f8")]
    )
    yield np.ma.masked_array(["a", "b"], [0, 1])
    yield np.ma.masked_array(np.array(["2024-01-01"], "M8[D]"), [1])


@pytest.mark.parametrize("array", [*masked_arrays()])
def test_a_masked_array_keeps_its_mask_and_fill_value(array):
    copy = round_trip({"m": array})["m"]

    assert type(copy) is np.ma.MaskedArray
    assert_same(array.data, copy.data)
    assert (array.mask is np.ma.nomask) == (copy.mask is np.ma.nomask)
    assert array.mask.tolist() == copy.mask.tolist()
    assert repr(array.fill_value) == repr(copy.fill_value)
    assert array.hardmask == copy.hardmask


def test_the_masked_value_is_itself():
    assert round_trip([np.ma.masked])[0] is np.ma.masked


class Tagged(np.ndarray):
    """A user's own kind of array."""


@pytest.mark.parametrize(
    "value",
    [
        np.rec.array([(1, 2.0)]),
        np.zeros(2).view(Tagged),
        np.ma.masked_array(np.zeros(2).view(Tagged), [0, 1]),
        np.zeros(2, {"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [4, 0]}),
        np.zeros(2, [("a", "O"), ("b", "V2000000")]),
        np.zeros(2, [("a", "O")])[0],
    ],
)
def test_what_no_rule_says_all_about_is_left_to_pickle(value):
    encoded = encode({"a": value})

    assert ["a"] == [path for path, _ in encoded.pickled]
    assert type(value) is type(decode(encoded.document, allow_pickle=True)["a"])


# --- scalars ------------------------------------------------------------------------


@_FEW
@given(hnp.scalar_dtypes().flatmap(lambda dtype: hnp.arrays(dtype, ())))
def test_a_number_of_numpys_becomes_a_number_and_dates_stay_exact(array):
    scalar = array[()]
    copy = round_trip([scalar])[0]

    if array.dtype.kind in "mM" or array.dtype.char in "gG":
        assert (type(scalar), scalar.dtype) == (type(copy), copy.dtype)
        assert repr(scalar) == repr(copy)
    else:
        assert type(scalar.item()) is type(copy)
        assert repr(scalar.item()) == repr(copy)


@pytest.mark.parametrize(
    ("scalar", "plain"),
    [
        (np.str_("é"), "é"),
        (np.bytes_(b"\x00a"), b"\x00a"),
        (np.bool_(True), True),
        (np.float16(0.1), float(np.float16(0.1))),
        (np.longlong(5), 5),
        (np.uint64(2**64 - 1), 2**64 - 1),
    ],
)
def test_a_scalar_with_a_plain_counterpart_becomes_it(scalar, plain):
    copy = round_trip(scalar)

    assert (type(plain), plain) == (type(copy), copy)


@pytest.mark.parametrize(
    "scalar",
    [
        np.void(b"abc"),
        np.zeros(1, [("a", ">i2"), ("b", "<U3", (2,))])[0],
        np.datetime64("NaT", "s"),
        np.timedelta64(5, "25us"),
        np.longdouble(1) / 3,
    ],
)
def test_a_scalar_that_is_no_number_keeps_its_dtype(scalar):
    copy = round_trip({"s": scalar})["s"]

    assert (type(scalar), scalar.dtype, repr(scalar)) == (
        type(copy),
        copy.dtype,
        repr(copy),
    )


# --- imports ------------------------------------------------------------------------


def test_a_reader_without_numpy_loads_it_for_the_tags_that_need_it():
    encoded = encode({"d": np.datetime64(1, "s"), "rng": np.random.default_rng(1)})
    code = """
import sys
from experimenter_mpi.encoding.codec import decode
assert "numpy" not in sys.modules
print(decode(sys.argv[1])["rng"].random())
"""
    command = [sys.executable, "-c", code, encoded.document]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert f"{np.random.default_rng(1).random()}\n" == found


def test_tags_of_numpy_are_not_tags_of_python():
    assert not tags.BY_TAG.keys() & ndarrays.BY_TAG.keys()

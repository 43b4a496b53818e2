"""The global store: built once, read by every trial, changed by none."""

from __future__ import annotations

import copy
import pickle
import random
import sys

import numpy as np
import pytest

from experimenter_mpi.encoding.codec import encode
from experimenter_mpi.errors import ConfigurationError, StoreError
from experimenter_mpi.trial.store import Store, build_store


def refusals(store):
    """Return every way to assign that must be refused."""

    def set_item():
        store["a"] = 2

    def delete_item():
        del store["a"]

    def set_attribute():
        store.a = 2

    return [set_item, delete_item, set_attribute]


def test_it_is_read_like_a_dict():
    store = Store({"a": 1, "b": [2]})

    assert (1, [2], 2, ["a", "b"]) == (store["a"], store["b"], len(store), list(store))
    assert "a" in store and "c" not in store
    assert 7 == store.get("c", 7)
    assert {"a": 1, "b": [2]} == dict(store)


@pytest.mark.parametrize("way", range(3), ids=["set", "delete", "attribute"])
def test_assigning_raises(way):
    store = Store({"a": 1})

    with pytest.raises((TypeError, AttributeError)):
        refusals(store)[way]()
    assert {"a": 1} == dict(store)


def test_the_refusal_says_where_to_build_it():
    with pytest.raises(
        TypeError, match="read-only: build it in the init_store function"
    ):
        Store({})["a"] = 1


def test_a_nested_dict_is_read_only_too():
    store = Store({"tables": {"sines": {"a": 1}}})

    with pytest.raises(TypeError, match="read-only"):
        store["tables"]["sines"]["a"] = 2
    assert 1 == store["tables"]["sines"]["a"]


def test_an_array_is_read_only_too():
    store = Store({"data": {"x": np.arange(3)}})

    with pytest.raises(ValueError, match="read-only"):
        store["data"]["x"][0] = 7


CHANGES = {
    "append": lambda stored: stored.append(1),
    "extend": lambda stored: stored.extend([1]),
    "insert": lambda stored: stored.insert(0, 1),
    "pop": lambda stored: stored.pop(),
    "remove": lambda stored: stored.remove(3),
    "clear": lambda stored: stored.clear(),
    "sort": lambda stored: stored.sort(key=str),
    "reverse": lambda stored: stored.reverse(),
    "set": lambda stored: stored.__setitem__(0, 1),
    "set a slice": lambda stored: stored.__setitem__(slice(1), []),
    "delete": lambda stored: stored.__delitem__(0),
    "add": lambda stored: stored.__iadd__([1]),
    "multiply": lambda stored: stored.__imul__(2),
    "shuffle": random.shuffle,
}


def in_a_list(values):
    return Store({"values": values})["values"]


def in_a_list_of_dicts(values):
    return Store({"rows": [{"values": values}, 1]})["rows"][0]["values"]


def in_a_tuple(values):
    return Store({"pair": (1, [values])})["pair"][1][0]


@pytest.mark.parametrize("stored", [in_a_list, in_a_list_of_dicts, in_a_tuple])
@pytest.mark.parametrize("change", CHANGES)
def test_a_list_is_read_only_too(change, stored):
    values = [3, 1, 2]
    kept = stored(values)
    with pytest.raises(TypeError, match="read-only: .*, or change a copy of its list"):
        CHANGES[change](kept)

    assert [3, 1, 2] == kept == values
    assert isinstance(kept, list) and kept is not values


def test_a_copy_of_a_list_is_a_list_like_any_other():
    kept = Store({"rows": [[3, {1}], [1]]})["rows"]
    for own in (
        list(kept),
        kept[:],
        kept + [[]][:0],
        kept.copy(),
        copy.copy(kept),
        copy.deepcopy(kept),
        pickle.loads(pickle.dumps(kept)),
    ):
        own.append(4)
        assert [[3, {1}], [1], 4] == own

    copy.deepcopy(kept)[0].append(2)
    assert '{"rows":[[3,{"$frozenset":[1]}],[1]]}' == encode({"rows": kept}).document


def test_a_set_and_an_array_in_a_list_are_read_only_too():
    store = Store({"all": [{1, 2}, np.arange(3)]})

    assert {1, 2} == store["all"][0]
    assert not hasattr(store["all"][0], "add")
    with pytest.raises(ValueError, match="read-only"):
        store["all"][1][0] = 7


def test_what_stands_twice_or_holds_itself_does_so_in_the_store():
    shared, entries = [[1]], {}
    entries.update(a=shared, b=(shared,), me=entries, ring=[entries])
    store = Store(entries)

    assert store["a"] is store["b"][0]
    assert store["me"] is store is store["ring"][0]


def test_the_array_that_was_given_stays_as_it_was():
    array = np.arange(3)
    store = Store({"x": array})
    array[0] = 7

    assert 7 == store["x"][0]


def test_a_dict_of_another_kind_keeps_its_kind():
    """A defaultdict or a class of the user's own does what it does."""

    class Table(dict):
        pass

    table = Table(a=1)

    assert Store({"table": table})["table"] is table


def test_without_numpy_there_are_no_arrays_to_protect(monkeypatch):
    monkeypatch.delitem(sys.modules, "numpy")

    assert {"a": 1} == dict(Store({"a": 1}))
    assert "numpy" not in sys.modules


def test_a_missing_entry_is_a_key_error_that_lists_what_there_is():
    with pytest.raises(KeyError, match=r"no 'c'; it has \['a', 'b'\]"):
        Store({"b": 1, "a": 2})["c"]


def test_entries_may_have_keys_that_do_not_sort():
    store = Store({"a": 1, 2: 3})

    assert "default" == store.get("missing", "default")
    assert "missing" not in store


def test_it_shows_its_names_and_not_its_gigabytes():
    assert "<Store of images, labels>" == repr(Store({"images": 1, "labels": 2}))


def test_it_may_be_copied_and_stays_read_only():
    twin = copy.copy(Store({"a": 1}))

    assert {"a": 1} == dict(twin)
    with pytest.raises(TypeError):
        twin["a"] = 2


# --- building


def test_the_store_function_is_given_the_configuration():
    store = build_store(lambda c: {"size": c["n"] * 2}, {"n": 4})

    assert {"size": 8} == dict(store)


def test_a_store_function_that_raises_is_named_with_what_it_raised():
    def load_images(configuration):
        raise FileNotFoundError("digits.npz")

    with pytest.raises(
        StoreError, match=r"'.*load_images' raised FileNotFoundError: digits\.npz"
    ) as caught:
        build_store(load_images, {})
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_store_function_that_exits_ends_no_rank():
    """A rank that left quietly would be waited for by all others for ever."""

    def load_images(configuration):
        sys.exit("no data")

    with pytest.raises(StoreError, match="load_images"):
        build_store(load_images, {})


def test_an_error_of_this_package_comes_through_as_it_is():
    def refuse(configuration):
        raise ConfigurationError("n is too small")

    with pytest.raises(ConfigurationError, match="^n is too small$"):
        build_store(refuse, {})


@pytest.mark.parametrize("value", [None, [1], 3])
def test_a_store_function_must_return_a_dict(value):
    with pytest.raises(StoreError, match="must return a dict, not "):
        build_store(lambda _: value, {})


def test_a_store_function_may_be_any_callable():
    class Loader:
        def __call__(self, configuration):
            return []

    with pytest.raises(StoreError, match=r"'<.*Loader object.*>' must return a dict"):
        build_store(Loader(), {})

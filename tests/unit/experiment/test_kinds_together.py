"""All ways to say what to try, in one configuration."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi.experiment.derived import Derived
from experimenter_mpi.experiment.designs import sampled
from experimenter_mpi.experiment.distributions import Choice, Integers
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.table_rows import table
from experimenter_mpi.experiment.variables import IterableVariable, LinearVariable
from experimenter_mpi.experiment.zipped import zipped
from unit.experiment.test_derived import encode, restored

# Each with the keys that a function may look at.
KINDS = {
    "product": ({"a": IterableVariable([0, 1]), "b": LinearVariable(0, 1, 2)}, ["a"]),
    "zipped": (zipped(T=[0, 1, 2], h=[5, 6, 7]), ["T", "h"]),
    "table": (table([{"p": 0, "q": "x"}, {"p": 1, "q": "y"}]), ["p"]),
    "sampled": (sampled(3, seed=1, x=Integers(0, 3), o=Choice("u", "v")), ["x"]),
    "constant": ({"k": 3}, ["k"]),
}


@st.composite
def configurations(draw):
    """Draw a configuration of some kinds, some nested, and a sum of what it has."""
    configuration, looked_at = {}, []
    for kind in draw(st.permutations(sorted(KINDS))):
        content, names = KINDS[kind]
        place = draw(st.sampled_from(["nowhere", "here", "inside"]))
        if place == "here":
            configuration |= content
            looked_at += [(name,) for name in names]
        elif place == "inside":
            configuration[f"in {kind}"] = dict(content)
            looked_at += [(f"in {kind}", name) for name in names]
    chosen = draw(st.lists(st.sampled_from(looked_at or [()]), max_size=3))

    def total(c):
        return sum(_at(c, path) for path in chosen if path)

    if draw(st.booleans()):
        position = draw(st.integers(0, len(configuration)))
        items = list(configuration.items())
        items.insert(position, ("sum", Derived(total)))
        configuration = dict(items)
    return configuration, total


def _at(value, path):
    for key in path:
        value = value[key]
    return value


def points(expansion):
    found = [expansion[index] for index in range(expansion.size)]
    again = restored(expansion)

    assert [encode(point) for point in found] == list(expansion.documents(encode))
    assert found == [again[index] for index in range(again.size)]
    return found


@settings(deadline=None)
@given(configurations(), st.integers(1, 3))
def test_kinds_can_be_combined_in_any_way(drawn, modulus):
    configuration, total = drawn
    whole = points(Expansion(configuration))
    assert all(each["sum"] == total(each) for each in whole if "sum" in each)

    wanted = [each for each in whole if total(each) % modulus == 0]
    if wanted:
        kept = Expansion(configuration, lambda c: total(c) % modulus == 0)
        assert wanted == points(kept)

    listed = points(Expansion([configuration, {"other": 1}]))
    assert [*whole, {"other": 1}] == listed

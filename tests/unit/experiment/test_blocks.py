"""Blocks: a trial's number never moves, and its configuration is computed alone."""

from __future__ import annotations

import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experimenter_mpi.experiment import blocks as stored
from experimenter_mpi.experiment import boxes
from experimenter_mpi.experiment.blocks import Blocks, Grid, Table
from experimenter_mpi.experiment.boxes import Box
from experimenter_mpi.experiment.grid import Expansion
from experimenter_mpi.experiment.ranges import Numbers
from experimenter_mpi.experiment.variables import (
    IntegerVariable,
    IterableVariable,
    MatchIterableVariable,
)

SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=3)


def grid_of(sizes, *parts):
    axes = {f"x{i}": IntegerVariable(1, size) for i, size in enumerate(sizes)}
    expansion = Expansion(axes)
    return Grid(expansion, boxes.Parts(expansion.size, parts) if parts else None)


@st.composite
def part(draw):
    sizes = draw(SIZES)
    return Box(
        tuple(sizes),
        tuple(
            Numbers.of(sorted(draw(st.sets(st.integers(0, size - 1), min_size=1))))
            for size in sizes
        ),
    )


@settings(deadline=None)
@given(part())
def test_a_part_of_a_grid_has_its_trials_in_the_grids_order(box):
    whole, some = grid_of(box.lengths), grid_of(box.lengths, box)
    places = [some.parts.place(k) for k in range(some.size)]

    assert places == sorted(places)
    assert places == [place for piece in some.parts.places() for place in piece]
    assert [some[k] for k in range(some.size)] == [whole[place] for place in places]


@settings(deadline=None)
@given(part(), st.data())
def test_what_is_taken_out_of_a_box_leaves_the_rest(box, data):
    taken = [
        chosen & Numbers.of(sorted(data.draw(st.sets(st.integers(0, length - 1)))))
        for chosen, length in zip(box.indices, box.lengths, strict=True)
    ]
    inside = {place for k in boxes.within(box, taken) for place in map(box.place, k)}
    outside = [
        place
        for rest in boxes.without(box, taken)
        for place in map(rest.place, range(rest.size))
    ]

    assert sorted([*inside, *outside]) == [p for piece in box.places() for p in piece]
    assert inside == {p for piece in boxes.flattened(box.lengths, taken) for p in piece}


def test_numbers_go_from_block_to_block():
    blocks = Blocks(
        [grid_of([2]), Table([{"a": 1}, {"b": 2}]), grid_of([3], part_of(3, 1))]
    )

    assert [blocks[number] for number in range(blocks.size)] == [
        {"x0": 1},
        {"x0": 2},
        {"a": 1},
        {"b": 2},
        {"x0": 2},
    ]
    with pytest.raises(IndexError, match="trials 0 to 4, none at 5"):
        blocks[5]


def part_of(size, *indices):
    return Box((size,), (Numbers.of(indices),))


def test_a_block_more_moves_no_number():
    before = Blocks([grid_of([2, 2])])

    after = before.followed_by(Table([{"a": 1}]))

    assert [after[number] for number in range(4)] == [before[n] for n in range(4)]
    assert after[4] == {"a": 1}


def test_ranges_of_numbers_are_found_in_their_blocks():
    blocks = Blocks([grid_of([4]), grid_of([3])])
    (_, first), (_, second) = blocks

    pieces = list(blocks.pieces([range(1, 2), range(3, 6)]))

    assert pieces == [(first, range(1, 2)), (first, range(3, 4)), (second, range(2))]


def test_a_large_grid_costs_nothing():
    large = grid_of([1000, 1000, 1000])
    more = grid_of([1000, 1000, 1000], Box((10**9,), (Numbers([range(10**9)]),)))
    blocks = Blocks([large, more])

    assert blocks.size == 2 * 10**9
    assert blocks[2 * 10**9 - 1] == {"x0": 1000, "x1": 1000, "x2": 1000}


def test_each_trial_has_a_row_of_its_own():
    row = {"a": [1]}
    table = Table([row])
    row["a"].append(2)
    table[0]["a"].append(3)

    assert table[0] == {"a": [1]}


@pytest.mark.parametrize(
    "block",
    [
        grid_of([2, 3]),
        grid_of([3, 2], Box((3, 2), (Numbers.of([0, 2]), Numbers.of([1])))),
        grid_of([3, 2], Box((6,), (Numbers.of([0, 2, 3]),))),
        Grid(Expansion({"only": 1})),
        Grid(
            Expansion({"m": MatchIterableVariable([1, 2])}),
            boxes.Parts(2, [part_of(2, 1)]),
        ),
        Table([{"a": 1}, {"b": [2]}]),
        Table([{"a": 1}], stored.SUGGESTIONS),
    ],
)
def test_a_block_is_the_same_when_it_is_read_again(block):
    trials = [block[k] for k in range(block.size)]

    for again in (
        stored.from_plain(block.kind, block.plain, parts_of(block), block.size),
        pickle.loads(pickle.dumps(Blocks([block]))),
    ):
        assert [again[k] for k in range(len(trials))] == trials


def parts_of(block):
    """Give what is stored of a block besides its configuration."""
    if isinstance(block, Table) or block.parts.is_whole:
        return None
    return json.loads(json.dumps(block.parts.plain()))


CONFIGURATION = {"x": IterableVariable([1, 2, 3])}


@pytest.mark.parametrize(
    ("kind", "plain", "parts", "count"),
    [
        ("grid", CONFIGURATION, None, 4),
        ("grid", CONFIGURATION, {"lengths": [3], "boxes": [[[[0, 4]]]]}, 4),
        ("grid", CONFIGURATION, {"lengths": [3], "boxes": [[[[2, 3], [0, 1]]]]}, 2),
        ("grid", CONFIGURATION, {"lengths": [3], "boxes": [[[[0, 1]], [[0, 1]]]]}, 1),
        ("grid", CONFIGURATION, {"lengths": [3], "boxes": [[[[-1, 1]]]]}, 2),
        ("grid", CONFIGURATION, {"lengths": [3], "boxes": [[[[0, True]]]]}, 1),
        ("grid", CONFIGURATION, {"lengths": [3], "boxes": None}, 1),
        ("grid", CONFIGURATION, {"lengths": [4], "boxes": [[[[0, 4]]]]}, 4),
        ("grid", CONFIGURATION, {"lengths": [3.0], "boxes": [[[[0, 3]]]]}, 3),
        ("grid", CONFIGURATION, {"lengths": 3, "boxes": [[[[0, 3]]]]}, 3),
        ("grid", CONFIGURATION, [], 0),
        ("table", {"rows": [1]}, None, 1),
        ("table", {"rows": [{}]}, None, 2),
        ("table", {}, None, 0),
        ("table", [], None, 0),
        ("other", {}, None, 0),
    ],
)
def test_what_is_not_a_block_is_refused(kind, plain, parts, count):
    with pytest.raises(ValueError, match="."):
        stored.from_plain(kind, plain, parts, count)

"""When two trials are the same point: when their configurations are equal.

Numbers count by value (4 is 4.0, and True is not 1), a NaN is a NaN, the order of a
dict's keys and of a set's members does not matter, and arrays count by their contents.
Equality is that of texts, so that a million points are compared by joining them.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from itertools import product
from typing import TYPE_CHECKING, Any

from ..encoding import codec
from .assumption import essential, filled
from .blocks import Grid, Table
from .json_texts import texts_of
from .listed import without_absent
from .variables import Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..encoding.codec import Rule
    from .grid import Axis, Expansion, Path

# The largest float has 256 hexadecimal digits.
_MOST_DIGITS = 300
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1


def text(value: Any, extra: Iterable[Rule] = ()) -> str:
    """Return a text that is equal for equal values; ``extra`` as for ``encode``."""
    kind = type(value)
    if kind is float and value.is_integer():
        return int.__repr__(int(value))
    if kind is int and _SMALLEST <= value <= _LARGEST:
        return int.__repr__(value)
    encoded = codec.encode(value, hash_up_to=None, extra=extra, part=True)
    return _sorted(
        json.loads(encoded.document, parse_float=_number, object_hook=_by_value)
    )


def _sorted(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"))


def _number(written: str) -> float:
    number = float(written)
    return int(number) if number.is_integer() else number


def _by_value(plain: dict[str, Any]) -> Any:
    """Take a tagged value for what it is, however it came about.

    A member of an enumeration that is a number or a text counts as that, and one of a
    script's as the same by whatever name the script was loaded.
    """
    digits = plain.get("$int")
    if digits is not None:
        # Of more digits no float can be the equal.
        return int(digits, 16) if len(digits) < _MOST_DIGITS else plain
    if "$enum" in plain:
        return plain["value"] if "base" in plain else {**plain, "module": None}
    for tag in ("$set", "$frozenset", "$dict"):
        if tag in plain:
            return {tag: sorted(plain[tag], key=_sorted)}
    return plain


# --- the points of blocks


def essence(
    block: Grid | Table, assume: dict[str, Any], keep: frozenset[Path] = frozenset()
) -> Grid | Table:
    """Return a block of the same points, which says only what makes them differ.

    That is all but what is derived, and what is assumed where it is missing; see
    ``essential``.
    """
    if isinstance(block, Table):
        if not assume:
            return block
        return Table((filled(row, assume) for row in block.rows), block.kind)
    found = essential(block.expansion, assume, keep)
    if found is block.expansion:
        return block
    return Grid(found, None if block.parts.is_whole else block.parts)


def digests(block: Grid | Table) -> Iterator[bytes]:
    """Yield 16 bytes for each trial of a block, equal for equal configurations."""
    texts = map(text, block.rows) if isinstance(block, Table) else _texts_of_grid(block)
    return (blake2b(each.encode(), digest_size=16).digest() for each in texts)


def _texts_of_grid(grid: Grid) -> Iterator[str]:
    template = _Template(grid.expansion)
    for piece in grid.parts.places():
        if len(piece) == grid.expansion.size:
            yield from template.all()
        else:
            yield from map(template.at, piece)


class _Template:
    """The texts of a grid's points: what is the same in all is written once."""

    def __init__(self, expansion: Expansion) -> None:
        slots: list[Path] = []
        self._text = _written(expansion.configuration, (), slots)
        self._size = expansion.size
        self._axes = [_texts_of(axis) for axis in expansion.axes]
        self._matched = [_texts_of(axis) for axis in expansion.matched]
        axes = (*expansion.axes, *expansion.matched)
        order = [each.path for axis in axes for each in axis.columns]
        self._columns = [order.index(path) for path in slots]

    def at(self, place: int) -> str:
        rest, chosen = place, []
        for axis in reversed(self._axes):
            rest, index = divmod(rest, len(axis))
            chosen.append(axis[index])
        return self._joined((*chosen[::-1], *(axis[place] for axis in self._matched)))

    def all(self) -> Iterator[str]:
        rows: Any = product(*self._axes) if self._axes else ((),) * self._size
        if self._matched:
            matched = zip(*self._matched, strict=True)
            rows = ((*row, *match) for row, match in zip(rows, matched, strict=True))
        return map(self._joined, rows)

    def _joined(self, chosen: tuple[tuple[str, ...], ...]) -> str:
        texts = [each for row in chosen for each in row]
        found = self._text % tuple([texts[column] for column in self._columns])
        return without_absent(found)


def _texts_of(axis: Axis) -> list[tuple[str, ...]]:
    """Return the texts of each place on an axis, of all that moves together there."""
    columns = [texts_of(each.values, text) for each in axis.columns]
    return list(zip(*columns, strict=True))


def _written(value: dict[str, Any], path: Path, slots: list[Path]) -> str:
    """Write a configuration's text with a ``%s`` where a variable stands."""
    names = {_plain_key(key): key for key in value}
    parts = []
    for name in sorted(names):
        here, entry = (*path, names[name]), value[names[name]]
        if isinstance(entry, Variable):
            slots.append(here)
            written = "%s"
        elif _holds_variables(entry):
            written = _written(entry, here, slots)
        else:
            written = text(entry).replace("%", "%%")
        parts.append(f"{json.dumps(name)}:".replace("%", "%%") + written)
    return "{" + ",".join(parts) + "}"


def _plain_key(key: str) -> str:
    """Return a key as documents have it, where some are escaped."""
    found: str = next(iter(json.loads(codec.encode({key: None}).document)))
    return found


def _holds_variables(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_variables, value.values()))
    return isinstance(value, Variable)

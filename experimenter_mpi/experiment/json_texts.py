"""The configurations of all trials as JSON text, in order."""

from __future__ import annotations

import operator
from itertools import product
from typing import TYPE_CHECKING, Any

from .grid import variables_in
from .listed import ABSENT, ABSENT_TEXT, without_absent
from .variables import Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .grid import Axis, Expansion, Path


def documents(expansion: Expansion, encode: Callable[[Any], str]) -> Iterator[str]:
    """Give every trial's configuration as JSON text, in order.

    Each value is encoded once, and each trial only joins the texts: a grid of a
    million trials would otherwise be encoded a million times. So ``encode`` gives
    parts of documents, and these have to be made whole: see ``codec``.
    """
    slots: list[Path] = []
    template = _template(expansion.configuration, (), slots, encode)
    order = {path: place for place, path in enumerate(slots)}
    axes = [*expansion.axes, *expansion.matched]
    texts = [_texts(axis, encode) for axis in axes]
    combinations = _combinations(texts, len(expansion.axes), expansion.size)
    if any(axis.others for axis in axes):
        combinations = map(_flat, combinations)
    columns = [order[each.path] for axis in axes for each in axis.columns]
    if columns != sorted(columns):
        columns_of = sorted(range(len(columns)), key=columns.__getitem__)
        combinations = map(operator.itemgetter(*columns_of), combinations)
    found = map(template.__mod__, combinations)
    return map(without_absent, found) if has_absent(expansion) else found


def has_absent(expansion: Expansion) -> bool:
    """Whether there are trials without one of the parameters."""
    return any(v.may_lack for _, v in variables_in(expansion.configuration, ()))


def texts_of(values: Sequence[Any], encode: Callable[[Any], str]) -> Sequence[str]:
    """Return the text of each value; what is looked up in a table is encoded once."""
    if hasattr(values, "mapped"):
        looked_up: Sequence[str] = values.mapped(encode)
        return looked_up
    if not any(each is ABSENT for each in values):
        return tuple(map(encode, values))
    return tuple(ABSENT_TEXT if each is ABSENT else encode(each) for each in values)


def _texts(axis: Axis, encode: Callable[[Any], str]) -> Sequence[Any]:
    """Return the text of each value, or of each row where several move together."""
    texts = [texts_of(each.values, encode) for each in axis.columns]
    return tuple(zip(*texts, strict=True)) if axis.others else texts[0]


def _flat(combination: tuple[Any, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for each in combination:
        if type(each) is tuple:
            found += each
        else:
            found.append(each)
    return tuple(found)


def _combinations(
    texts: list[Sequence[Any]], products: int, size: int
) -> Iterator[tuple[Any, ...]]:
    grid: Any = product(*texts[:products]) if products else ((),) * size
    if products == len(texts):
        return iter(grid)
    matched = zip(*texts[products:], strict=True)
    return (chosen + match for chosen, match in zip(grid, matched, strict=True))


def _template(
    value: dict[Any, Any], path: Path, slots: list[Path], encode: Callable[[Any], str]
) -> str:
    """Write the configuration's JSON text with a ``%s`` where a variable stands."""
    parts = []
    for key, entry in value.items():
        here = (*path, key)
        if isinstance(entry, Variable):
            slots.append(here)
            text = "%s"
        elif isinstance(entry, dict) and _holds_variables(entry):
            text = _template(entry, here, slots, encode)
        else:
            text = encode(entry).replace("%", "%%")
        # The key's own escaping is the codec's: take it from a one-entry document.
        name = encode({key: None})[1 : -len(":null}")].replace("%", "%%")
        parts.append(f"{name}:{text}")
    return "{" + ",".join(parts) + "}"


def _holds_variables(value: dict[Any, Any]) -> bool:
    return next(variables_in(value, ("",)), None) is not None

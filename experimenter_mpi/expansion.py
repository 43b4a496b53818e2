"""Expand a configuration into the configurations of its trials, one at a time."""

from __future__ import annotations

import sys
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import ConfigurationError
from .variables import MatchIterableVariable, Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Path = tuple[str, ...]

# What nobody can change needs no copy for each trial, nor a look at how it is copied.
_SHARED = frozenset({bool, float, int, str, type(None)})


class Axis(NamedTuple):
    """One variable of a configuration: where it stands and what it takes."""

    path: Path
    values: tuple[Any, ...]


def longest_range(configuration: Any) -> int:
    """Give the largest number of values that a variable makes, without making them."""
    found = _variables(configuration, ())
    return max((getattr(variable, "n", 0) for _, variable in found), default=0)


class Expansion:
    """The trials of a configuration: nested ``for`` loops over it, top to bottom.

    Later keys vary fastest. Variables may stand at the top level or inside nested
    dictionaries; everything else is the same in every trial.

    Raises:
        ConfigurationError: variables inside a list or tuple, or matched variables
            whose length is not the number of trials.
    """

    def __init__(self, configuration: dict[str, Any]) -> None:
        if not isinstance(configuration, dict):
            kind = type(configuration).__name__
            msg = f"configuration must be a dict of names and values, not {kind}"
            raise ConfigurationError(msg)
        _check_names(configuration, ())
        self.configuration = configuration
        found = list(_variables(configuration, ()))
        self.axes = [Axis(p, v.values) for p, v in found if not _is_matched(v)]
        self.matched = [Axis(p, v.values) for p, v in found if _is_matched(v)]
        self.size = self._count()

    def _count(self) -> int:
        size = 1
        for axis in self.axes:
            size *= len(axis.values)
        if self.matched and not self.axes:
            size = len(self.matched[0].values)
        for axis in self.matched:
            if len(axis.values) != size:
                msg = (
                    f"MatchIterableVariable '{'.'.join(axis.path)}' has "
                    f"{len(axis.values)} values for {size} trials; give one per trial"
                )
                raise ConfigurationError(msg)
        return size

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Give the configuration of trial ``index`` alone, without the others."""
        chosen = {axis.path: axis.values[index] for axis in self.matched}
        rest = index
        for axis in reversed(self.axes):
            rest, position = divmod(rest, len(axis.values))
            chosen[axis.path] = axis.values[position]
        return _fill(self.configuration, chosen, ())

    def documents(self, encode: Callable[[Any], str]) -> Iterator[str]:
        """Give every trial's configuration as JSON text, in order.

        Each value is encoded once, and each trial only joins the texts: a grid of a
        million trials would otherwise be encoded a million times.
        """
        slots: list[Path] = []
        template = _template(self.configuration, (), slots, encode)
        order = {path: place for place, path in enumerate(slots)}
        axes = [*self.axes, *self.matched]
        texts = [tuple(map(encode, axis.values)) for axis in axes]
        columns = [order[axis.path] for axis in axes]
        in_order = columns == sorted(columns)
        for combination in _combinations(texts, len(self.axes), self.size):
            if in_order:
                yield template % combination
            else:
                placed = dict(zip(columns, combination, strict=True))
                yield template % tuple(placed[place] for place in range(len(slots)))


def _combinations(
    texts: list[tuple[str, ...]], products: int, size: int
) -> Iterator[tuple[str, ...]]:
    grid: Any = product(*texts[:products]) if products else ((),) * size
    if products == len(texts):
        return iter(grid)
    matched = zip(*texts[products:], strict=True)
    return (chosen + match for chosen, match in zip(grid, matched, strict=True))


def _is_matched(variable: Variable) -> bool:
    return isinstance(variable, MatchIterableVariable)


def _variables(value: Any, path: Path) -> Iterator[tuple[Path, Variable]]:
    if isinstance(value, Variable):
        _refuse_hidden(value.entries_given(), path, type(value).__name__)
        yield path, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            for found in _variables(entry, (*path, key)):
                _check_names(value, path)
                yield found
    else:
        _refuse_hidden([value], path, type(value).__name__)


def _check_names(value: dict[Any, Any], path: Path) -> None:
    for key in value:
        if not isinstance(key, str):
            where = f" in '{'.'.join(path)}'" if path else ""
            msg = f"configuration: the name {key!r}{where} must be a string"
            raise ConfigurationError(msg)


def _refuse_hidden(values: Iterable[Any], path: Path, inside: str) -> None:
    if any(map(_holds_variable, values)):
        msg = (
            f"configuration: '{'.'.join(map(str, path))}' holds a variable inside a "
            f"{inside}; variables may stand only as values of a dict"
        )
        raise ConfigurationError(msg)


def _holds_variable(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_variable, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_holds_variable, value))
    return isinstance(value, Variable)


def copied(value: Any) -> Any:
    """Copy dicts, lists, tuples, sets and arrays, however deep; share the rest.

    What one trial does to its configuration, no other trial on this rank may see.
    """
    kind = type(value)
    if kind is dict:
        return {key: copied(entry) for key, entry in value.items()}
    if kind in (list, tuple, set):
        return kind(map(copied, value))
    numpy = sys.modules.get("numpy")  # no numpy loaded, no arrays to copy
    return value.copy() if numpy is not None and kind is numpy.ndarray else value


def _fill(value: dict[Any, Any], chosen: dict[Path, Any], path: Path) -> dict[Any, Any]:
    filled = {}
    for key, entry in value.items():
        if type(entry) in _SHARED:
            filled[key] = entry
        elif isinstance(entry, Variable):
            here = (*path, key)
            own = chosen[here]
            filled[key] = own if type(own) in _SHARED else copied(own)
        elif isinstance(entry, dict):
            filled[key] = _fill(entry, chosen, (*path, key))
        else:
            filled[key] = copied(entry)
    return filled


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
    return next(_variables(value, ("",)), None) is not None

"""Whether a stored experiment is the one at hand, and where they differ."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import UUID

from ..experiment.points import text
from ..experiment.variables import Variable
from .documents import VARIABLE_RULES, encode_configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row

    from ..experiment.experiment import Experiment

_LONGEST_VALUE = 60
# Where an object lies in this process tells nobody anything.
_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")
_LONGEST_LIST = 10


def is_written_alike(row: Row[Any], given: Experiment) -> bool:
    """Whether the stored row says the very same, which needs no value of it read.

    So an experiment that had to be pickled goes on without ``allow_pickle``, and one
    of large arrays without loading them.
    """
    written = row.function_name, row.init_store_function_name, row.configuration
    names = given.function_name, given.init_store_function_name
    document = encode_configuration(given.configuration).document
    return (*names, document) == written and given.given_seed in (None, seed_of(row))


def seed_of(row: Row[Any]) -> int:
    """Return an experiment's seed; before schema version 6 it was the id."""
    return UUID(row.id).int if row.seed is None else int(row.seed)


def other_functions(stored: Experiment, given: Experiment) -> list[str]:
    """Return one line per function, or seed, that is another one than the stored."""
    lines = [
        f"{what}: {getattr(stored, what)} -> {getattr(given, what)}"
        for what in ("function_name", "init_store_function_name")
        if getattr(stored, what) != getattr(given, what)
    ]
    return lines + different_seeds(stored, given)


def different_seeds(stored: Experiment, given: Experiment) -> list[str]:
    """Return one line if ``given`` was made with another ``seed=``."""
    if given.given_seed in (None, stored.seed):
        return []
    return [f"seed: {stored.seed} -> {given.given_seed}"]


def summary(lines: list[str]) -> str:
    """Join differences to one line of bearable length."""
    shown = "; ".join(lines[:_LONGEST_LIST])
    rest = len(lines) - _LONGEST_LIST
    return f"{shown}; and {rest} more" if rest > 0 else shown


def _text(value: Any) -> str:
    """Return a text that is equal for equal values, variables among them."""
    return text(value, VARIABLE_RULES)


def different_values(stored: Experiment, given: Experiment) -> list[str]:
    """Return one line per parameter that takes other values, in whatever order.

    Numbers are compared by value, 4 as 4.0, and variables by what they expand to:
    ``LinearVariable(1, 3, 3)`` is ``IterableVariable([1, 2, 3])``.
    """
    ours = dict(_leaves(stored.configuration, ""))
    theirs = dict(_leaves(given.configuration, ""))
    lines = []
    for path in [*ours, *(path for path in theirs if path not in ours)]:
        if path not in theirs:
            lines.append(f"{path}: {_shown(ours[path])} -> (removed)")
        elif path not in ours:
            lines.append(f"{path}: (new) -> {_shown(theirs[path])}")
        elif not _same_values(ours[path], theirs[path]):
            lines.append(f"{path}: {_change(ours[path], theirs[path])}")
    return lines


def _same_values(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, Variable) and isinstance(theirs, Variable):
        if len(ours) != len(theirs):
            return False
        ours, theirs = list(ours.sequence), list(theirs.sequence)
    return _text(ours) == _text(theirs)


def _leaves(value: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, entry in value.items():
        here = f"{path}.{key}" if path else key
        if isinstance(entry, dict) and entry:
            yield from _leaves(entry, here)
        else:
            yield here, entry


def _change(ours: Any, theirs: Any) -> str:
    before, after = _shown(ours), _shown(theirs)
    if before == after:
        after = "the same, in another state"
    return f"{before} -> {after}"


def _shown(value: Any) -> str:
    """Return a value as the user may have written it, cut where it gets long."""
    try:
        text = " ".join(_ADDRESS.sub("", repr(value)).split())
    except Exception:  # noqa: BLE001 - of the user's own class, for example
        text = f"a {type(value).__name__}"
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"

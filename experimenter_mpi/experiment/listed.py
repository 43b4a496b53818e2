"""Several configurations, one after the other, whose parameters may differ."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .variables import Variable
from .zipped import ZippedVariable, first_ones, keys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .grid import Expansion


class Absent:
    """In the place of a parameter that a trial does not have."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "(absent)"

    def __reduce__(self) -> str:
        return "ABSENT"


ABSENT = Absent()
_PLAIN = {int, float, str, bool, type(None)}
# What it is in a document. Inside of a text the quotes would be escaped.
ABSENT_TEXT = '{"$absent":true}'
_KEY = r'"(?:[^"\\]|\\.)*":' + re.escape(ABSENT_TEXT)
_ENTRY = re.compile(f",{_KEY}|{_KEY},?")


def without_absent(document: str) -> str:
    """Return a trial's document without the parameters that it does not have."""
    return _ENTRY.sub("", document) if ABSENT_TEXT in document else document


class ListedVariable(Variable):
    """What one parameter is in each of several configurations; ``names`` are all."""

    __slots__ = ("names", "entries")  # noqa: RUF023 - the order of arguments

    names: tuple[str, ...]
    entries: tuple[Any, ...]

    def __init__(self, names: Iterable[str], iter: Iterable[Any]) -> None:  # noqa: A002
        self._set(names=keys_of(names), entries=tuple(iter))

    together: Any = ZippedVariable.together

    def entries_given(self) -> tuple[Any, ...]:
        return self.entries

    @property
    def values(self) -> tuple[Any, ...]:
        return self.entries

    sequence = values

    def with_absent(self, value: Any) -> ListedVariable:
        """Return the same with a value where there is none."""
        entries = (value if entry is ABSENT else entry for entry in self.entries)
        return ListedVariable(self.names, entries)

    @property
    def may_lack(self) -> bool:  # type: ignore[override]
        """Whether there are trials without this parameter."""
        return any(entry is ABSENT for entry in self.entries)

    def __repr__(self) -> str:
        return f"<{first_ones(self.entries)}: in this order>"


def expansions(
    configurations: list[Any], where: Callable[[Any], Any] | None
) -> list[Expansion]:
    """Return the expansion of each configuration, as it is now.

    Raises:
        ConfigurationError: one cannot be expanded, or there are none.
    """
    from .grid import Expansion

    if not configurations:
        raise ConfigurationError("configuration: the list is empty")
    for number, each in enumerate(configurations):
        if not isinstance(each, dict):
            kind = type(each).__name__
            msg = f"configuration: entry {number} must be a dict, not {kind}"
            raise ConfigurationError(msg)
    return [Expansion(each, where) for each in configurations]


def joined(found: list[Expansion]) -> dict[str, Any]:
    """Return one configuration with the points of several, equal ones once."""
    points = list(_distinct(found))
    names = list(dict.fromkeys(name for point in points for name in point))
    columns = {name: [p.get(name, ABSENT) for p in points] for name in names}
    same = {name: column[0] for name, column in columns.items() if _is_same(column)}
    if len(same) == len(names):
        same = {}
    varying = [name for name in names if name not in same]
    return {
        name: same[name] if name in same else ListedVariable(varying, columns[name])
        for name in names
    }


def _distinct(found: list[Expansion]) -> Iterator[dict[str, Any]]:
    """Yield each point as often as the configuration that has it most often."""
    from .points import text

    yielded: Counter[str] = Counter()
    for expansion in found:
        own: Counter[str] = Counter()
        for index in range(expansion.size):
            point = expansion[index]
            known = text(point)
            own[known] += 1
            if own[known] > yielded[known]:
                yielded[known] += 1
                yield point


def _is_same(column: list[Any]) -> bool:
    kinds = set(map(type, column))
    return len(kinds) == 1 and kinds <= _PLAIN and len(set(column)) == 1

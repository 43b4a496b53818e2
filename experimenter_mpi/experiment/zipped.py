"""Keys that move together: several parameters that are one axis of the product."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .variables import Variable, entries_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_SHOWN = 5


class ZippedVariable(Variable):
    """What one of several keys takes that move together; ``names`` are those keys.

    They find each other by standing in one dict, so each of them has to be there.
    Made by ``zipped`` and ``table``.
    """

    __slots__ = ("names", "entries")  # noqa: RUF023 - the order of arguments

    names: tuple[str, ...]
    entries: tuple[Any, ...]

    def __init__(self, names: Iterable[str], iter: Iterable[Any]) -> None:  # noqa: A002
        self._set(names=keys_of(names), entries=entries_of("zipped", iter))

    def together(self, path: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        return tuple((*path[:-1], name) for name in self.names)

    def entries_given(self) -> tuple[Any, ...]:
        return self.entries

    @property
    def values(self) -> tuple[Any, ...]:
        return self.entries

    @property
    def sequence(self) -> tuple[Any, ...]:
        return self.entries

    def __repr__(self) -> str:
        names = " and ".join(self.names)
        return f"<{first_ones(self.entries)}: {names} move together>"


def first_ones(entries: tuple[Any, ...]) -> str:
    """Return the first values, and how many there are besides."""
    shown = ", ".join(map(repr, entries[:_MOST_SHOWN]))
    more = len(entries) - _MOST_SHOWN
    return f"{shown}, and {more} more" if more > 0 else shown


def keys_of(names: Iterable[Any]) -> tuple[str, ...]:
    """Return the keys that move together, as a database may say which."""
    keys = tuple(names)
    if not all(isinstance(key, str) for key in keys):
        raise ConfigurationError("the names of what moves together must be text")
    return keys


def zipped(**columns: Iterable[Any]) -> dict[str, ZippedVariable]:
    """Return parameters that move together, as one axis of the product.

    Write ``**zipped(T=[1.0, 2.0], h=[0.1, 0.2])`` among the others of a configuration:
    trials have the first T with the first h, and the second with the second. Each of
    them may be a list or a variable.

    Raises:
        ConfigurationError: there are none, or their lengths differ.
    """
    columns = {
        name: column.values if isinstance(column, Variable) else column
        for name, column in columns.items()
    }
    return joined("zipped", columns)


def joined(maker: str, columns: dict[str, Any]) -> dict[str, ZippedVariable]:
    """Return columns of one axis by their names; ``maker`` is named in errors."""
    if not columns:
        raise ConfigurationError(f"{maker}: no parameters")
    found = {}
    for name, column in columns.items():
        entries = entries_of(f"{maker}: {name}", column)
        found[name] = ZippedVariable(columns, entries)
    lengths = {name: len(variable) for name, variable in found.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
        msg = f"{maker}: all need the same number of values, but {said}"
        raise ConfigurationError(msg)
    return found

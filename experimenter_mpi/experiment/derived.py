"""Parameters that follow from the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .paths import entry_at, with_entry
from .tabulation import Lookup, steps_of, tabulated
from .variables import Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .grid import Axis, Path


class Derived(Variable):
    """A value that a function computes from the rest of the trial's configuration.

    ``"dt": Derived(lambda c: 0.1 * c["dx"] ** 2)`` adds no trials. The function gets
    the whole configuration of a trial, with the derived values that stand above its
    own, and is called on rank 0 alone, when the values are first needed: once for each
    combination of the parameters that it looks at. It must not depend on anything else.
    Its values are stored, and its text for people to read; nothing runs it from there.
    """

    __slots__ = ("function",)

    function: Callable[[Any], Any]
    is_derived = True
    is_known = False

    def __init__(self, function: Callable[[Any], Any]) -> None:
        if not callable(function):
            msg = f"Derived needs a function of the configuration, not {function!r}"
            raise ConfigurationError(msg)
        self._set(function=function)


class DerivedVariable(Variable):
    """The values that a function gave, as a table over the axes that it looked at.

    ``of`` are the paths of these, the last one moves fastest, or None for all trials
    one by one. ``source`` is the function's text.
    """

    __slots__ = ("source", "of", "entries")  # noqa: RUF023 - the order of arguments

    source: str
    of: tuple[Path, ...] | None
    entries: tuple[Any, ...]
    is_derived = True

    def __init__(
        self,
        source: str,
        of: Iterable[Iterable[str]] | None,
        iter: Iterable[Any],  # noqa: A002 - as of the other variables
    ) -> None:
        paths = None if of is None else tuple(map(tuple, of))
        self._set(source=source, of=paths, entries=tuple(iter))

    def entries_given(self) -> tuple[Any, ...]:
        return self.entries

    @property
    def values(self) -> tuple[Any, ...]:
        return self.entries

    @property
    def sequence(self) -> tuple[Any, ...]:
        return self.entries

    def __repr__(self) -> str:
        return f"<derived: {self.source}>"


def resolved(configuration: dict[str, Any], paths: list[Path]) -> dict[str, Any]:
    """Return a configuration with the values of what is derived, from top to bottom.

    Raises:
        ConfigurationError: a function failed.
    """
    from .grid import Expansion
    from .source_text import source_text

    for number, path in enumerate(paths):
        above = configuration
        for other in paths[number:]:
            above = with_entry(above, other, None)
        function = entry_at(configuration, path).function
        what = f"configuration: '{'.'.join(path)}'"
        of, entries = tabulated(what, function, Expansion(above))
        variable = DerivedVariable(source_text(function), of, entries)
        configuration = with_entry(configuration, path, variable)
    return configuration


def attach(
    found: list[tuple[Path, Any]], axes: list[Axis], matched: list[Axis], size: int
) -> None:
    """Put what is derived beside the axis that it is of, or beside the product.

    Raises:
        ConfigurationError: it is of other parameters, as a database may say.
    """
    from .grid import Axis

    first = [axis.path for axis in axes]
    for path, variable in found:
        of, entries = variable.of, variable.entries
        known = of is None or all(each in first for each in of)
        places = [first.index(each) for each in of or ()] if known else []
        steps = steps_of(axes, places)
        needed = size if of is None else math.prod(length for _, length in steps)
        if not known or len(entries) != needed:
            msg = f"configuration: '{'.'.join(path)}' is derived from other parameters"
            raise ConfigurationError(msg)
        if len(places) == 1:
            axis = axes[places[0]]
            own = Axis(path, entries)
            axes[places[0]] = axis._replace(others=(*axis.others, own))
        else:
            values: Any = entries if of is None else Lookup(axes, places, entries)
            matched.append(Axis(path, values))

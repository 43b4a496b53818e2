"""A product with holes: the points that a function keeps."""

from __future__ import annotations

import operator
from bisect import bisect_right
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .paths import entry_at, with_entry
from .source_text import source_text
from .tabulation import Lookup, steps_of, tabulated
from .variables import Variable
from .zipped import keys_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .grid import Axis, Expansion, Path

    Ranges = tuple[tuple[int, int], ...]


class KeptPoints:
    """The values of one parameter at the points that are kept of a product.

    At point ``m`` of the product it is at place ``m // stride % len(values)``.
    """

    def __init__(self, ranges: Ranges, stride: int, values: Any) -> None:
        self._ranges, self._stride, self._values = ranges, stride, values
        counts = accumulate((stop - start for start, stop in ranges), initial=0)
        self._before = list(counts)

    def __len__(self) -> int:
        return self._before[-1]

    def __getitem__(self, k: int) -> Any:
        if not 0 <= k < self._before[-1]:
            raise IndexError(k)
        piece = bisect_right(self._before, k) - 1
        return self._at(self._ranges[piece][0] + k - self._before[piece])

    def __iter__(self) -> Iterator[Any]:
        for start, stop in self._ranges:
            yield from map(self._at, range(start, stop))

    def _at(self, point: int) -> Any:
        return self._values[point // self._stride % len(self._values)]

    def mapped(self, function: Callable[[Any], Any]) -> KeptPoints:
        """Return the same of other values, each of which is made once."""
        return KeptPoints(
            self._ranges, self._stride, tuple(map(function, self._values))
        )


class KeptVariable(Variable):
    """What one of several parameters takes where ``where`` keeps their product.

    ``paths`` are all of them, in the order of the product, which move together;
    ``kept`` are ranges of its points, and ``where`` is the text of the function.
    """

    __slots__ = ("where", "paths", "variable", "stride", "kept")  # noqa: RUF023

    where: str
    paths: tuple[Path, ...]
    variable: Variable
    stride: int
    kept: Ranges

    def __init__(
        self,
        where: str,
        paths: Iterable[Iterable[str]],
        variable: Variable,
        stride: int,
        kept: Iterable[Iterable[int]],
    ) -> None:
        ranges: Any = tuple(map(tuple, kept))
        _check(variable, stride, ranges)
        self._set(where=where, paths=tuple(map(keys_of, paths)), variable=variable)
        self._set(stride=stride, kept=ranges)

    def entries_given(self) -> tuple[Any, ...]:
        return self.variable.entries_given()

    def together(self, path: Path) -> tuple[Path, ...]:  # noqa: ARG002
        return self.paths

    @property
    def n(self) -> int:
        """How many values there are before any is left out."""
        return getattr(self.variable, "n", 0)

    @property
    def values(self) -> Any:
        return KeptPoints(self.kept, self.stride, self.variable.sequence)

    sequence = values

    def __repr__(self) -> str:
        return f"<{self.variable!r} where {self.where}>"


def _check(variable: Any, stride: Any, kept: Any) -> None:
    """Refuse what a database may say."""
    ends = [end for piece in kept for end in piece]
    if (
        not isinstance(variable, Variable)
        or not ends
        or {len(piece) for piece in kept} != {2}
        or {type(number) for number in (stride, *ends)} != {int}
        or not 0 <= ends[0] <= ends[-1]
        or stride < 1
        or not all(map(operator.lt, ends, ends[1:]))
    ):
        raise ConfigurationError("the points that `where` keeps are not valid")


def filtered(
    configuration: dict[str, Any], where: Callable[[Any], Any], whole: Expansion
) -> dict[str, Any]:
    """Return a configuration of the points that ``where`` keeps, in the same order.

    ``whole`` is the product. Its axes from the first that matters to the last become
    one, and the others stay as they are.

    Raises:
        ConfigurationError: it failed, or keeps nothing.
    """
    of, table = tabulated("configuration: where=", where, whole)
    given = [each for each in whole.matched if not isinstance(each.values, Lookup)]
    first = [axis.path for axis in whole.axes]
    places = [first.index(path) for path in of or ()]
    axes = slice(0, None)  # all of them, where a matched variable would be cut
    if of is not None and not given:
        axes = slice(places[0], places[-1] + 1) if places else slice(0, 0)
    entries: Any = table
    if of is not None:
        chosen = [place - axes.start for place in places]
        entries = Lookup(whole.axes[axes], chosen, table)
    if of == [] and given:
        entries = table * whole.size
    ranges = tuple(_ranges(entries))
    if not ranges:
        msg = f"configuration: where= keeps none of the {whole.size} trials"
        raise ConfigurationError(msg)
    strides = {each.path: stride for each, stride in _columns(whole.axes[axes])}
    strides |= {each.path: 1 for each in given}
    variables = {path: entry_at(configuration, path) for path in strides}
    own = {path: each for path, each in variables.items() if not each.is_derived}
    text, paths = source_text(where), list(own)
    for path, each in own.items():
        kept = KeptVariable(text, paths, each, strides[path], ranges)
        configuration = with_entry(configuration, path, kept)
    return configuration


def _columns(axes: list[Axis]) -> Iterator[tuple[Axis, int]]:
    """Yield each parameter of a product, and how many points it stays at a place."""
    for (stride, _), axis in zip(steps_of(axes, range(len(axes))), axes, strict=True):
        yield from ((each, stride) for each in axis.columns)


def _ranges(entries: Iterable[Any]) -> Iterator[tuple[int, int]]:
    start, place = None, -1
    for place, keep in enumerate(entries):
        if keep and start is None:
            start = place
        elif not keep and start is not None:
            yield start, place
            start = None
    if start is not None:
        yield start, place + 1

"""Points that are drawn: random ones, and designs that fill space evenly."""

from __future__ import annotations

import operator
import warnings
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .distributions import Distribution, Uniform
from .paths import entry_at, with_entry
from .variables import Variable
from .zipped import ZippedVariable, keys_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .grid import Path

_OF_SCIPY = {"sobol": "Sobol", "halton": "Halton", "latin": "LatinHypercube"}
METHODS = ("random", *_OF_SCIPY)
_PAIR = 2


def sampled(
    n: int, method: str = "random", /, *, seed: int = 0, **axes: Any
) -> dict[str, SampledAxis]:
    """Return parameters that are drawn together, as one axis of ``n`` places.

    Write ``**sampled(64, "sobol", x=(0, 1), y=LogUniform(1e-4, 1))`` among the others
    of a configuration. ``method`` is "random", or "sobol", "halton" or "latin", which
    need scipy: the extra ``designs``. The same ``seed`` gives the same points, and more
    of them begin with the same ones, but for "latin". They are drawn on rank 0 when
    they are first needed, and stored.

    Raises:
        ConfigurationError: an argument is not one of these.
    """
    if method not in METHODS:
        msg = f"sampled: method must be one of {', '.join(METHODS)}, not {method!r}"
        raise ConfigurationError(msg)
    count, seed = _number("n", n, 1), _number("seed", seed, 0)
    if not axes:
        raise ConfigurationError("sampled: no parameters")
    design = Design(count, method, seed, {k: _axis(k, v) for k, v in axes.items()})
    return {name: SampledAxis(design, name) for name in axes}


def _number(name: str, value: Any, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        kind = f"a whole number of {least} or more"
        msg = f"sampled: {name} must be {kind}, not {value!r}"
        raise ConfigurationError(msg)
    return number


def _axis(name: str, given: Any) -> Distribution:
    if isinstance(given, (tuple, list)) and len(given) == _PAIR:
        return Uniform(*given)
    if not isinstance(given, Distribution):
        msg = (
            f"sampled: {name} must be (low, high), Uniform, LogUniform, Normal, "
            f"Integers, LogIntegers or Choice, not {given!r}"
        )
        raise ConfigurationError(msg)
    return given


class Design:
    """``n`` points of all its parameters, drawn once, when they are first needed."""

    def __init__(
        self, n: int, method: str, seed: int, axes: dict[str, Distribution]
    ) -> None:
        self.n, self._method, self._seed, self.axes = n, method, seed, axes
        self._columns: dict[str, list[Any]] = {}

    def __repr__(self) -> str:
        axes = ", ".join(f"{name}={axis!r}" for name, axis in self.axes.items())
        return f"sampled({self.n}, {self._method!r}, seed={self._seed}, {axes})"

    def __deepcopy__(self, memo: Any) -> Design:
        return self

    def column(self, name: str) -> list[Any]:
        """Return the values of one parameter."""
        if not self._columns:
            units = self._units().T
            self._columns = {
                each: axis.values(column.tolist())
                for (each, axis), column in zip(self.axes.items(), units, strict=True)
            }
        return self._columns[name]

    def _units(self) -> Any:
        """Return an array of numbers from 0 to 1, a row for each point."""
        from numpy.random import PCG64, Generator

        generator, dimensions = Generator(PCG64(self._seed)), len(self.axes)
        if self._method == "random":
            return generator.random((self.n, dimensions))
        kind = getattr(_qmc(self._method), _OF_SCIPY[self._method])
        try:
            engine = kind(dimensions, rng=generator)
        except TypeError:  # before scipy 1.15
            engine = kind(dimensions, seed=generator)
        if self._method == "sobol" and self.n & (self.n - 1):
            below = 1 << (self.n.bit_length() - 1)
            msg = (
                f"a Sobol design is balanced if n is a power of two, as {below} or "
                f"{2 * below}; this one has n={self.n}"
            )
            warnings.warn(msg, stacklevel=2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # says the same
            return engine.random(self.n)


def _qmc(method: str) -> Any:
    try:
        from scipy.stats import qmc
    except ImportError as error:
        msg = (
            f"sampled: the method '{method}' needs scipy; install it with "
            '`pip install "experimenter_mpi[designs]"`'
        )
        raise ConfigurationError(msg) from error
    return qmc


class SampledAxis(Variable):
    """One parameter of a design that may not be drawn yet."""

    __slots__ = ("design", "name")

    design: Design
    name: str
    is_known = False

    def __init__(self, design: Design, name: str) -> None:
        self._set(design=design, name=name)

    def together(self, path: Path) -> tuple[Path, ...]:
        return tuple((*path[:-1], name) for name in self.design.axes)

    @property
    def values(self) -> range:  # type: ignore[override]
        """As many as it has: which they are is not known yet."""
        return range(self.design.n)

    sequence = values

    def drawn(self) -> SampledVariable:
        """Return the same with its values."""
        column = self.design.column(self.name)
        return SampledVariable(self.design.axes, repr(self.design), column)

    def __repr__(self) -> str:
        return f"<{self.name} of {self.design!r}>"


class SampledVariable(Variable):
    """The values of one parameter of a design; ``design`` says how it was drawn."""

    __slots__ = ("names", "design", "entries")  # noqa: RUF023 - the order of arguments

    names: tuple[str, ...]
    design: str
    entries: tuple[Any, ...]

    def __init__(
        self,
        names: Iterable[str],
        design: str,
        iter: Iterable[Any],  # noqa: A002 - as of the other variables
    ) -> None:
        self._set(names=keys_of(names), design=design, entries=tuple(iter))

    together: Any = ZippedVariable.together

    def entries_given(self) -> tuple[Any, ...]:
        return self.entries

    @property
    def values(self) -> tuple[Any, ...]:
        return self.entries

    sequence = values

    def __repr__(self) -> str:
        return f"<{len(self.entries)} values of {self.design}>"


def drawn(configuration: dict[str, Any], paths: list[Path]) -> dict[str, Any]:
    """Return a configuration with the values of what is at these paths."""
    for path in paths:
        variable = entry_at(configuration, path).drawn()
        configuration = with_entry(configuration, path, variable)
    return configuration

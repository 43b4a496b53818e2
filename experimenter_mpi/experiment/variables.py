"""What a configuration may vary: each variable is a finite list of values."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# Of so many values at either end it is tested whether they are whole numbers.
_TESTED = 1000


class _Computed(Sequence[Any]):
    """A sequence of ``n`` values of which none is kept."""

    __slots__ = ("_n", "_value")

    def __init__(self, n: int, value: Callable[[int], Any]) -> None:
        self._n = n
        self._value = value

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self._n:
            raise IndexError(index)
        return self._value(index)

    def __iter__(self) -> Iterator[Any]:
        return map(self._value, range(self._n))


class Variable:
    """Base of all variables: ``values`` is the tuple of what it takes, in order.

    ``sequence`` has the same values, and takes no memory for many of them.

    Immutable, and equal to one of the same kind with equal arguments. (Not dataclasses:
    that module brings ``inspect`` with it, which no worker needs.)
    """

    __slots__: tuple[str, ...] = ()

    # Whether it follows from others, and is no axis of its own.
    is_derived = False
    # Whether its values are known, or have to be worked out: see ``unknown``.
    is_known = True
    # Whether there are trials without it, which is of a list of configurations.
    may_lack = False

    def together(
        self,
        path: tuple[str, ...],  # noqa: ARG002
    ) -> tuple[tuple[str, ...], ...] | None:
        """Return the paths of what moves together with it, its own among them."""
        return None

    @property
    def values(self) -> tuple[Any, ...]:
        return tuple(self.sequence)

    @property
    def sequence(self) -> Sequence[Any]:
        raise NotImplementedError

    def _set(self, **arguments: Any) -> None:
        for name, value in arguments.items():
            object.__setattr__(self, name, value)

    def arguments(self) -> tuple[Any, ...]:
        """Return what the variable was made of, in order."""
        return tuple(getattr(self, name) for name in self.__slots__)

    def entries_given(self) -> tuple[Any, ...]:
        """Return the values that the user wrote, none of them twice."""
        return ()

    def __len__(self) -> int:
        return len(self.sequence)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Variable) or type(self) is not type(other):
            return NotImplemented
        return self.arguments() == other.arguments()

    def __hash__(self) -> int:
        return hash((type(self), self.arguments()))

    def __repr__(self) -> str:
        arguments = ", ".join(map(repr, self.arguments()))
        return f"{type(self).__name__}({arguments})"

    def __setattr__(self, name: str, value: Any) -> None:
        msg = f"a {type(self).__name__} cannot be changed; create another one"
        raise AttributeError(msg)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.arguments()


class LinearVariable(Variable):
    """``n`` evenly spaced floats from ``min`` to ``max``, both ends exact.

    ``n=1`` gives ``min``. For whole numbers see ``IntegerVariable``.

    Raises:
        ConfigurationError: ``n < 1``, or an end that is no finite number.
    """

    __slots__ = ("min", "max", "n")  # noqa: RUF023 - the order of arguments

    min: float
    max: float
    n: int

    def __init__(self, min: float, max: float, n: int) -> None:  # noqa: A002
        self._set(**_checked_range("LinearVariable", min, max, n))

    @property
    def sequence(self) -> Sequence[Any]:
        low, high, n = self.min, self.max, self.n
        if _whole(low, high) and (n == 1 or (high - low) % (n - 1) == 0):
            step = 0 if n == 1 else (high - low) // (n - 1)
            return _Computed(n, lambda i: float(low + i * step))
        ends = float(low), float(high)
        return _with_ends(low, lambda i: _between(*ends, i, n - 1), high, n)


class LogLinearVariable(Variable):
    """``n`` floats from ``min`` to ``max``, evenly spaced in the logarithm.

    Ends are exact: ``LogLinearVariable(1, 100, 3)`` is 1.0, 10.0, 100.0. ``n=1`` gives
    ``min``.

    Raises:
        ConfigurationError: ``n < 1``, or an end that is not finite and positive.
    """

    __slots__ = ("min", "max", "n")  # noqa: RUF023 - the order of arguments

    min: float
    max: float
    n: int

    def __init__(self, min: float, max: float, n: int) -> None:  # noqa: A002
        self._set(**_checked_range("LogLinearVariable", min, max, n))
        for name, bound in (("min", self.min), ("max", self.max)):
            if bound <= 0:
                msg = f"LogLinearVariable: {name} must be positive, not {bound!r}"
                raise ConfigurationError(msg)

    @property
    def sequence(self) -> Sequence[Any]:
        low, high, n = math.log10(self.min), math.log10(self.max), self.n

        def power(i: int) -> float:
            return float(10 ** (low + (high - low) * (i / (n - 1))))

        def rounded(i: int) -> float:
            return float(round(power(i)))

        is_whole = _whole(self.min, self.max) and all(
            _nearly_whole(power(i)) for i in _tested(n)
        )
        return _with_ends(self.min, rounded if is_whole else power, self.max, n)


class IntegerVariable(Variable):
    """The whole numbers from ``min`` to ``max``, or every ``step``-th of them.

    Both ends are among them: ``IntegerVariable(10, 50, 20)`` is 10, 30, 50.

    Raises:
        ConfigurationError: an argument is no whole number, ``max < min``,
            ``step < 1``, or the steps do not lead to ``max``.
    """

    __slots__ = ("min", "max", "step")  # noqa: RUF023 - the order of arguments

    min: int
    max: int
    step: int

    def __init__(self, min: int, max: int, step: int = 1) -> None:  # noqa: A002
        numbers = {"min": min, "max": max, "step": step}
        self._set(**{name: _whole_number(name, numbers[name]) for name in numbers})
        if self.step < 1 or self.max < self.min:
            what = "step must be 1 or more" if self.step < 1 else "max is below min"
            raise ConfigurationError(f"{self!r}: {what}")
        if last := (self.max - self.min) % self.step:
            near = self.max - last
            msg = (
                f"{self!r}: these steps lead to {near} and {near + self.step}, not to "
                f"{self.max}; choose one of them as max"
            )
            raise ConfigurationError(msg)

    def __repr__(self) -> str:
        step = "" if self.step == 1 else f", {self.step}"
        return f"IntegerVariable({self.min}, {self.max}{step})"

    @property
    def n(self) -> int:
        """How many values there are."""
        return (self.max - self.min) // self.step + 1

    @property
    def sequence(self) -> Sequence[int]:
        return range(self.min, self.max + 1, self.step)


class RepeatVariable(Variable):
    """The same ``value`` ``n`` times: repetitions of a stochastic trial."""

    __slots__ = ("value", "n")  # noqa: RUF023 - the order of arguments

    value: Any
    n: int

    def __init__(self, value: Any, n: int) -> None:
        self._set(value=value, n=_count("RepeatVariable", n))

    def entries_given(self) -> tuple[Any, ...]:
        return (self.value,)

    @property
    def sequence(self) -> Sequence[Any]:
        return _Computed(self.n, lambda _: self.value)


class IterableVariable(Variable):
    """The values of an iterable, read once, when the variable is made."""

    __slots__ = ("entries",)

    entries: tuple[Any, ...]

    def __init__(self, iter: Iterable[Any]) -> None:  # noqa: A002
        self._set(entries=entries_of("IterableVariable", iter))

    def entries_given(self) -> tuple[Any, ...]:
        return self.entries

    @property
    def sequence(self) -> Sequence[Any]:
        return self.entries


class MatchIterableVariable(Variable):
    """Entry *i* goes to trial *i*: matched to the product, not part of it.

    Its length must equal the number of trials of the product; without any product
    variable, matched variables of one length *n* give *n* trials. For parameters that
    move together within the product use ``zipped``.
    """

    __slots__ = ("entries",)

    entries: tuple[Any, ...]

    def __init__(self, iter: Iterable[Any]) -> None:  # noqa: A002
        self._set(entries=entries_of("MatchIterableVariable", iter))

    def entries_given(self) -> tuple[Any, ...]:
        return self.entries

    @property
    def sequence(self) -> Sequence[Any]:
        return self.entries


def _checked_range(name: str, low: Any, high: Any, n: Any) -> dict[str, Any]:
    return {
        "min": _bound(name, "min", low),
        "max": _bound(name, "max", high),
        "n": _count(name, n),
    }


def _bound(variable: str, name: str, value: Any) -> float:
    """Return ``value`` as a plain finite int or float (numpy's numbers included)."""
    number = _number(value)
    if number is None or not _is_finite(number):
        msg = f"{variable}: {name} must be a finite number, not {value!r}"
        raise ConfigurationError(msg)
    return number


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer beyond the largest float
        return False


def _number(value: Any) -> float | None:
    if isinstance(value, (bool, str, bytes)):
        return None
    try:
        return operator.index(value)
    except TypeError:
        pass
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _count(variable: str, n: Any) -> int:
    try:
        count = operator.index(n)
    except TypeError:
        count = 0
    if count < 1 or isinstance(n, bool):
        msg = f"{variable}: n must be a whole number of 1 or more, not {n!r}"
        raise ConfigurationError(msg)
    return count


def _whole_number(name: str, value: Any) -> int:
    number = _number(value)
    if not isinstance(number, int):
        msg = f"IntegerVariable: {name} must be a whole number, not {value!r}"
        raise ConfigurationError(msg)
    return number


def entries_of(variable: str, iterable: Any) -> tuple[Any, ...]:
    """Return the values of an iterable; ``variable`` is named in errors."""
    advice = _advice(iterable)
    if advice is not None:
        kind = type(iterable).__name__
        raise ConfigurationError(f"{variable}: got {kind}, {advice}")
    try:
        entries = tuple(iterable)
    except TypeError:
        msg = f"{variable}: {iterable!r} is not iterable; pass a list of values"
        raise ConfigurationError(msg) from None
    if not entries:
        msg = f"{variable}: no values, so there would be no trials"
        raise ConfigurationError(msg)
    return entries


def _advice(iterable: Any) -> str | None:
    """Say what to give in place of what can be iterated, but surely is not meant so."""
    if isinstance(iterable, (set, frozenset)):
        return "whose order may differ between ranks; pass sorted(...) of it"
    if isinstance(iterable, (str, bytes, bytearray)):
        return "not a list of values; pass [...]"
    if any(base.__name__ == "DataFrame" for base in type(iterable).__mro__):
        return "not a list of values; pass one of its columns, frame['name']"
    return None


def _between(low: float, high: float, i: int, steps: int) -> float:
    """Return ``low + (high - low) * i / steps``, multiplied before it is divided.

    1 + 1 * 3 / 10 is 1.3, while 1 + 3 * 0.1 is not. Where that would overflow, give
    the ends their weights instead.
    """
    offset = (high - low) * i
    if math.isfinite(offset):
        return low + offset / steps
    return low * ((steps - i) / steps) + high * (i / steps)


def _tested(n: int) -> Iterable[int]:
    """Return which inner values of a logarithmic variable to look at, of very many.

    Powers that are whole at both ends for so long are so in between.
    """
    inner = range(1, n - 1)
    if len(inner) <= 2 * _TESTED:
        return inner
    return (*inner[:_TESTED], *inner[-_TESTED:])


def _with_ends(
    low: float, inner: Callable[[int], float], high: float, n: int
) -> Sequence[float]:
    first, last = float(low), float(high)

    def value(i: int) -> float:
        if i == 0:
            return first
        return last if i == n - 1 else inner(i)

    return _Computed(n, value)


def _whole(*bounds: float) -> bool:
    return all(isinstance(bound, int) for bound in bounds)


def _nearly_whole(value: float) -> bool:
    # Powers computed through logarithms are a few units in the last place off.
    return abs(value - round(value)) <= 8 * math.ulp(value)

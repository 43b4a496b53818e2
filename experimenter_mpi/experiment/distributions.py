"""What a sampled parameter may take: values for numbers from 0 to 1."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

# Numbers from 0 to 1 are multiples of less than this, and none may be an end of it.
_TINY = 2.0**-54


class Distribution:
    """Base of all: immutable, and printed as it is written."""

    __slots__ = ("arguments",)

    arguments: tuple[Any, ...]

    def values(self, units: Iterable[float]) -> list[Any]:
        """Return a value for each number from 0 up to, and without, 1."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(repr, self.arguments))})"

    def _refuse(self, why: str) -> None:
        raise ConfigurationError(f"{self!r}: {why}")

    def _set_numbers(self, *numbers: Any) -> None:
        self.arguments = numbers
        for number in numbers:
            try:
                if math.isfinite(number) and not isinstance(number, bool):
                    continue
            except (TypeError, OverflowError):
                pass
            self._refuse(f"{number!r} is not a finite number")

    def _set_integers(self, low: Any, high: Any) -> None:
        self.arguments = low, high
        try:
            self.arguments = operator.index(low), operator.index(high)
        except TypeError:
            self._refuse("both ends must be whole numbers")

    def _require_order(self) -> None:
        low, high = self.arguments
        if not low < high:
            self._refuse("the first number must be below the second")


class Uniform(Distribution):
    """Floats from ``low`` to ``high``; a pair ``(low, high)`` means the same."""

    __slots__ = ()

    def __init__(self, low: float, high: float) -> None:
        self._set_numbers(low, high)
        self._require_order()

    def values(self, units: Iterable[float]) -> list[float]:
        low, high = map(float, self.arguments)
        return [min(low * (1 - u) + high * u, high) for u in units]


class LogUniform(Distribution):
    """Floats from ``low`` to ``high`` whose logarithms are uniform."""

    __slots__ = ()

    def __init__(self, low: float, high: float) -> None:
        self._set_numbers(low, high)
        self._require_order()
        if low <= 0:
            self._refuse("both ends must be positive")

    def values(self, units: Iterable[float]) -> list[float]:
        low, high = map(float, self.arguments)
        logs = Uniform(math.log(low), math.log(high)).values(units)
        return [min(max(math.exp(each), low), high) for each in logs]


class Normal(Distribution):
    """Floats of a normal distribution, by its mean and standard deviation."""

    __slots__ = ()

    def __init__(self, mean: float, deviation: float) -> None:
        self._set_numbers(mean, deviation)
        if deviation <= 0:
            self._refuse("the standard deviation must be positive")

    def values(self, units: Iterable[float]) -> list[float]:
        from statistics import NormalDist

        inverse = NormalDist(*self.arguments).inv_cdf
        return [inverse(max(u, _TINY)) for u in units]


class Integers(Distribution):
    """Whole numbers from ``low`` to ``high``, both among them."""

    __slots__ = ()

    def __init__(self, low: int, high: int) -> None:
        self._set_integers(low, high)
        self._require_order()

    def values(self, units: Iterable[float]) -> list[int]:
        low, high = self.arguments
        count = high - low + 1
        return [min(low + int(u * count), high) for u in units]


class LogIntegers(Distribution):
    """Whole numbers from ``low`` to ``high`` whose logarithms are about uniform."""

    __slots__ = ()

    def __init__(self, low: int, high: int) -> None:
        self._set_integers(low, high)
        self._require_order()
        if low < 1:
            self._refuse("both ends must be 1 or more")

    def values(self, units: Iterable[float]) -> list[int]:
        low, high = self.arguments
        floats = LogUniform(low, high + 1).values(units)
        return [min(int(each), high) for each in floats]


class Choice(Distribution):
    """One of the options, each as often as the others."""

    __slots__ = ()

    def __init__(self, *options: Any) -> None:
        self.arguments = options
        if not options:
            self._refuse("there is nothing to choose from")

    def values(self, units: Iterable[float]) -> list[Any]:
        count = len(self.arguments)
        return [self.arguments[min(int(u * count), count - 1)] for u in units]

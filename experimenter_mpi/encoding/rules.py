"""What JSON lacks: a table of tags, each with how it is written and read back.

A tag is the first key of an object and starts with one "$". Reading calls only the
functions of this table, never anything that a document names.
"""

from __future__ import annotations

import json
import math
import sys
from binascii import a2b_base64, b2a_base64
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")
# What nobody can change, by types that are looked up at once.
IMMUTABLE = frozenset(
    {bool, float, int, str, type(None), complex, bytes, range, type(...)}
)
# Where a document says which of its nulls are NaN: no tag, but reserved as they are.
NAN_KEY = "$nan"


class Rule(NamedTuple):
    """How values of exactly one type stand in a document.

    ``to_plain`` gives what stands under ``"$tag"``, to be encoded in its turn. With
    ``fields`` it gives a tuple, whose later entries stand under those names beside
    the tag (None: left out). ``from_plain`` is called with the same again, decoded,
    and may raise anything: the document is then corrupt. ``to_plain`` may give
    NotImplemented: this value cannot be stored by the rule. A type of a module that
    may not be loaded is given as text, ``"decimal.Decimal"``.
    """

    tag: str
    type: type | str
    to_plain: Callable[[Any], Any]
    from_plain: Callable[..., Any]
    fields: tuple[str, ...] = ()


class ArrayRecord(NamedTuple):
    """An array that a document refers to by ``id``, kept apart from it.

    ``dtype`` is JSON text as of ``numpy.lib.format.dtype_to_descr``; ``data`` lies in
    ``order`` "C" or "F" and may be the memory of the array itself. Without ``data``
    the bytes are ``dataset`` of ``file``. ``path`` says where in the value the array
    stood: "spins" or "a.b.0", and "" where the value is the array.
    """

    id: str
    dtype: str
    shape: tuple[int, ...]
    order: str
    data: bytes | memoryview | None
    path: str
    file: str | None = None
    dataset: str | None = None

    @property
    def nbytes(self) -> int:
        if self.data is not None:
            return len(self.data)
        return _itemsize(json.loads(self.dtype)) * math.prod(self.shape)


def _itemsize(descr: Any) -> int:
    if isinstance(descr, str):
        size = int(descr[2:].partition("[")[0])
        return 4 * size if descr[1] == "U" else size
    return sum(_itemsize(field[1]) * math.prod(*(field[2:] or [()])) for field in descr)


def expect(kind: type[T], value: Any) -> T:
    """Return ``value`` if it is of this very type: documents may hold anything."""
    if type(value) is not kind:
        msg = f"{kind.__name__} expected, not {type(value).__name__}"
        raise TypeError(msg)
    return value


def integers(values: Any, count: int | None = None) -> list[int]:
    """Return a list that must hold integers only, ``count`` of them."""
    numbers = [expect(int, value) for value in expect(list, values)]
    if count is not None and len(numbers) != count:
        msg = f"{count} integers expected, not {len(numbers)}"
        raise ValueError(msg)
    return numbers


def to_base64(data: bytes | bytearray | memoryview) -> str:
    """Return bytes as text that JSON can hold."""
    return b2a_base64(data, newline=False).decode("ascii")


def from_base64(text: Any) -> bytes:
    """Return the bytes of ``to_base64``, and refuse all other text."""
    data = a2b_base64(expect(str, text))  # which skips what it does not know
    if to_base64(data) != text:
        msg = "not base64"
        raise ValueError(msg)
    return data


def by_name(rules: Iterable[Rule]) -> dict[str, Rule]:
    """Index the rules of modules that may not be loaded by their types' short names."""
    return {r.type.rpartition(".")[2]: r for r in rules if isinstance(r.type, str)}


def find(named: Mapping[str, Rule], kind: type) -> Rule | None:
    """Return the rule of a type without importing its module: it is loaded, if any."""
    rule = named.get(kind.__name__)
    if rule is None or not isinstance(rule.type, str):
        return None
    module, _, name = rule.type.rpartition(".")
    return rule if getattr(sys.modules.get(module), name, None) is kind else None


# --- built-ins ----------------------------------------------------------------------


def _pairs(pairs: Any) -> dict[Any, Any]:
    keys_and_values = [expect(list, pair) for pair in expect(list, pairs)]
    # Not dict(...): that would also take the two letters of a string for a pair.
    return {key: value for key, value in keys_and_values}  # noqa: C416


def _hexadecimal(text: Any) -> int:
    number = int(expect(str, text), 16)
    if hex(number) != text:
        msg = "not a hexadecimal number"
        raise ValueError(msg)
    return number


def _real(value: Any) -> float:
    # 1 may stand for 1.0 where another tool has rewritten the document.
    return float(value) if type(value) is int else expect(float, value)


def _complex(parts: Any) -> complex:
    real, imaginary = expect(list, parts)
    return complex(_real(real), _real(imaginary))


def _special_float(text: Any) -> float:
    if text not in ("nan", "inf", "-inf"):
        msg = f"{text!r} is not NaN or an infinity"
        raise ValueError(msg)
    return float(text)  # a new one: a set keeps as many NaNs as it was given


def _slice(parts: Any) -> slice:
    start, stop, step = expect(list, parts)
    return slice(start, stop, step)


BUILTIN_RULES = (
    Rule("tuple", tuple, list, lambda items: tuple(expect(list, items))),
    Rule("set", set, list, lambda items: set(expect(list, items))),
    Rule("frozenset", frozenset, list, lambda items: frozenset(expect(list, items))),
    Rule("dict", dict, lambda value: [[k, v] for k, v in value.items()], _pairs),
    Rule("bytes", bytes, to_base64, from_base64),
    Rule("bytearray", bytearray, to_base64, lambda text: bytearray(from_base64(text))),
    Rule("complex", complex, lambda value: [value.real, value.imag], _complex),
    Rule("float", float, float.__repr__, _special_float),
    Rule("int", int, hex, _hexadecimal),
    # A high surrogate before a low one: JSON would make one character of the two.
    Rule(
        "text",
        str,
        lambda text: to_base64(text.encode("utf-8", "surrogatepass")),
        lambda text: from_base64(text).decode("utf-8", "surrogatepass"),
    ),
    Rule(
        "range",
        range,
        lambda value: [value.start, value.stop, value.step],
        lambda parts: range(*integers(parts, 3)),
    ),
    Rule("slice", slice, lambda value: [value.start, value.stop, value.step], _slice),
)

# --- the standard library -----------------------------------------------------------


def _uuid(text: Any) -> Any:
    from uuid import UUID

    return UUID(expect(str, text))


def _deque(items: Any, maxlen: Any) -> Any:
    from collections import deque

    return deque(expect(list, items), maxlen)


def _decimal(text: Any) -> Any:
    from decimal import Decimal

    return Decimal(expect(str, text))


def _fraction(parts: Any) -> Any:
    from fractions import Fraction

    return Fraction(*integers(parts, 2))


def _random(state: Any, gauss: Any) -> Any:
    from random import Random

    generator = Random()  # noqa: S311 - no secrets here
    if gauss is not None:
        expect(float, gauss)
    generator.setstate((3, tuple(integers(state, 625)), gauss))
    return generator


def _random_state(generator: Any) -> Any:
    version, state, gauss = generator.getstate()
    return (list(state), gauss) if version == 3 else NotImplemented  # noqa: PLR2004


def _path(kind: str, text: Any) -> Any:
    import pathlib

    kinds = {"path": pathlib.Path, "posixpath": pathlib.PurePosixPath}
    return kinds.get(kind, pathlib.PureWindowsPath)(expect(str, text))


def _date(text: Any) -> Any:
    from datetime import date

    return date.fromisoformat(expect(str, text))


def _timedelta(parts: Any) -> Any:
    from datetime import timedelta

    return timedelta(*integers(parts, 3))


def _timezone(parts: Any, name: Any) -> Any:
    from datetime import timezone

    offset = _timedelta(parts)
    return timezone(offset) if name is None else timezone(offset, expect(str, name))


def _timezone_parts(zone: Any) -> tuple[list[int], str | None]:
    offset, name = (*zone.__getinitargs__(), None)[:2]
    return [offset.days, offset.seconds, offset.microseconds], name


def _zoneinfo(key: Any) -> Any:
    from zoneinfo import ZoneInfo

    return ZoneInfo(expect(str, key))


def _zone_key(zone: Any) -> Any:
    return NotImplemented if zone.key is None else zone.key


def _moment(value: Any) -> Any:
    """Write a datetime or time; the text alone says all of naive and UTC offsets."""
    zone = value.tzinfo
    rule = None if zone is None else find(NAMED, type(zone))
    if zone is not None and (rule is None or rule.tag not in ("timezone", "zoneinfo")):
        return NotImplemented
    text, fold = value.isoformat(), value.fold or None
    if zone is None or repr(type(value).fromisoformat(text).tzinfo) == repr(zone):
        return text, None, fold
    if rule is not None and rule.to_plain(zone) is NotImplemented:
        return NotImplemented
    return text, zone, fold


def _read_moment(kind: Any, text: Any, zone: Any, fold: Any) -> Any:
    value = kind.fromisoformat(expect(str, text))
    # The zone's rules may have changed since: what the clock showed is kept.
    zone = value.tzinfo if zone is None else zone
    return value.replace(tzinfo=zone, fold=0 if fold is None else expect(int, fold))


def _datetime(*parts: Any) -> Any:
    from datetime import datetime

    return _read_moment(datetime, *parts)


def _time(*parts: Any) -> Any:
    from datetime import time

    return _read_moment(time, *parts)


STDLIB_RULES = (
    Rule("uuid", "uuid.UUID", str, _uuid),
    Rule(
        "deque",
        "collections.deque",
        lambda items: (list(items), items.maxlen),
        _deque,
        ("maxlen",),
    ),
    Rule("decimal", "decimal.Decimal", str, _decimal),
    Rule(
        "fraction",
        "fractions.Fraction",
        lambda value: [value.numerator, value.denominator],
        _fraction,
    ),
    Rule("random", "random.Random", _random_state, _random, ("gauss",)),
    # A path of this machine's kind; read elsewhere it is one of that machine's.
    Rule("path", "pathlib.PosixPath", str, lambda text: _path("path", text)),
    Rule("path", "pathlib.WindowsPath", str, lambda text: _path("path", text)),
    Rule(
        "posixpath",
        "pathlib.PurePosixPath",
        str,
        lambda text: _path("posixpath", text),
    ),
    Rule(
        "windowspath",
        "pathlib.PureWindowsPath",
        str,
        lambda text: _path("windowspath", text),
    ),
    Rule("date", "datetime.date", lambda value: value.isoformat(), _date),
    Rule("datetime", "datetime.datetime", _moment, _datetime, ("zone", "fold")),
    Rule("time", "datetime.time", _moment, _time, ("zone", "fold")),
    Rule(
        "timedelta",
        "datetime.timedelta",
        lambda value: [value.days, value.seconds, value.microseconds],
        _timedelta,
    ),
    Rule("timezone", "datetime.timezone", _timezone_parts, _timezone, ("name",)),
    Rule("zoneinfo", "zoneinfo.ZoneInfo", _zone_key, _zoneinfo),
)

BY_TYPE = {rule.type: rule for rule in BUILTIN_RULES if isinstance(rule.type, type)}
NAMED = by_name(STDLIB_RULES)
BY_TAG = {rule.tag: rule for rule in (*BUILTIN_RULES, *STDLIB_RULES)}

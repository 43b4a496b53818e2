"""Copies of a configuration's values: no trial may see what another did to its own.

What cannot be changed is shared, and everything else is copied, whatever its type.
"""

from __future__ import annotations

import operator
import sys
from typing import TYPE_CHECKING, Any

from ..encoding.rules import IMMUTABLE, NAMED, find

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..encoding.rules import Rule

# As little, though ``copy`` would make new ones: by the tags of their rules.
_ALSO_IMMUTABLE = frozenset(
    {"uuid", "decimal", "fraction", "path", "posixpath", "windowspath", "date"}
    | {"datetime", "time", "timedelta", "timezone", "zoneinfo"}
)


def copied(value: Any, memo: dict[int, Any] | None = None) -> Any:
    """Return a copy of a value, however deep, or the value itself if it is immutable.

    Calls that are given the same ``memo`` copy an object once, as ``copy.deepcopy``
    does. Raises whatever an object's own way to be copied raises.
    """
    kind = type(value)
    if kind in IMMUTABLE:
        return value
    if memo is None:
        memo = {}
    if id(value) not in memo:
        memo[id(value)] = _COPIERS.get(kind, _other)(value, memo)
    return memo[id(value)]


def _dict(value: dict[Any, Any], memo: dict[int, Any]) -> dict[Any, Any]:
    own = memo[id(value)] = {}
    for key, entry in value.items():
        own[copied(key, memo)] = copied(entry, memo)
    return own


def _list(value: list[Any], memo: dict[int, Any]) -> list[Any]:
    own = memo[id(value)] = []
    own.extend(copied(entry, memo) for entry in value)
    return own


def _set(value: set[Any], memo: dict[int, Any]) -> set[Any]:
    return {copied(entry, memo) for entry in value}


def _frozen(value: Any, memo: dict[int, Any]) -> Any:
    """Copy a tuple or frozenset, unless nothing in it can be changed either."""
    if IMMUTABLE.issuperset(map(type, value)):
        return value
    own = [copied(entry, memo) for entry in value]
    return value if all(map(operator.is_, own, value)) else type(value)(own)


_COPIERS: dict[type, Callable[[Any, dict[int, Any]], Any]] = {
    dict: _dict,
    list: _list,
    set: _set,
    tuple: _frozen,
    frozenset: _frozen,
}


def _other(value: Any, memo: dict[int, Any]) -> Any:
    if _cannot_change(value):
        return value
    numpy = sys.modules.get("numpy")
    if numpy is not None and numpy.__version__[:2] in ("0.", "1."):
        from ..encoding.numpy_random import NAMED as GENERATORS

        rule = find(GENERATORS, type(value))
        if rule is not None:
            return _by_rule(rule, value, memo)
    return _deepcopy(value, memo)


def _deepcopy(value: Any, memo: dict[int, Any]) -> Any:
    from copy import deepcopy  # which few configurations need

    return deepcopy(value, memo)


def _by_rule(rule: Rule, value: Any, memo: dict[int, Any]) -> Any:
    """Copy a generator by its rule: before 2.0 the copies of numpy forget its seed."""
    plain = rule.to_plain(value)
    if plain is NotImplemented:
        return _deepcopy(value, memo)
    # Kept as long as the memo, which knows what it has copied by its address.
    memo.setdefault(id(memo), []).append(plain)
    parts = plain if rule.fields else (plain,)
    return rule.from_plain(*(copied(part, memo) for part in parts))


def _cannot_change(value: Any) -> bool:
    kind = type(value)
    rule = find(NAMED, kind)
    if rule is not None:
        return rule.tag in _ALSO_IMMUTABLE
    if isinstance(value, tuple):  # a named one
        return not getattr(value, "__dict__", None) and _is_fixed(tuple(value))
    parameters = vars(kind).get("__dataclass_params__")
    if parameters is not None and parameters.frozen:
        names = kind.__dataclass_fields__
        # ``object.__setattr__`` may have added a cache, say.
        has_more = not getattr(value, "__dict__", {}).keys() <= names.keys()
        values = (getattr(value, name, None) for name in names)
        return not has_more and _is_fixed(tuple(values))
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return False
    if type(value) is numpy.ndarray:
        return _is_read_only(value, numpy.ndarray)
    return isinstance(value, numpy.generic) and value.dtype.char not in "OV"


def _is_read_only(array: Any, plain: Any) -> bool:
    """Whether nothing that the array is a view of can be written."""
    while type(array) is plain:
        if array.flags.writeable or array.dtype.hasobject:
            return False
        if array.base is None:
            return bool(array.flags.owndata)
        array = array.base
    return type(array) is bytes


def _is_fixed(values: tuple[Any, ...]) -> bool:
    return copied(values) is values

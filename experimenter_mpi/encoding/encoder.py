"""The walk from a value to its JSON text, at a trial's pace: once per trial."""

from __future__ import annotations

import json
import pickle
import sys
from enum import EnumMeta
from json.encoder import encode_basestring_ascii as quoted
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

from ..errors import EncodingError
from .rules import BY_TYPE, NAMED, find, to_base64

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .rules import ArrayRecord, Rule

# A level of a value is up to three of JSON, of which SQLite reads at most a thousand,
# and up to six calls, of which Python allows a thousand with all that run already.
MAX_DEPTH = 100
# Read by every Python that this package runs on.
_PICKLE_PROTOCOL = 5
_SMALLEST_INT, _LARGEST_INT = -(2**63), 2**63 - 1


def _no_constant(name: str) -> Any:
    msg = f"{name} is not valid JSON"
    raise ValueError(msg)


JSON = json.JSONDecoder(parse_constant=_no_constant)


def place(path: Sequence[Any]) -> str:
    """Name a place in a value for an error message, a long way by its ends."""
    keys = [*path[:5], "...", *path[-3:]] if len(path) > 9 else path  # noqa: PLR2004
    return f"'{'.'.join(map(str, keys))}'" if path else "the value"


def _bool(value: bool) -> str:
    return "true" if value else "false"


def _none(_: None) -> str:
    return "null"


def _int(value: int) -> str:
    # Beyond 64 bits SQLite and most readers of JSON would make it a rounded float.
    if _SMALLEST_INT <= value <= _LARGEST_INT:
        return int.__repr__(value)
    return f'{{"$int":"{hex(value)}"}}'


def _float(value: float) -> str:
    if isfinite(value):
        return float.__repr__(value)
    if isnan(value):
        return "NaN"  # for now: see nans.py
    # Beyond the largest float: SQLite and Python read it as an infinity.
    return "9e999" if value > 0 else "-9e999"


def _str(value: str) -> str:
    text = quoted(value)
    if "\\ud" in text and JSON.decode(text) != value:
        return f'{{"$text":"{BY_TYPE[str].to_plain(value)}"}}'
    return text


def _key(key: Any) -> str | None:
    """Return a dict's key as JSON, None if only a text could be one."""
    if type(key) is str and key.isascii() and key[:1] != "$":
        return quoted(key)
    if not isinstance(key, str):
        return None
    text = _str(key)
    if text[0] == "{":
        return None
    return f'"${text[1:]}' if text[1] == "$" else text


_LEAVES: dict[type, Callable[[Any], str]] = {
    bool: _bool,
    float: _float,
    int: _int,
    str: _str,
    type(None): _none,
}


def of_leaves(value: Any) -> str | None:
    """Return the text of a number, of a text, or of a dict of these: of most values.

    None if it is something else: then an ``Encoder`` knows.
    """
    if type(value) is not dict:
        only = _LEAVES.get(type(value))
        return None if only is None else only(value)
    parts = []
    for key, entry in value.items():
        leaf, name = _LEAVES.get(type(entry)), _key(key)
        if leaf is None or name is None:
            return None
        parts.append(f"{name}:{leaf(entry)}")
    return "{" + ",".join(parts) + "}"


class Encoder:
    """One value on its way to JSON: where we are, and what was found so far."""

    __slots__ = (
        "_extra",
        "_hash_up_to",
        "_open",
        "_path",
        "_seen",
        "arrays",
        "pickled",
    )

    def __init__(self, hash_up_to: int | None, extra: Iterable[Rule]) -> None:
        self._hash_up_to = hash_up_to
        self._extra = {rule.type: rule for rule in extra} if extra else {}
        self._path: list[Any] = []
        self._open: set[int] = set()
        # Arrays seen, themselves kept: the id of one that is gone may be given again.
        self._seen: dict[int, tuple[Any, ArrayRecord]] = {}
        self.arrays: dict[str, ArrayRecord] = {}
        self.pickled: list[tuple[str, str]] = []

    def text(self, value: Any) -> str:
        kind = type(value)
        leaf = _LEAVES.get(kind)
        if leaf is not None:
            return leaf(value)
        write = _WRITERS.get(kind)
        return self._other(value) if write is None else write(self, value)

    def _dict(self, value: dict[Any, Any]) -> str:
        names = [_key(key) for key in value]
        if None in names:
            return self._pairs(value)
        parts = []
        for name, (key, entry) in zip(names, value.items(), strict=True):
            leaf = _LEAVES.get(type(entry))
            text = self._inside(key, entry) if leaf is None else leaf(entry)
            parts.append(f"{name}:{text}")
        return "{" + ",".join(parts) + "}"

    def _pairs(self, value: dict[Any, Any]) -> str:
        parts = [
            f"[{self._inside(key, key)},{self._inside(key, entry)}]"
            for key, entry in value.items()
        ]
        return '{"$dict":[' + ",".join(parts) + "]}"

    def _list(self, value: Iterable[Any]) -> str:
        parts = []
        for index, entry in enumerate(value):
            leaf = _LEAVES.get(type(entry))
            parts.append(self._inside(index, entry) if leaf is None else leaf(entry))
        return "[" + ",".join(parts) + "]"

    def _tuple(self, value: tuple[Any, ...]) -> str:
        return f'{{"$tuple":{self._list(value)}}}'

    def _set(self, value: Iterable[Any]) -> str:
        # In the order of their texts, so that equal sets give equal documents.
        return "[" + ",".join(sorted(self._inside("*", entry) for entry in value)) + "]"

    def _plain_set(self, value: set[Any]) -> str:
        return f'{{"$set":{self._set(value)}}}'

    def _frozenset(self, value: frozenset[Any]) -> str:
        return f'{{"$frozenset":{self._set(value)}}}'

    def _inside(self, key: Any, entry: Any) -> str:
        """Write one entry of a container, knowing where it stands."""
        self._path.append(key)
        if id(entry) in self._open:
            msg = (
                f"{place(self._path)} contains itself; store a value without circular "
                "references"
            )
            raise EncodingError(msg)
        if len(self._path) > MAX_DEPTH:
            raise self.too_deep()
        self._open.add(id(entry))
        text = self.text(entry)
        self._open.discard(id(entry))
        self._path.pop()
        return text

    def _other(self, value: Any) -> str:
        kind = type(value)
        if isinstance(kind, EnumMeta) or kind.__name__ == "EnumMember":
            member = self._enumerated(value)
            if member is not None:
                return member
        rule = self._extra.get(kind)
        if rule is None:
            for base in kind.__mro__:
                if base in _LEAVES:
                    return _LEAVES[base](value)
                if base in _WRITERS:
                    return _WRITERS[base](self, value)
                if base in BY_TYPE:
                    rule = BY_TYPE[base]
                    break
            else:
                rule = find(NAMED, kind)
        text = self._numpy(value) if rule is None else self._tagged(rule, value)
        return self._pickle(value) if text is None else text

    def _enumerated(self, value: Any) -> str | None:
        from . import enumerations  # few values need it

        return self._tagged(enumerations.RULE, value)

    def _tagged(self, rule: Rule, value: Any) -> str | None:
        plain = rule.to_plain(value)
        if plain is NotImplemented:
            return None
        if not rule.fields:
            return f'{{"${rule.tag}":{self.text(plain)}}}'
        parts = [f'"${rule.tag}":{self.text(plain[0])}']
        for name, field in zip(rule.fields, plain[1:], strict=True):
            if field is not None:
                parts.append(f'"{name}":{self._inside(name, field)}')
        return "{" + ",".join(parts) + "}"

    def _numpy(self, value: Any) -> str | None:
        if sys.modules.get("numpy") is None:
            return None  # not loaded, so this is nothing of numpy's
        from . import numpy_rules as ndarrays

        if type(value) in ndarrays.NUMBERS:
            return self.text(value.item())
        if ndarrays.is_raw(value):
            return self._array(value)
        rule = ndarrays.rule_for(value)
        return None if rule is None else self._tagged(rule, value)

    def _array(self, array: Any) -> str:
        from . import numpy_rules as ndarrays

        _, record = self._seen.get(id(array), (None, None))
        if record is None:
            path = ".".join(map(str, self._path))
            record = ndarrays.to_record(array, path, self._hash_up_to)
            record = self.arrays.setdefault(record.id, record)
            self._seen[id(array)] = array, record
        shape = ",".join(map(str, record.shape))
        return f'{{"$array":"{record.id}","dtype":{record.dtype},"shape":[{shape}]}}'

    def _pickle(self, value: Any) -> str:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        try:
            data = pickle.dumps(value, _PICKLE_PROTOCOL)
        except Exception as error:
            msg = (
                f"{place(self._path)} is a {name}, which cannot be stored, not even "
                f"as a pickle ({error}); use numbers, strings, lists, dicts or arrays"
            )
            raise EncodingError(msg) from error
        self.pickled.append((".".join(map(str, self._path)), name))
        return f'{{"$pickle":"{to_base64(data)}","type":{quoted(name)}}}'

    def too_deep(self) -> EncodingError:
        msg = (
            f"{place(self._path)} is nested too deeply (about {MAX_DEPTH} levels are "
            "possible); use a flatter structure"
        )
        return EncodingError(msg)


_WRITERS: dict[type, Callable[[Encoder, Any], str]] = {
    dict: Encoder._dict,  # noqa: SLF001
    list: Encoder._list,  # noqa: SLF001
    tuple: Encoder._tuple,  # noqa: SLF001
    set: Encoder._plain_set,  # noqa: SLF001
    frozenset: Encoder._frozenset,  # noqa: SLF001
}

"""Stored values as text: whole in CSV, and the same with fewer digits in a table."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from ..encoding.rules import from_base64
from ..errors import CorruptDocumentError
from .values import as_json, is_tagged

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 60


def text(value: Any, *, allow_pickle: bool = False) -> str:
    """Return a value of a document as text, with all digits.

    A pickled value is named by its type, or loaded where ``allow_pickle``.
    """
    return Writer(repr, allow_pickle=allow_pickle).cell(value)


def short(value: Any, *, allow_pickle: bool = False) -> str:
    """Return a value of a document as a short text for a cell of a table."""
    written = Writer("{:.6g}".format, allow_pickle=allow_pickle).cell(value)
    if isinstance(value, str) and not value.isprintable():
        written = repr(value)
    return written if len(written) <= LONGEST else written[: LONGEST - 1] + "…"


def find_classes() -> None:
    """Make the classes of scripts in the current folder available to pickles."""
    sys.path.append(os.getcwd())


class Writer:
    """Writes values as JSON where JSON has them, others as Python would show them."""

    def __init__(self, digits: Callable[[float], str], *, allow_pickle: bool) -> None:
        self._digits = digits
        self._allow_pickle = allow_pickle

    def cell(self, value: Any) -> str:
        """Return a value by itself: a text without quotes.

        Raises:
            CorruptDocumentError: it is nested too deeply.
        """
        value = _without_name(value)
        if isinstance(value, str):
            return value
        try:
            if isinstance(value, dict) and is_tagged(value):
                return self._tagged(value)
            return self.inner(value)
        except RecursionError:
            msg = "a stored value is nested too deeply to be shown: read it in Python"
            raise CorruptDocumentError(msg) from None

    def inner(self, value: Any) -> str:
        """Return a value as it stands inside of another one."""
        value = _without_name(value)
        if isinstance(value, list):
            return f"[{self.items(value)}]"
        if isinstance(value, float):
            return self._digits(value)
        if not isinstance(value, dict):
            return as_json(value)
        if not is_tagged(value):
            return self.pairs((_unescaped(key), value[key]) for key in value)
        written = self._tagged(value)
        return as_json(written) if next(iter(value)) in _WORDS else written

    def items(self, values: Any) -> str:
        return ", ".join(map(self.inner, values))

    def pairs(self, pairs: Any) -> str:
        entries = (f"{self.inner(key)}: {self.inner(entry)}" for key, entry in pairs)
        return "{" + ", ".join(entries) + "}"

    def complex(self, parts: list[Any]) -> str:
        real, imaginary = (
            self.cell(_as_float(part)).removesuffix(".0") for part in parts
        )
        return f"{real}{'' if imaginary.startswith('-') else '+'}{imaginary}j"

    def pickle(self, value: dict[str, Any]) -> str:
        kind = f"pickled {value.get('type')}"
        if not self._allow_pickle:
            return f"<{kind}>"
        from ..encoding.codec import decode

        try:
            loaded = decode(json.dumps(value), allow_pickle=True)
            return " ".join(repr(loaded).split())
        except Exception as error:  # noqa: BLE001 - of whatever class was pickled
            return f"<{kind}: {error.__cause__ or error}>"

    def _tagged(self, value: dict[str, Any]) -> str:
        tag, content = next(iter(value.items()))
        try:
            if tag in _WORDS:
                return str(_WORDS[tag](content))
            return _FORMS[tag](self, value, content)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - a document may hold anything
            return f"<{tag[1:]}>"


def _without_name(value: Any) -> Any:
    """Return the number or text that a member of an enumeration is."""
    is_member = isinstance(value, dict) and "$enum" in value
    return value.get("value") if is_member and "base" in value else value


def _unescaped(key: str) -> str:
    return key[1:] if key.startswith("$$") else key


def _as_float(number: Any) -> Any:
    return float(number) if isinstance(number, int) else number


def _integer(content: str) -> str:
    try:
        return str(int(content, 16))
    except ValueError:  # more digits than Python converts
        return content


def _duration(parts: list[int]) -> Any:
    from datetime import timedelta

    return timedelta(*parts)


def _zone(parts: list[int]) -> Any:
    from datetime import timezone

    return timezone(_duration(parts))


def _scalar(value: dict[str, Any]) -> str:
    """Write a number, date or record of numpy's."""
    from ..encoding.codec import decode

    return str(decode(json.dumps(value)))


def _shaped(value: dict[str, Any], kind: Any) -> str:
    return f"array({', '.join(map(str, value['shape']))}) {kind}"


# Texts, quoted inside of others.
_WORDS: dict[str, Callable[[Any], Any]] = {
    "$bytes": str,
    "$bytearray": str,
    "$date": str,
    "$datetime": str,
    "$enum": str,
    "$path": str,
    "$posixpath": str,
    "$text": lambda data: from_base64(data).decode("utf-8", "surrogatepass"),
    "$time": str,
    "$timedelta": _duration,
    "$timezone": _zone,
    "$uuid": str,
    "$windowspath": str,
    "$zoneinfo": str,
}
_FORMS: dict[str, Callable[[Writer, dict[str, Any], Any], str]] = {
    "$array": lambda _, value, __: _shaped(value, value["dtype"]),
    "$complex": lambda to, _, parts: to.complex(parts),
    "$decimal": lambda _, __, digits: str(digits),
    "$deque": lambda to, _, entries: f"[{to.items(entries)}]",
    "$dict": lambda to, _, pairs: to.pairs(pairs),
    "$float": lambda _, __, name: str(name),
    "$fraction": lambda _, __, parts: "/".join(map(str, parts)),
    "$frozenset": lambda to, _, items: f"{{{to.items(items)}}}" if items else "set()",
    "$int": lambda _, __, digits: _integer(digits),
    "$masked": lambda to, _, array: f"masked {to.cell(array)}",
    "$objects": lambda _, value, __: _shaped(value, "object"),
    "$pickle": lambda to, value, _: to.pickle(value),
    "$range": lambda to, _, parts: f"range({to.items(parts)})",
    "$records": lambda _, value, __: _shaped(value, value["dtype"]),
    "$scalar": lambda _, value, __: _scalar(value),
    "$set": lambda to, _, items: f"{{{to.items(items)}}}" if items else "set()",
    "$slice": lambda to, _, parts: f"slice({to.items(parts)})",
    "$strings": lambda _, value, __: _shaped(value, "str"),
    "$tuple": lambda to, _, items: f"({to.items(items)}{',' * (len(items) == 1)})",
}

"""NaN in documents: null, which SQL takes for no number, and a list of where they are.

    {"loss": null, "curve": [1.0, null], "$nan": [["loss"], ["curve", 1]]}

A path leads through the JSON as it is written, tags and all. A document that is no
plain object stands beside the list: ``{"$nan": [[0]], "value": [null]}``.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .rules import NAN_KEY as KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_VALUE = "value"
# A text as a whole, or a number that JSON does not have.
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|-?(?:NaN|Infinity)')


def with_numbers(text: str, replaced: Callable[[str], str]) -> str:
    """Return JSON text with what stands for NaN and infinities outside of texts."""
    return _TOKEN.sub(
        lambda found: found[0] if found[0][0] == '"' else replaced(found[0]), text
    )


def with_nulls(text: str) -> str:
    """Return a document that has the word NaN where there is a NaN as it is stored."""
    plain = json.loads(text)
    paths = list(_paths(plain))
    if not paths:  # it is a word of a text
        return text
    text = with_numbers(text, lambda _: "null")
    listed = json.dumps(paths, separators=(",", ":"))
    first = next(iter(plain), "$") if type(plain) is dict else "$"
    if first[:1] == "$" and first[1:2] != "$":
        return f'{{"{KEY}":{listed},"{_VALUE}":{text}}}'
    return f'{text[:-1]},"{KEY}":{listed}}}'


def _paths(plain: Any) -> Iterator[list[Any]]:
    """Find the NaNs of what was read from JSON, in the order of the text."""
    ahead: list[tuple[list[Any], Any]] = [([], plain)]
    while ahead:
        path, entry = ahead.pop()
        if type(entry) is dict:
            ahead += [([*path, key], entry[key]) for key in reversed(entry)]
        elif type(entry) is list:
            places = reversed(range(len(entry)))
            ahead += [([*path, place], entry[place]) for place in places]
        elif entry != entry:  # noqa: PLR0124 - as nothing but NaN
            yield path


def restored(plain: Any) -> Any:
    """Return what was read from a document, which this changes, with its NaNs.

    Raises:
        ValueError: the list is not what ``with_nulls`` writes.
    """
    if type(plain) is not dict or KEY not in plain:
        return plain
    alone = next(iter(plain)) == KEY
    paths = plain.pop(KEY)
    if alone and list(plain) != [_VALUE]:
        msg = "there are other keys beside it"
        raise ValueError(msg)
    holder = {_VALUE: plain.pop(_VALUE) if alone else plain}
    if type(paths) is not list:
        msg = "it is not a list"
        raise ValueError(msg)
    for path in paths:
        _restore(holder, path)
    return holder[_VALUE]


def _restore(holder: Any, path: Any) -> None:
    key: Any = _VALUE
    for step in path if type(path) is list else [None]:
        holder, key = holder[key] if _has(holder, key) else None, step
    if not _has(holder, key) or holder[key] is not None:
        msg = "it names a place that holds no null"
        raise ValueError(msg)
    holder[key] = float("nan")  # a new one: a set keeps as many as it was given


def _has(holder: Any, key: Any) -> bool:
    if type(holder) is dict:
        return type(key) is str and key in holder
    return type(holder) is list and type(key) is int and 0 <= key < len(holder)

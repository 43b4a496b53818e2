"""The configurations of trials as JSON text, computed from that of their experiment.

No value is decoded: a pickle in a stored configuration stays the text that it is, and
an array a reference. Each text equals what encoding the trial's own configuration
gives.
"""

from __future__ import annotations

import json
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any, NamedTuple

from ..encoding import codec
from ..encoding.encoder import of_leaves
from ..encoding.nans import with_numbers
from ..encoding.rules import expect
from ..errors import CorruptDocumentError, ExperimenterError
from ..experiment.grid import Expansion
from ..experiment.listed import without_absent
from ..experiment.variables import Variable
from .documents import VARIABLE_RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..experiment.grid import Axis

# So many texts of an axis are kept.
_KEPT = 100_000
_VARIABLES: dict[str, type[Variable]] = {
    f"${rule.tag}": rule.type
    for rule in VARIABLE_RULES
    if isinstance(rule.type, type) and issubclass(rule.type, Variable)
}
# Arguments that name keys.
_NAMES = {"names", "of", "paths"}


@lru_cache(maxsize=8)
def configurations(document: str) -> Configurations:
    """Return the configurations of the experiment that has this one.

    Raises:
        CorruptDocumentError: this is no configuration as it is stored.
    """
    return Configurations(document)


class _Slot(NamedTuple):
    """Which text stands in a place: the one at ``number // stride % length``."""

    stride: int
    length: int
    text: Callable[[int], str]


class Configurations:
    """The texts by trial number; ``size`` is how many there are.

    The last variable changes from trial to trial, so what stands before its value is
    kept from one call to the next.
    """

    def __init__(self, document: str) -> None:
        try:
            expansion = Expansion(_with_texts(codec.plain(document)))
        except CorruptDocumentError:
            raise
        except (ExperimenterError, ArithmeticError, LookupError, TypeError) as error:
            raise CorruptDocumentError(f"a configuration is damaged: {error}") from None
        except (ValueError, RecursionError):
            raise CorruptDocumentError("a configuration is damaged") from None
        self.size = expansion.size
        pieces: list[str] = [""]
        paths: list[tuple[str, ...]] = []
        _write(expansion.configuration, (), pieces, paths)
        slots = {
            axis.path: _Slot(1, self.size, _texts(axis)) for axis in expansion.matched
        }
        stride = 1
        for axis in reversed(expansion.axes):
            for each in axis.columns:
                slots[each.path] = _Slot(stride, len(each.values), _texts(each))
            stride *= len(axis.values)
        self._pieces = pieces
        self._slots = [slots[path] for path in paths]
        # Only where nothing else changes with each trial.
        last = expansion.axes[-1] if expansion.axes else None
        self._is_nested = (
            not expansion.matched
            and last is not None
            and not last.others
            and paths[-1] == last.path
        )
        self._known: tuple[int, str] = -1, ""

    def __getitem__(self, number: int) -> str:
        if not self._is_nested:
            return _whole(self._text(number, len(self._slots)) + self._pieces[-1])
        last = self._slots[-1]
        outer, inner = divmod(number, last.length)
        known, head = self._known
        if outer != known:
            head = self._text(number, len(self._slots) - 1) + self._pieces[-2]
            self._known = outer, head
        return _whole(head + last.text(inner) + self._pieces[-1])

    def _text(self, number: int, slots: int) -> str:
        """Return all up to and without the piece after so many slots."""
        parts: list[str] = []
        for piece, slot in zip(self._pieces, self._slots[:slots], strict=False):
            parts += (piece, slot.text(number // slot.stride % slot.length))
        return "".join(parts)


def _whole(document: str) -> str:
    return codec.whole(without_absent(document))


def _texts(axis: Axis) -> Callable[[int], str]:
    """Return what gives the text of each value of an axis."""
    values: Sequence[Any] = axis.values

    def text(place: int) -> str:
        value = values[place]
        return value if type(value) is str else of_leaves(value) or ""

    if isinstance(values, tuple) and (not values or type(values[0]) is str):
        return values.__getitem__
    return lru_cache(maxsize=_KEPT)(text) if len(values) <= _KEPT else text


def _with_texts(plain: Any) -> dict[str, Any]:
    """Return the configuration with the text of each value in its place."""
    if type(plain) is not dict or _is_tagged(plain):
        raise CorruptDocumentError("a configuration is no object")
    return {key: _entry(entry) for key, entry in plain.items()}


def _entry(plain: Any) -> Any:
    if type(plain) is not dict or not plain:
        return text_of(plain)
    if not _is_tagged(plain):
        return _with_texts(plain)
    tag = next(iter(plain))
    return _variable(plain) if tag in _VARIABLES else text_of(plain)


def _is_tagged(plain: dict[str, Any]) -> bool:
    first = next(iter(plain), "")
    return first[:1] == "$" and first[1:2] != "$"


def _variable(plain: dict[str, Any]) -> Variable:
    """Return a variable of the texts of its values."""
    (tag,) = plain
    arguments = expect(dict, plain[tag])
    return _VARIABLES[tag](**{key: _argument(key, arguments[key]) for key in arguments})


def _argument(name: str, plain: Any) -> Any:
    if name == "iter":
        return list(map(text_of, expect(list, plain)))
    if name == "value":
        return text_of(plain)
    if name == "variable":
        return _variable(expect(dict, plain))
    if name in _NAMES:
        return _escaped(plain)
    return codec.decode(text_of(plain))


def _escaped(names: Any) -> Any:
    """Return names of keys, or lists of them, as they stand in the document."""
    if isinstance(names, list):
        return list(map(_escaped, names))
    return f"${names}" if type(names) is str and names[:1] == "$" else names


def text_of(plain: Any) -> str:
    """Return what was read from JSON as a part of a document that is encoded."""
    text = json.dumps(plain, separators=(",", ":"))
    if "Infinity" not in text:
        return text
    return with_numbers(text, lambda word: word.replace("Infinity", "9e999"))


def _write(
    value: dict[str, Any],
    path: tuple[str, ...],
    pieces: list[str],
    paths: list[tuple[str, ...]],
) -> None:
    """Write the document into ``pieces``, between which the variables stand."""
    before = "{"
    for key, entry in value.items():
        pieces[-1] += f"{before}{quoted(key)}:"
        before = ","
        if isinstance(entry, Variable):
            paths.append((*path, key))
            pieces.append("")
        elif isinstance(entry, dict):
            _write(entry, (*path, key), pieces, paths)
        else:
            pieces[-1] += entry
    pieces[-1] += "}" if value else "{}"

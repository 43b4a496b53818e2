"""Results whose large arrays are read when somebody looks at them."""

from __future__ import annotations

from collections.abc import ItemsView, ValuesView
from typing import TYPE_CHECKING, Any

from .stored_array import StoredArray

if TYPE_CHECKING:
    from collections.abc import Iterator


def lazy(value: dict[str, Any]) -> dict[str, Any]:
    """Return a dict that reads its StoredArrays late; the same one if it has none."""
    return _late(value) if _is_unread(value) else value


def _is_unread(value: Any) -> bool:
    if type(value) is dict:
        return any(map(_is_unread, value.values()))
    if type(value) in (list, tuple):
        return any(map(_is_unread, value))
    return isinstance(value, StoredArray)


def _late(value: dict[str, Any]) -> LazyResults:
    made = LazyResults()
    for key, entry in value.items():
        is_nested = type(entry) is dict and _is_unread(entry)
        dict.__setitem__(made, key, _late(entry) if is_nested else entry)
    return made


class LazyResults(dict[str, Any]):
    """A dict of which arrays in files are read when they are looked at.

    An array that nobody holds any more is read again the next time, so that a loop
    over many trials needs the memory of one. Everything else is as in a plain dict,
    which is what its pickles and deep copies are.
    """

    __slots__ = ()

    def __getitem__(self, key: str) -> Any:
        entry = super().__getitem__(key)
        if isinstance(entry, StoredArray):
            return entry.held()
        if type(entry) in (list, tuple) and _is_unread(entry):
            entry = _read(entry)
            self[key] = entry
        return entry

    def unread(self, key: str) -> Any:
        """Return an entry as it is, a StoredArray where it is in a file."""
        return super().__getitem__(key)

    # Without this, dict() and ** would copy what is stored, not what is seen.
    def __iter__(self) -> Iterator[str]:
        return super().__iter__()

    def get(self, key: str, default: Any = None) -> Any:
        return self[key] if key in self else default  # noqa: SIM401 - this is it

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        return ItemsView(self)

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        return ValuesView(self)

    def pop(self, key: str, *default: Any) -> Any:
        if key not in self:
            return super().pop(key, *default)
        entry = self[key]
        del self[key]
        return entry

    def popitem(self) -> tuple[str, Any]:
        key, _ = last = super().popitem()
        return key, _read(last[1])

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def copy(self) -> LazyResults:
        made = LazyResults()
        for key in self:
            dict.__setitem__(made, key, self.unread(key))
        return made

    def __or__(self, other: Any) -> Any:
        return dict(self) | dict(other) if isinstance(other, dict) else NotImplemented

    def __ror__(self, other: Any) -> Any:
        return dict(other) | dict(self) if isinstance(other, dict) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __reduce_ex__(self, _: Any) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _read(value: Any) -> Any:
    if isinstance(value, StoredArray):
        return value.held()
    if type(value) in (list, tuple) and _is_unread(value):
        return type(value)(map(_read, value))
    return value


def unread(results: Any, field: str) -> Any:
    """Return what stands at ``a.b`` in results, as it is; None if nothing does.

    A key with a dot in it is found as well.
    """
    if field in results:
        return (
            results.unread(field)
            if isinstance(results, LazyResults)
            else results[field]
        )
    first, dot, rest = field.partition(".")
    inner = results[first] if dot and first in results else None
    return unread(inner, rest) if isinstance(inner, dict) else None

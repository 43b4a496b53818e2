"""The global store: data built once per rank, read by every trial, changed by none."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from ..encoding.rules import IMMUTABLE
from ..errors import ExperimenterError, StoreError, text_of
from .signals import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Callable


def _refuse(self: Any, *_: Any, **__: Any) -> NoReturn:
    msg = "the global store is read-only: build it in the init_store function"
    if isinstance(self, list):
        msg += ", or change a copy of its list"
    raise TypeError(msg)


class Store(Mapping[str, Any]):
    """A read-only mapping: assigning raises, and what is in it is read-only too.

    Nested dicts, lists, sets and arrays are. Trials on several threads share one store,
    and a trial that could change it would change the results of whichever trial runs
    next on the same rank.
    """

    __slots__ = ("_entries",)

    def __init__(
        self, entries: Mapping[Any, Any], memo: dict[int, Any] | None = None
    ) -> None:
        memo = {} if memo is None else memo
        memo[id(entries)] = self  # which may be among its own entries
        self._entries = {key: _frozen(value, memo) for key, value in entries.items()}

    def __getitem__(self, key: str) -> Any:
        try:
            return self._entries[key]
        except KeyError:
            held = sorted(self._entries, key=repr)
            msg = f"the global store has no {key!r}; it has {held}"
            raise KeyError(msg) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Store of {', '.join(map(str, self._entries))}>"

    __setitem__ = __delitem__ = _refuse


class StoredList(list[Any]):
    """A list of the store: all that changes a list raises. Copies are plain lists."""

    __slots__ = ()

    append = clear = extend = insert = pop = remove = reverse = sort = _refuse
    __setitem__ = __delitem__ = __iadd__ = __imul__ = _refuse

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def _frozen(value: Any, memo: dict[int, Any]) -> Any:
    """Return a value as it stands in a store; what was met before, as it was then."""
    freeze = _FREEZE.get(type(value))
    if freeze is not None:
        if id(value) not in memo:
            memo[id(value)] = freeze(value, memo)
        return memo[id(value)]
    numpy = sys.modules.get("numpy")  # no numpy loaded, no arrays to protect
    if numpy is not None and isinstance(value, numpy.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


def _list(value: list[Any], memo: dict[int, Any]) -> StoredList:
    if IMMUTABLE.issuperset(map(type, value)):
        return StoredList(value)
    memo[id(value)] = stored = StoredList()
    list.extend(stored, (_frozen(entry, memo) for entry in value))
    return stored


def _tuple(value: tuple[Any, ...], memo: dict[int, Any]) -> tuple[Any, ...]:
    if IMMUTABLE.issuperset(map(type, value)):
        return value
    return tuple(_frozen(entry, memo) for entry in value)


_FREEZE: dict[type, Callable[[Any, dict[int, Any]], Any]] = {
    dict: Store,
    list: _list,
    set: lambda value, _: frozenset(value),
    tuple: _tuple,
}


def _where(error: BaseException) -> str:
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    if frames is None:
        return ""
    return f" ({frames.tb_frame.f_code.co_filename}, line {frames.tb_lineno})"


def build_store(init_store: Callable[..., Any], configuration: dict[str, Any]) -> Store:
    """Call the experiment's store function with its configuration, as written.

    Raises:
        StoreError: the function raised, or returned something other than a dict.
    """
    name = getattr(init_store, "__qualname__", repr(init_store))
    try:
        with OwnProcess():
            entries = init_store(configuration)
    except (ExperimenterError, KeyboardInterrupt):
        raise
    except BaseException as error:
        what = f"{type(error).__name__}: {text_of(error)}{_where(error)}"
        msg = f"the store function '{name}' raised {what}"
        raise StoreError(msg) from error
    if not isinstance(entries, Mapping):
        kind = type(entries).__name__
        msg = f"the store function '{name}' must return a dict, not {kind}"
        raise StoreError(msg)
    return Store(entries)

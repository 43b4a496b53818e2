"""The global store: data built once per rank, read by every trial, changed by none."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ExperimenterError, StoreError, text_of
from .signals import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Callable


class Store(Mapping[str, Any]):
    """A read-only mapping: assigning raises, nested dicts and arrays are read-only too.

    Trials on several threads share one store, and a trial that could change it would
    change the results of whichever trial runs next on the same rank.
    """

    __slots__ = ("_entries",)

    def __init__(self, entries: Mapping[Any, Any]) -> None:
        self._entries = {key: _frozen(value) for key, value in entries.items()}

    def __getitem__(self, key: str) -> Any:
        try:
            return self._entries[key]
        except KeyError:
            held = sorted(self._entries, key=repr)
            msg = f"the global store has no {key!r}; it holds {held}"
            raise KeyError(msg) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return f"<Store of {', '.join(map(str, self._entries))}>"

    def _refuse(self, *_: Any) -> NoReturn:
        msg = "the global store is read-only: build it in the init_store function"
        raise TypeError(msg)

    __setitem__ = __delitem__ = _refuse


def _frozen(value: Any) -> Any:
    if type(value) is dict:
        return Store(value)
    numpy = sys.modules.get("numpy")  # no numpy loaded, no arrays to protect
    if numpy is not None and isinstance(value, numpy.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value


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
        StoreError: the function raised, or returned something that is no dict.
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

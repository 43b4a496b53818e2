"""What a rank needs before its first trial: the function to call, and its store."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ScriptError, did_you_mean
from ..experiment.grid import Expansion
from . import script

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..experiment.experiment import Experiment
    from .script import Script
    from .store import Store


class Prepared(NamedTuple):
    """An experiment's trial function and this rank's store."""

    function: Callable[..., Any]
    store: Store | None


def prepare(experiment: Experiment, include: Script | None = None) -> Prepared:
    """Find the experiment's functions and build the store.

    Raises:
        ScriptError: a named function is not there, or the included file fails.
        StoreError: the store function failed.
    """
    function, init_store = find_functions(experiment, include)
    if init_store is None:
        return Prepared(function, None)
    from .store import build_store  # a module less for a rank without one

    # The store function may change its configuration as little as a trial may.
    configuration = Expansion(experiment.configuration).configuration
    return Prepared(function, build_store(init_store, configuration))


def find_functions(
    experiment: Experiment, include: Script | None = None
) -> tuple[Callable[..., Any], Callable[..., Any] | None]:
    """Find the experiment's functions, in the included file if there is one.

    Raises:
        ScriptError: a named function is not there, or the included file fails.
    """
    namespace = experiment.namespace
    if include is not None:
        namespace = vars(script.load_once(include))
    where = where_defined(namespace)
    name = experiment.function_name or ""
    function = find_function(name, experiment.function, namespace, where)
    store_name = experiment.init_store_function_name
    if store_name is None:
        return function, None
    given = experiment.init_store
    return function, find_function(store_name, given, namespace, where)


def find_function(
    name: str, given: Callable[..., Any] | None, namespace: dict[str, Any], where: str
) -> Callable[..., Any]:
    """Return the callable itself, or the one of that name in ``namespace``.

    Raises:
        ScriptError: no such name, listing near ones, or not callable.
    """
    if given is not None:
        return given
    try:
        value = _looked_up(name, namespace)
    except (KeyError, AttributeError):
        hint = (
            ": define it at the top level of the file, with a name that nothing else "
            "uses"
        )
        if "<" not in name:
            hint = did_you_mean(name, (k for k, v in namespace.items() if callable(v)))
        msg = f"{where} has no function '{name}'{hint}"
        raise ScriptError(msg) from None
    if not callable(value):
        msg = f"'{name}' in {where} is a {type(value).__name__}, not a function"
        raise ScriptError(msg)
    found: Callable[..., Any] = value
    return found


def _looked_up(name: str, namespace: dict[str, Any]) -> Any:
    first, *rest = name.split(".")
    value = namespace[first]
    for attribute in rest:
        value = getattr(value, attribute)
    return value


def where_defined(namespace: dict[str, Any]) -> str:
    """Name the file of a namespace, for messages."""
    return str(namespace.get("__file__") or namespace.get("__name__", "the script"))


@contextmanager
def working_in(directory: str | None) -> Iterator[None]:
    """Change to the folder, and back at the end."""
    if directory is None:
        yield
        return
    before = os.getcwd()
    try:
        os.chdir(directory)
    except OSError as error:
        msg = (
            f"cannot change to directory {directory}: {error.strerror}; create it, or "
            "name another"
        )
        raise ScriptError(msg) from error
    try:
        yield
    finally:
        os.chdir(before)

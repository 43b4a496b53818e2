"""What a child is to do, and where it finds the experiment and its functions again.

A child starts empty: a function is found by the file or module it stands in and its
name, as pickle would, or through the experiment itself where a file makes that.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from .. import script as scripts
from ..errors import IsolationError
from ..experiment import Experiment
from ..mpi.job import Job, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from ..script import Script


class Home(NamedTuple):
    """Where something was defined: the text of a file, or a module to import.

    ``is_main`` where that file is the program itself, as in ``python exp.py``.
    """

    script: Script | None
    module: str | None
    is_main: bool

    def load(self) -> ModuleType:
        """Load it in this process, once.

        Raises:
            ScriptError: the file cannot be loaded.
            IsolationError: the module cannot be imported.
        """
        if self.script is not None:
            module = scripts.load_once(self.script)
        else:
            module = _imported(self.module or "")
        if self.is_main:
            # What the configuration holds of its classes was pickled as __main__'s.
            sys.modules["__main__"] = module
        return module


class Named(NamedTuple):
    """A function, by where it was defined and its qualified name."""

    home: Home
    name: str

    def find(self) -> Callable[..., Any]:
        namespace = vars(self.home.load())
        where = scripts.where_defined(namespace)
        return scripts.find_function(self.name, None, namespace, where)


class Order(NamedTuple):
    """All that a child needs before its first trial.

    ``functions`` are the arguments of ``Experiment`` that name its functions, None
    where they can be had only from the experiment that ``home`` makes.
    ``arguments`` are this process's own.
    """

    job: Job
    home: Home
    function_name: str | None = None
    functions: dict[str, Any] | None = None
    arguments: tuple[str, ...] = ()


def order_of(job: Job, experiment: Experiment | None) -> Order:
    """Give the order for this rank's ``experiment``, or for the script's of that name.

    Raises:
        IsolationError: a child could not find its function again.
    """
    arguments = tuple(sys.argv)
    if job.script is not None:
        return Order(job, Home(job.script, None, is_main=False), arguments=arguments)
    if experiment is None:
        msg = f"experiment '{job.name}' came without a script"
        raise IsolationError(msg)
    require_findable(experiment)
    return Order(
        job,
        _home_of(experiment.namespace, f"experiment '{experiment.name}'"),
        experiment.function_name,
        _functions(experiment),
        arguments,
    )


def require_findable(experiment: Experiment) -> None:
    """Refuse, before anything is run or stored, what a child would not find.

    Raises:
        IsolationError: the function is in no file, or has no name there.
    """
    what = f"experiment '{experiment.name}'"
    _home_of(experiment.namespace, what)
    if any(value is experiment for value in experiment.namespace.values()):
        return
    if _functions(experiment) is None:
        raise IsolationError(_no_name(experiment.name, experiment.function_name or ""))


def _no_name(experiment: str, function: str) -> str:
    return (
        f"experiment '{experiment}' cannot be isolated: `{function}`, or its store "
        "function, cannot be found again by its name; define both with `def` at the "
        "top level of a file, or run without isolate"
    )


def _functions(experiment: Experiment) -> dict[str, Any] | None:
    """Give the arguments that name an experiment's functions, if all can be named."""
    wanted = {
        "function": (experiment.function_name, experiment.function),
        "init_store": (experiment.init_store_function_name, experiment.init_store),
    }
    found: dict[str, Any] = {}
    for key, (name, given) in wanted.items():
        named = _named(given)
        if given is not None and named is None:
            return None
        if named is not None:
            found[key] = named
        elif name is not None:
            found["function_name" if key == "function" else f"{key}_function_name"] = (
                name
            )
    return found


def _home_of(namespace: dict[str, Any], what: str) -> Home:
    spec, path = namespace.get("__spec__"), namespace.get("__file__")
    is_main = namespace.get("__name__") == "__main__"
    if spec is not None:
        return Home(None, spec.name, is_main)
    if not path:
        msg = (
            f"{what} cannot be isolated: it was defined in no file (a notebook, or "
            "python -c); write it to one and run that, or run without isolate"
        )
        raise IsolationError(msg)
    return Home(scripts.source_of(path), None, is_main)


def _named(function: Callable[..., Any] | None) -> Named | None:
    """Name a function if that name leads back to it, as pickle would ask."""
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    name = getattr(function, "__qualname__", None)
    if module is None or name is None:
        return None
    try:
        found = scripts.find_function(name, None, vars(module), "")
        home = _home_of(vars(module), name)
    except Exception:  # noqa: BLE001 - whatever a lookup raises, there is no way back
        return None
    return Named(home, name) if found is function else None


def _imported(name: str) -> ModuleType:
    from importlib import import_module

    try:
        return import_module(name)
    except Exception as error:
        msg = f"module {name} cannot be imported in a process for trials: {error!r}"
        raise IsolationError(msg) from error


def experiment_of(order: Order) -> Experiment:
    """Give the experiment in the child: the one its file makes, or one like it.

    Raises:
        ScriptError: the file cannot be loaded, or lacks the function.
        IsolationError: neither leads to the function or the configuration.
    """
    job, module = order.job, order.home.load()
    made = scripts.experiments_of(module)
    same = [e for e in made if _is_meant(e, order)]
    experiment = same[0] if same else _like(order, module)
    known = job.configuration
    configuration = None if known is None else unpack(known)
    experiment.become(job.experiment_id, configuration)
    return experiment


def _is_meant(experiment: Experiment, order: Order) -> bool:
    if experiment.name != order.job.name:
        return False
    return order.function_name in (None, experiment.function_name)


def _like(order: Order, module: ModuleType) -> Experiment:
    """Make an experiment like the parent's, which this file makes only there."""
    job, where = order.job, scripts.where_defined(vars(module))
    if order.function_name is None:
        msg = f"{where} makes no experiment '{job.name}'"
        raise IsolationError(msg)
    if order.functions is None:
        raise IsolationError(_no_name(job.name, order.function_name))
    if job.configuration is None:
        msg = (
            f"experiment '{job.name}' cannot be isolated: its configuration cannot be "
            f"pickled, and {where} does not make it when it is loaded; move it out of "
            "`if __name__` and out of functions"
        )
        raise IsolationError(msg)
    given: dict[str, Any] = {
        key: value.find() if isinstance(value, Named) else value
        for key, value in order.functions.items()
    }
    experiment = Experiment(job.name, configuration={}, **given)
    experiment.namespace = vars(module)
    return experiment

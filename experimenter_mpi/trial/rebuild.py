"""Make rank 0's experiment again in a process that was not started with its script.

Such are the workers of ``run``, those that MPI_Comm_spawn starts, and the children that
trials are isolated in. They load the script from its text, or import the module it is
in, and take the experiment that this makes, or else one like rank 0's.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..errors import IsolationError, ScriptError
from ..experiment.experiment import Experiment
from . import script as scripts
from .briefing import Briefing, Origin, pack_if_possible, unpack

if TYPE_CHECKING:
    from types import ModuleType

    from .script import Script


# --- where the experiment was made


def origin_of(experiment: Experiment, script: Script | None = None) -> Origin:
    """Return what a process lacks that was not started as this one was.

    ``script`` is the file to load there, where that is known: the experiment's own
    module may be another, whose function the script calls.
    """
    namespace = experiment.namespace
    spec = namespace.get("__spec__")
    return Origin(
        sys.argv,
        namespace.get("__name__") == "__main__",
        pack_if_possible((experiment.function, experiment.init_store)),
        experiment.function_name or "",
        experiment.init_store_function_name,
        None if spec is None or script is not None else spec.name,
    )


def script_of(experiment: Experiment) -> Script | None:
    """Return the file that makes the experiment; None where another has its functions.

    Raises:
        ScriptError: there is none, as in a notebook.
    """
    if experiment.include_file is not None:
        return None
    path = _file_of(experiment)
    if path is None:
        msg = (
            f"experiment '{experiment.name}' is not defined in a file, and workers "
            "load one: save it as a script or name one with include_file=, or use "
            "MultithreadedMode()"
        )
        raise ScriptError(msg)
    script = scripts.source_of(path)
    if experiment.namespace.get("__package__"):
        return script
    return script._replace(folder="", module="")  # `python package/exp.py` knows none


def _file_of(experiment: Experiment) -> str | None:
    """Name the file with the experiment's functions, None if there is none."""
    named = experiment.include_file or experiment.namespace.get("__file__")
    return named if named is not None and os.path.isfile(named) else None


def require_remakable(experiment: Experiment) -> None:
    """Refuse to isolate, before anything is run or stored, what a child cannot find.

    Raises:
        IsolationError: the function is in no file, or has no name there.
    """
    name = experiment.name
    if _file_of(experiment) is None:
        msg = (
            f"experiment '{name}' cannot be isolated: it was defined in no file (a "
            "notebook, or python -c); write it to one and run that, or run without "
            "isolate"
        )
        raise IsolationError(msg)
    if scripts.is_made_again(experiment):
        return
    if origin_of(experiment).functions is None:
        msg = (
            f"experiment '{name}' cannot be isolated: `{experiment.function_name}`, or "
            "its store function, cannot be found again by its name; define both with "
            "`def` at the top level of a file, or run without isolate"
        )
        raise IsolationError(msg)


# --- making it again


def experiment_of(job: Briefing) -> Experiment:
    """Load what rank 0 sent and give the experiment that it makes.

    Raises:
        ScriptError: it makes no such experiment, and none like it can be made.
    """
    main = job.main
    if main is not None:
        sys.argv = main.argv  # a script may look at how it was called
    module = _loaded(job)
    if module is None:
        return _remade(job, {})
    if main is not None and main.is_main:
        # What the configuration holds of its classes was pickled as __main__'s.
        sys.modules["__main__"] = module
    for experiment in scripts.experiments_of(module):
        if experiment.name == job.name and _is_meant(experiment, main):
            return experiment
    return _remade(job, vars(module))


def _loaded(job: Briefing) -> ModuleType | None:
    if job.script is None:
        return None
    if job.main is None or job.main.module is None:
        return scripts.load_once(job.script)
    from importlib import import_module

    try:
        return import_module(job.main.module)
    except Exception as error:
        msg = f"module {job.main.module} cannot be imported here: {error!r}"
        raise ScriptError(msg) from error


def _is_meant(experiment: Experiment, main: Origin | None) -> bool:
    return main is None or experiment.function_name == main.function_name


def _remade(job: Briefing, namespace: dict[str, Any]) -> Experiment:
    """Make the experiment again that rank 0 made where loading the script does not."""
    path = job.script.path if job.script else "its script"
    if job.main is None or job.configuration is None:
        msg = f"on this rank {path} makes no experiment '{job.name}'"
        raise ScriptError(msg)
    function, init_store = _functions(job.main)
    experiment = Experiment(
        job.name,
        configuration=unpack(job.configuration),
        function=function,
        function_name=None if function else job.main.function_name,
        init_store=init_store,
        init_store_function_name=(
            None if init_store else job.main.init_store_function_name
        ),
    )
    experiment.namespace = namespace
    return experiment


def _functions(main: Origin) -> tuple[Any, Any]:
    """Return the trial and the store function; None where only the name is known."""
    where = "define it at the top level of the file, or of a module beside it"
    if main.functions is None:
        msg = (
            f"a worker cannot find the function '{main.function_name}', or the store "
            f"function, by its name: {where}"
        )
        raise ScriptError(msg)
    try:
        function, init_store = unpack(main.functions)
    except Exception as error:  # as many as there are ways to define a function
        msg = (
            f"a worker cannot find the function '{main.function_name}' ({error}): "
            f"{where}"
        )
        raise ScriptError(msg) from error
    return function, init_store

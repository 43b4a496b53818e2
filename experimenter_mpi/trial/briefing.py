"""What rank 0 tells of an experiment, and the experiment made again from it.

Workers of ``run``, those that MPI_Comm_spawn starts, and the children that trials are
isolated in were not started with the script. They load it from its text, or import the
module it is in, and take the experiment that this makes, or else one like rank 0's.
"""

from __future__ import annotations

import os
import pickle
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import IsolationError, ScriptError
from ..experiment.experiment import Experiment
from . import script as scripts

if TYPE_CHECKING:
    from types import ModuleType
    from uuid import UUID

    from .script import Script


class Origin(NamedTuple):
    """What a worker lacks that rank 0 has started: how the script was called.

    ``is_main`` says that its module is ``__main__``, where pickles look for its
    classes. ``functions`` are the trial and the store function, pickled by reference,
    and None where they have no name to be found by. ``module`` is the name to import
    its module by, None where it is a file that Python was started with.
    """

    argv: list[str]
    is_main: bool
    functions: bytes | None
    function_name: str
    init_store_function_name: str | None
    module: str | None = None


class Briefing(NamedTuple):
    """One experiment, as rank 0 has it; rank 0's is the one that counts.

    ``configuration`` is pickled by itself, since it may need the script's own classes,
    and is None where it cannot be: then each rank's own script makes the same one.
    ``arrays_folder`` and ``lock_token`` let a worker find out whether it shares the
    database's folder. ``time_left`` and ``trial_timeout`` are in seconds. ``lanes`` is
    in how many the workers serve executors, None where rank 0 itself hands out the
    trials. ``main`` is for workers that were not started with the script. ``workers``
    is how many ranks work, None where all but rank 0 do. Random streams of trials
    follow from ``seed``; ``reseed`` says that it seeds the global generators too.
    ``bar_on`` names the standard streams that end on the terminal where rank 0 draws a
    bar. ``log`` are level and file of ``run.log.Log``. ``study`` is pickled as
    ``configuration`` is, and None where the trials are just those of that.
    """

    name: str
    experiment_id: UUID
    configuration: bytes | None
    script: Script | None
    include: Script | None
    directory: str | None
    arrays_folder: str | None
    lock_token: str | None
    time_left: float | None
    allow_pickle: bool
    lanes: int | None = None
    main: Origin | None = None
    isolate: bool = False
    trial_timeout: float | None = None
    workers: int | None = None
    reseed: bool = True
    seed: int | None = None
    bar_on: tuple[str, ...] = ()
    log: tuple[str, str | None] | None = None
    study: bytes | None = None

    def tell(self, experiment: Experiment) -> None:
        """Give an experiment of this name what rank 0's has."""
        configuration, study = (
            None if packed is None else unpack(packed)
            for packed in (self.configuration, self.study)
        )
        experiment.become(self.experiment_id, self.seed, configuration, study)
        experiment.reseed = self.reseed

    def pack(self) -> bytes:
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def unpack(content: bytes) -> Briefing:
        # From this job's own rank 0, never from a file.
        job: Briefing = pickle.loads(content)  # noqa: S301
        return job


def pack_if_possible(value: Any) -> bytes | None:
    """Pickle a configuration, or functions; None if something in it cannot be."""
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 - pickle raises whatever an object's hook raises
        return None


def pack_study(experiment: Experiment) -> bytes | None:
    """Pickle the trials of an experiment that was extended.

    Raises:
        ScriptError: something in their configurations cannot be pickled.
    """
    if experiment.study is None:
        return None
    packed = pack_if_possible((experiment.configuration, experiment.study))
    if packed is None:
        msg = (
            f"experiment '{experiment.name}' was extended, and its configurations "
            "cannot be pickled for the workers: make what they hold in the trial "
            "function, or use SerialMode() or MultithreadedMode()"
        )
        raise ScriptError(msg)
    return pack_if_possible(experiment.study)


def unpack(content: bytes) -> Any:
    """Return what was packed; the script's classes must be loaded."""
    # From this job's own rank 0, never from a file.
    return pickle.loads(content)  # noqa: S301


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
            f"experiment '{experiment.name}' is not defined in a file, but workers "
            "need one to load: save it as a script, name one with include_file=, or "
            "use MultithreadedMode()"
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
            f"experiment '{name}' cannot be isolated: it was not defined in a file "
            "(but in a notebook, or by python -c); save it as a script and run that, "
            "or run without isolate"
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
    """Load what rank 0 sent and return the experiment that it makes.

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
        msg = f"on this rank {path} defines no experiment '{job.name}'"
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
    where = "define it at the top level of the file, or of a module next to it"
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

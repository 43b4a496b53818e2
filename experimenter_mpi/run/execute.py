"""``execute``: where the coordinator's way and the workers' part."""

from __future__ import annotations

import atexit
import os
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, LaunchError
from ..modes import MODES, SerialMode
from ..mpi import launch
from ..trial import script
from .serve import assist, follow
from .summary import Options

if TYPE_CHECKING:
    from ..database.handle import ExperimentDatabase
    from ..experiment.experiment import Experiment
    from ..modes import Mode
    from ..mpi.transport import Transport
    from ..trial.script import Script
    from .summary import RunSummary

_together: list[Transport] = []


def execute(
    experiment: Experiment,
    database: ExperimentDatabase,
    mode: Mode | type[Mode] = SerialMode(),  # noqa: B008 - immutable
    *,
    use_progress: bool | str = False,
    directory: str | os.PathLike[str] | None = None,
    force_overwrite: bool = False,
    on_error: str = "record",
    retry_failed: bool = True,
    time_limit: float | None = None,
    grace: float | None = None,
    isolate: bool = False,
    trial_timeout: float | None = None,
    share: tuple[int, int] | str | None = None,
    keep_snapshots: int | str = "all",
    keep_diff: bool = False,
    extend: bool = False,
) -> RunSummary:
    """Run the unfinished trials of ``experiment`` and keep them in ``database``.

    Call it on every rank alike: rank 0 coordinates, the others work, and all of them
    get the same summary. Rank 0's experiment is the one that counts, and when its name
    is already stored ``experiment.id`` becomes the stored id, on every rank. Where
    rank 0 leaves the script, ``execute`` ends the other ranks with its exit code.

    Args:
        experiment: What to run.
        database: What ``open_db`` returned.
        mode: An instance or class of SerialMode, MultithreadedMode, DistributedMode,
            HeterogeneousMode or MPIMode.
        use_progress: True shows a bar on a terminal, where rich is installed, and
            lines in a log; or one of "auto", "bar", "log", "none".
        directory: Changed to on every rank while trials run.
        force_overwrite: Delete a stored experiment of this name first; with ``share``
            the results and snapshots of that share alone.
        on_error: "record" keeps a failed trial's traceback and goes on; "raise" stops
            at the first failure and raises it.
        retry_failed: Whether trials that failed in an earlier run are run again.
        time_limit: Seconds after which no new trial is started.
        grace: Seconds that running trials have to end once the run is stopping: after
            a signal, at the time limit, or before the scheduler ends the job. None: a
            minute, or one second after Ctrl-C.
        isolate: Run trials in processes of their own, so that a crash, ``os._exit``
            or running out of memory is one failed trial.
        trial_timeout: Seconds that one attempt at a trial may take: more is a failure.
            With ``isolate`` the trial is killed; without, nothing can stop it.
        share: ``(k, n)`` runs the k-th of n disjoint shares of the trials, those with
            ``index % n == k - 1``; "auto" the one of this task of a job array. Each
            share goes to a database of its own, and ``merge_databases`` joins them.
        keep_snapshots: "latest", or how many of the newest snapshots of each trial
            are kept; "all" keeps every one. What is surplus is deleted together with
            its arrays, when a newer one is stored. The newest stay when a trial has
            finished, and the one that it went on from until then.
        keep_diff: Keep with the run how the files of its code differ from the git
            commit, up to 100,000 characters.
        extend: Go on with a configuration that has changed. Points that are new become
            new trials. Trials that are there keep their ids, results and snapshots;
            those whose points are no longer asked for are set aside: they stay stored,
            are not run, and are not counted. Without it, a changed configuration is an
            ExperimentMismatchError which says how many trials that would be.

    Raises:
        ConfigurationError: an option has a value that means nothing.
        ExperimentMismatchError: the name is stored with another configuration, and
            ``extend`` was not given; or with another function.
        DatabaseLockedError: another run is writing to the database.
        DatabaseWriteError: it cannot be written: read-only, or no room is left.
        ScriptError: a named function is not there.
        StoreError: the store function failed.
        IsolationError: with ``isolate``, the trial function is in no file.
        TrialError: a trial failed on another rank, or in another process, with
            ``on_error="raise"``; in SerialMode and MultithreadedMode without
            ``isolate`` the trial's own exception is raised.
        LaunchError: workers were to be started, and this MPI starts none.
    """
    script.require_none_loading()
    options = _options(
        force_overwrite=force_overwrite,
        on_error=on_error,
        retry_failed=retry_failed,
        time_limit=time_limit,
        grace=grace,
        isolate=isolate,
        trial_timeout=trial_timeout,
        share=share,
        keep_snapshots=keep_snapshots,
        keep_diff=keep_diff,
        extend=extend,
    )
    folder = None if directory is None else os.path.abspath(directory)
    chosen = as_mode(mode)
    return run_experiment(experiment, database, chosen, options, use_progress, folder)


def run_experiment(
    experiment: Experiment,
    database: ExperimentDatabase,
    mode: Mode,
    options: Options,
    use_progress: bool | str = False,
    directory: str | None = None,
    script_of_workers: Script | None = None,
) -> RunSummary:
    """Do what ``execute`` does; ``script_of_workers`` is what they load."""
    transport = _connect(mode)
    if transport is not None and script_of_workers is None:
        _leave_together(transport)
    if transport is not None and transport.rank != 0:
        return assist(transport, experiment)
    from .lead import Lead

    lead = Lead(transport, mode, options, use_progress, directory, script_of_workers)
    return lead.conduct(experiment, database)


def _leave_together(transport: Transport) -> None:
    """Make the ranks of a script end together, whichever leaves it first."""
    if transport in _together:
        return
    _together.append(transport)
    if transport.rank == 0:
        from .leaving import dismiss_at_exit

        dismiss_at_exit(transport)
    else:
        atexit.register(follow, transport)


def _connect(mode: Mode) -> Transport | None:
    """Connect to the other ranks; None where this process is alone."""
    if not mode.needs_ranks or launch.concerns_mpi():
        return launch.connect()
    try:
        return launch.connect(even_alone=True)
    except LaunchError:  # a laptop without MPI runs the same file
        return None


def as_mode(mode: Any) -> Mode:
    """Return an instance of a mode that was named by class or instance."""
    kind = mode if isinstance(mode, type) else type(mode)
    if not hasattr(kind, "workforce"):
        msg = f"mode must be one of {', '.join(MODES)}, not {mode!r}"
        raise ConfigurationError(msg)
    try:
        chosen: Mode = mode() if isinstance(mode, type) else mode
    except TypeError:  # HeterogeneousMode does not guess
        msg = f"{kind.__name__} needs an argument, as in {kind.__name__}(4)"
        raise ConfigurationError(msg) from None
    return chosen


def _options(**given: Any) -> Options:
    if given["on_error"] not in ("record", "raise"):
        msg = f'on_error must be "record" or "raise", not {given["on_error"]!r}'
        raise ConfigurationError(msg)
    if given["extend"] and given["force_overwrite"]:
        msg = "extend keeps what is stored, and force_overwrite deletes it: choose one"
        raise ConfigurationError(msg)
    timeout = given["trial_timeout"]
    if timeout is not None and not timeout > 0:
        msg = f"trial_timeout must be a number of seconds above 0, not {timeout!r}"
        raise ConfigurationError(msg)
    if given["share"] is not None:
        from ..experiment.share import as_share

        given["share"] = as_share(given["share"])
    if given["keep_snapshots"] == "all":
        given["keep_snapshots"] = None
    else:
        from .retention import kept_snapshots

        given["keep_snapshots"] = kept_snapshots(given["keep_snapshots"])
    return Options(**given)

"""Rank 0's story of a run: lock, restore, skip what is finished, run, summarise."""

from __future__ import annotations

import os
import shlex
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ..cluster import walltime
from ..coordination.drain import Drain
from ..coordination.sweep import Sweep
from ..database.versions import finished_by
from ..errors import ConfigurationError, TrialTimeoutError, WorkerDiedError, WorkLeft
from ..program import program
from ..trial import code_versions as versions
from ..trial.arrays import SharedArrays
from ..trial.briefing import require_remakable
from ..trial.functions import find_functions
from ..trial.outcome import Status
from . import provenance
from .interruption import draining_on_signals
from .resumption import Resumption
from .summary import RunSummary
from .terminal import is_interactive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ..database.session import Session
    from ..experiment.experiment import Experiment
    from ..experiment.share import Share
    from ..modes import Workforce
    from ..trial.script import Script
    from .progress import Progress
    from .summary import Options

SUSPECTS_NAMED = 5


def conduct(
    experiment: Experiment,
    session: Session,
    workforce: Workforce,
    options: Options,
    progress: Progress,
    include: Script | None = None,
) -> RunSummary:
    """Run what is unfinished of ``experiment`` and keep it in ``session``.

    ``experiment.id`` becomes the stored one.

    Raises:
        ExperimenterError: see ``execute``.
    """
    start = time.monotonic()
    drain = Drain(options.time_limit, grace=options.grace, walltime=walltime.left())
    # Before anything is stored: a misspelt function must not become part of it.
    find_functions(experiment, include)
    if options.isolate:
        require_remakable(experiment)
    session.storage.listen(progress.note)
    with session.storage.writing():
        _enrol(experiment, session, options)
        crashed = session.deaths.last_run_crashed(experiment.id)
        for notice in session.deaths.settle(experiment.id):
            progress.note(notice)
        before = session.trials.counts(experiment.id, options.share)
        fatal = _of_share(options, session.deaths.fatal(experiment.id))
        suspects = session.deaths.suspects(experiment.id)
        pending = _pending(experiment, session, options, fatal)
        code = _code(experiment, include, keep_diff=options.keep_diff)
        others = versions.others(session.versions.of_runs(experiment.id), code)
        _tell_of_other_code(experiment, session, others, code, progress)
        if pending:
            sweep = _sweep(experiment, session, pending, drain, options, progress)
            # In processes of their own trials kill no rank.
            if not options.isolate:
                # Of a run of one process no death is counted.
                crashed = crashed and workforce.ranks > 1
                sweep = replace(sweep, deaths=suspects, after_a_crash=crashed)
                _tell_of(sorted(set(suspects) - set(fatal)), options, progress)
            sweep = replace(sweep, include=include)
            resumption = Resumption(session, others, code, progress.note)
            _run(sweep, session, workforce, progress, options, code, resumption)
        after = session.trials.counts(experiment.id, options.share)
    to_run, duration = sum(map(len, pending)), time.monotonic() - start
    return _summary(
        experiment,
        before,
        after,
        to_run,
        len(fatal),
        progress,
        options,
        drain,
        duration,
    )


def _enrol(experiment: Experiment, session: Session, options: Options) -> None:
    # First of all: what a run left that met a full disk may be what fills it.
    session.sweep_leftovers()
    session.experiments.enrol(
        experiment,
        force_overwrite=options.force_overwrite,
        id_by_content=options.share is not None,
    )


def _code(
    experiment: Experiment, include: Script | None, *, keep_diff: bool
) -> provenance.Code:
    """Return which code is about to run; its functions may be in files of their own."""
    file = experiment.namespace.get("__file__")
    own = [file] if isinstance(file, str) and os.path.isfile(file) else []
    files = own if include is None else [*own, include.path]
    return provenance.code(files, keep_diff=keep_diff)


def _tell_of_other_code(
    experiment: Experiment,
    session: Session,
    others: Mapping[int, versions.Difference],
    code: provenance.Code,
    progress: Progress,
) -> None:
    """Say which results are of another commit, or another text of the script."""
    if not others:  # counting would read all trials
        return
    counts = session.versions.finished_by_run(experiment.id)
    found = versions.notice("finished trial", others, counts, code)
    if found is not None:
        sentence, runs = found
        chosen = (
            f"--run {runs[0]}"
            if len(runs) == 1
            else f"--where {shlex.quote(finished_by(runs, counts))}"
        )
        path = shlex.quote(session.storage.path or "DB")
        names = f"{path} {shlex.quote(experiment.name)}"
        progress.note(
            f"{sentence}, and kept; to rerun: {program()} reset {names} {chosen}"
        )


def _tell_of(suspects: list[int], options: Options, progress: Progress) -> None:
    """Say which of the trials to run ran when ranks died, and what to do about it."""
    only, mine = options.only, _of_share(options, suspects)
    again = [index for index in mine if only is None or index in only]
    if not again:
        return
    named = ", ".join(map(str, again[:SUSPECTS_NAMED]))
    more = ", ..." if len(again) > SUSPECTS_NAMED else ""
    who = f"trial {named}" if len(again) == 1 else f"trials {named}{more}"
    progress.note(
        f"{who} ran when the job or a rank died; with --isolate, a crash is one "
        "failed trial"
    )


def _sweep(
    experiment: Experiment,
    session: Session,
    pending: list[range],
    drain: Drain,
    options: Options,
    progress: Progress,
) -> Sweep:
    return Sweep(
        experiment,
        pending,
        session.ledger(experiment.id),
        SharedArrays(session.storage.arrays_folder),
        drain,
        progress.on_recorded,
        raise_errors=options.on_error == "raise",
        allow_pickle=session.storage.allow_pickle,
        note=progress.note,
        trial_timeout=None if options.isolate else options.trial_timeout,
    )


def _pending(
    experiment: Experiment,
    session: Session,
    options: Options,
    fatal: list[int],
) -> list[range]:
    """Return the trials that this run is to run, as ranges of indices."""
    ranges = session.trials.unfinished(experiment.id, retry_failed=options.retry_failed)
    if options.share is not None:
        ranges = options.share.of(ranges)
    if options.only is None:
        return ranges
    require_trials(experiment, options.only)
    wanted = sorted(options.only)
    ranges += [range(i, i + 1) for i in fatal]  # only when asked for
    return [range(i, i + 1) for i in wanted if any(i in piece for piece in ranges)]


def require_trials(experiment: Experiment, chosen: Iterable[int]) -> None:
    """Refuse indices of trials that the experiment has not.

    Raises:
        ConfigurationError: says which.
    """
    beyond = max(chosen, default=0)
    if beyond >= len(experiment):
        msg = (
            f"experiment '{experiment.name}' has trials 0 to {len(experiment) - 1}, "
            f"not {beyond}"
        )
        raise ConfigurationError(msg)


def _of_share(options: Options, indices: list[int]) -> list[int]:
    if options.share is None:
        return indices
    ranges = options.share.of(range(index, index + 1) for index in indices)
    return [index for piece in ranges for index in piece]


def _run(
    sweep: Sweep,
    session: Session,
    workforce: Workforce,
    progress: Progress,
    options: Options,
    code: provenance.Code,
    resumption: Resumption,
) -> None:
    experiment, share = sweep.experiment, options.share
    name = experiment.name if share is None else f"{experiment.name}, share {share}"
    progress.start(name, sum(map(len, sweep.pending)), workforce.where)
    with (
        _recorded_run(
            session, experiment, workforce, share, sweep.drain, code
        ) as run_id,
        draining_on_signals(
            sweep.drain,
            progress.on_drain,
            bounded=workforce.may_be_left or not is_interactive(),
            may_end_process=not is_interactive(),
        ),
        progress,
    ):
        excuse = session.deaths.excuse
        if options.isolate:
            excuse(run_id, "trials in separate processes")
        ledger = session.ledger(
            experiment.id,
            run_id,
            keep_snapshots=options.keep_snapshots,
            on_resumed=resumption,
        )
        stopping = partial(excuse, run_id)
        workforce.run(replace(sweep, ledger=ledger, on_stopping=stopping))


@contextmanager
def _recorded_run(
    session: Session,
    experiment: Experiment,
    workforce: Workforce,
    share: Share | None,
    drain: Drain,
    code: provenance.Code,
) -> Iterator[int]:
    """Write the run's own row: when, how, by whom, and how it ended; give its id.

    Its counts are of the whole experiment, whatever share of it is run.
    """
    facts: dict[str, Any] = provenance.facts(
        workforce.mode, workforce.ranks, workforce.library
    )
    facts |= code.facts()
    before = session.trials.counts(experiment.id)
    facts["finished_before"] = before.get(Status.FINISHED, 0)
    facts["share"] = None if share is None else str(share)
    run_id = session.runs.start(experiment.id, facts)
    ended = "error"
    try:
        yield run_id
        ended = "stopped" if drain.requested() or drain.shortage else "finished"
    except KeyboardInterrupt:
        ended = "stopped"
        raise
    except TrialTimeoutError as error:  # an overdue trial was not waited for
        ended = "stopped" if isinstance(error, WorkLeft) else "finished"
        raise
    except WorkerDiedError:
        # What ran is found by the next run, as where rank 0 died with it.
        ended = "died"
        raise
    finally:
        if ended != "died":
            session.trials.release_running(experiment.id)
        counts = session.trials.counts(experiment.id)
        if ended == "finished" and counts.get(Status.FAILED, 0):
            ended = "failed"
        session.runs.finish(run_id, ended, counts)


def _summary(
    experiment: Experiment,
    before: dict[str, int],
    after: dict[str, int],
    to_run: int,
    fatal: int,
    progress: Progress,
    options: Options,
    drain: Drain,
    duration: float,
) -> RunSummary:
    skipped, finished = before.get(Status.FINISHED, 0), after.get(Status.FINISHED, 0)
    failed = progress.failed
    if options.only is None:
        failed += fatal if options.retry_failed else before.get(Status.FAILED, 0)
    remaining = to_run - progress.done
    trials, share = len(experiment), options.share
    return RunSummary(
        experiment.id,
        experiment.name,
        trials if share is None else share.size(trials),
        skipped,
        finished - skipped,
        failed,
        remaining,
        duration,
        (drain.reason or drain.shortage) if remaining else None,
        share,
    )

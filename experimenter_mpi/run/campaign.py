"""What rank 0 does with the database for one ``execute``: restore, skip, record."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ..cluster import walltime
from ..coordination.drain import Drain
from ..coordination.pending import Ranges, size_of
from ..coordination.sweep import Sweep
from ..experiment.priority import by_priority
from ..trial import code_versions as versions
from ..trial.arrays import SharedArrays
from ..trial.briefing import require_remakable
from ..trial.functions import find_functions
from ..trial.outcome import Status
from . import live, provenance
from .interruption import draining_on_signals
from .recording import recorded_run
from .resumption import Resumption, notice_of_results
from .selection import notice_of_suspects, of_share, selected
from .share_reset import reset_own_share
from .summary import RunSummary
from .terminal import is_interactive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..database.session import Session
    from ..experiment.experiment import Experiment
    from ..modes import Workforce
    from ..trial.script import Script
    from .progress import Progress
    from .summary import Options


class StoredState(NamedTuple):
    """What the database says of an experiment before a run, and so what is to run.

    ``suspects`` are the trials that ran when ranks died, and how often; ``fatal`` those
    of them that are run only when asked for. ``others`` are the runs of other code.
    """

    counts: dict[str, int]
    pending: Ranges | list[range]
    suspects: dict[int, int]
    fatal: list[int]
    crashed: bool
    code: provenance.Code
    others: Mapping[int, versions.Difference]

    @property
    def trials(self) -> int:
        """The number of trials to run."""
        return size_of(self.pending)


class Campaign:
    """One experiment, from what is stored of it to what a run adds.

    Making one finds the functions before anything is stored: a misspelt name must not
    become part of the database.

    Raises:
        ExperimenterError: see ``execute``.
    """

    def __init__(
        self,
        experiment: Experiment,
        session: Session,
        options: Options,
        progress: Progress,
        include: Script | None,
    ) -> None:
        self._start = time.monotonic()
        left = walltime.left()
        self._drain = Drain(options.time_limit, grace=options.grace, walltime=left)
        self._experiment, self._include = experiment, include
        self._session, self._options, self._progress = session, options, progress
        find_functions(experiment, include)
        if options.isolate:
            require_remakable(experiment)

    @contextmanager
    def begun(self) -> Iterator[StoredState]:
        """Be the only writer, store or restore the experiment, and see what is there.

        ``experiment.id`` becomes the stored one.
        """
        storage = self._session.storage
        storage.listen(self._progress.note)
        with storage.writing():
            self._enrol()
            yield self._examined()

    @contextmanager
    def running(self, stored: StoredState, workforce: Workforce) -> Iterator[Sweep]:
        """Record a run, show its progress, have signals stop it; give its trials."""
        experiment, options, drain = self._experiment, self._options, self._drain
        progress, share = self._progress, options.share
        if not options.isolate:
            suspects = sorted(set(stored.suspects) - set(stored.fatal))
            self._note(notice_of_suspects(suspects, options))
        name = experiment.name if share is None else f"{experiment.name}, share {share}"
        progress.start(name, stored.trials, workforce.where)
        recorded = recorded_run(
            self._session, experiment.id, workforce, share, drain, stored.code
        )
        stoppable = draining_on_signals(
            drain,
            progress.on_drain,
            bounded=workforce.may_be_left or not is_interactive(),
            may_end_process=not is_interactive(),
        )
        shown = live.shown(self._session.storage, experiment.name, progress)
        with recorded as run_id, stoppable, progress, shown:
            yield self._sweep(stored, workforce, run_id)

    def summary(self, stored: StoredState) -> RunSummary:
        """Say what the run did."""
        experiment, options, progress = self._experiment, self._options, self._progress
        counts = self._session.trials.counts(experiment.id, options.share)
        remaining = min(stored.trials - progress.done, self._left(stored, counts))
        share = options.share
        skipped, failed = stored.counts[Status.FINISHED], progress.failed
        if options.only is None:
            again = options.retry_failed
            failed += len(stored.fatal) if again else stored.counts[Status.FAILED]
        return RunSummary(
            experiment.id,
            experiment.name,
            len(experiment) if share is None else share.count(experiment.asked),
            skipped,
            counts[Status.FINISHED] - skipped,
            failed,
            remaining,
            time.monotonic() - self._start,
            (self._drain.reason or self._drain.shortage) if remaining else None,
            share,
        )

    def _left(self, stored: StoredState, counts: dict[str, int]) -> int:
        """Return how many were not run at most: others may have been completed."""
        failed_before = counts[Status.FAILED] - self._progress.failed
        untried = max(0, failed_before - len(stored.fatal))
        return counts[Status.PENDING] + counts[Status.RUNNING] + untried

    def _enrol(self) -> None:
        # First of all: what a run left that met a full disk may be what fills it.
        self._session.sweep_leftovers()
        overwrites = reset_own_share(self._experiment, self._session, self._options)
        change = self._session.experiments.enrol(
            self._experiment,
            force_overwrite=overwrites,
            id_by_content=self._options.share is not None,
            extend=self._options.extend,
        )
        if change:
            name = self._experiment.name
            self._progress.note(f"experiment '{name}' was extended: {change}")

    def _examined(self) -> StoredState:
        experiment, session, options = self._experiment, self._session, self._options
        crashed = session.deaths.last_run_crashed(experiment.id)
        for notice in session.deaths.settle(experiment.id):
            self._progress.note(notice)
        fatal = of_share(options.share, session.deaths.fatal(experiment.id))
        code = self._code()
        stored = StoredState(
            session.trials.counts(experiment.id, options.share),
            selected(experiment, session, options, fatal),
            session.deaths.suspects(experiment.id),
            fatal,
            crashed,
            code,
            versions.others(session.versions.of_runs(experiment.id), code),
        )
        self._note(notice_of_results(session, experiment, stored.others, code))
        return stored

    def _code(self) -> provenance.Code:
        """Return which code is about to run, functions in files of their own too."""
        file = self._experiment.namespace.get("__file__")
        files = [file] if isinstance(file, str) and os.path.isfile(file) else []
        if self._include is not None:
            files.append(self._include.path)
        return provenance.code(files, keep_diff=self._options.keep_diff)

    def _sweep(self, stored: StoredState, workforce: Workforce, run_id: int) -> Sweep:
        experiment, session, options = self._experiment, self._session, self._options
        note, storage = self._progress.note, session.storage
        excuse = partial(session.deaths.excuse, run_id)
        if options.isolate:
            excuse("trials in separate processes")
        ledger = session.ledger(
            experiment.id,
            run_id,
            keep_snapshots=options.keep_snapshots,
            on_resumed=Resumption(session, stored.others, stored.code, note),
        )
        # In processes of their own trials kill no rank; and of a run of one process no
        # death is counted.
        may_crash = workforce.ranks > 1 and not options.isolate
        return Sweep(
            experiment,
            by_priority(experiment, stored.pending),
            ledger,
            SharedArrays(storage.arrays_folder),
            self._drain,
            self._progress.on_recorded,
            self._include,
            raise_errors=options.on_error == "raise",
            allow_pickle=storage.allow_pickle,
            note=note,
            on_stopping=excuse,
            trial_timeout=None if options.isolate else options.trial_timeout,
            deaths={} if options.isolate else stored.suspects,
            after_a_crash=may_crash and stored.crashed,
        )

    def _note(self, text: str | None) -> None:
        if text is not None:
            self._progress.note(text)

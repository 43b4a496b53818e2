"""Rank 0's loop where executors run the trials: batches out, outcomes and questions in.

Executors tell of ends on threads of theirs, trials ask from wherever they run. All of
it goes into one queue, so that this thread alone touches the ledger.
"""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from .. import overdue
from ..attempt import Attempt
from ..batches import indices_of
from ..commits import GroupedCommits
from ..drain import Excuse
from ..ledger import Entry, Place, RunningTrial, Status
from ..mpi import messages as m
from ..mpi.answers import Answers
from ..mpi.deadlines import Deadlines
from ..mpi.pace import BATCHES_HELD, Pace
from ..mpi.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from ..batches import Report
    from ..sweep import Sweep

# How often an idle rank 0 looks at signals, the time limit and the progress display.
LOOK_SECONDS = 0.25


REFUSAL = m.Refused(
    "OutsideTrialError", "the run is over: this trial was stopped and runs again"
)


class Heard(NamedTuple):
    """A trial asks, or a batch begins; ``reply`` takes the answer, if there is one."""

    place: Place
    message: m.Message
    reply: Callable[[m.Message], object]

    def refuse(self) -> None:
        """Say that the run is over, to whoever waits for an answer."""
        if not isinstance(self.message, m.Begun):
            self.reply(REFUSAL)


class Ended(NamedTuple):
    """An executor is done with a batch."""

    lane: Lane
    ranges: m.Ranges
    future: Future[Report]


class Tried(NamedTuple):
    """A trial on a thread of this process has ended."""

    place: Place
    attempt: Attempt


class Broken(NamedTuple):
    """Whoever feeds the queue cannot go on."""

    error: BaseException


Event = Heard | Tried | Ended | Broken
Inbox = SimpleQueue[Event]


class Lane:
    """An executor, how many tasks it runs at once, and how many it has."""

    def __init__(
        self, submit: Callable[[m.Ranges], Future[Report]], workers: int
    ) -> None:
        self.submit = submit
        self.workers = workers
        self.futures: set[Future[Report]] = set()


class Failed(NamedTuple):
    """The first trial that failed, and its exception if it ran in this process."""

    entry: Entry
    exception: BaseException | None


def run_in_pool(
    sweep: Sweep,
    lanes: Sequence[Lane],
    inbox: Inbox,
    tell_draining: Callable[[m.Drain], object] = lambda _: None,
) -> Failed | None:
    """Run the sweep's trials on the lanes, or until it drains; give what failed first.

    ``tell_draining`` is called once, with what workers are to be told. Whatever this
    raises came while trials were still running.
    """
    return _PoolRun(sweep, lanes, inbox, tell_draining).run()


class _PoolRun:
    def __init__(
        self,
        sweep: Sweep,
        lanes: Sequence[Lane],
        inbox: Inbox,
        tell_draining: Callable[[m.Drain], object],
    ) -> None:
        self._drain = sweep.drain
        self._excuse = Excuse(sweep.drain, sweep.on_stopping)
        self._raise_errors = sweep.raise_errors
        self._lanes = lanes
        self._inbox = inbox
        self._tell_draining = tell_draining
        self._draining = False
        self._pool = Pool(sweep.pending)
        limit = sweep.trial_timeout
        self._late = None if limit is None else _Late(limit, sweep.note)
        # What may become overdue goes out one by one: nothing is held up behind it.
        self._pace = Pace(None if limit is None else 1)
        self._workers = sum(lane.workers for lane in lanes)
        self._commits = GroupedCommits(sweep.ledger, sweep.on_recorded)
        self._answers = Answers(sweep.ledger, self._commits)
        self._out: set[int] = set()
        self._begun: list[RunningTrial] = []
        self._first_failure: Failed | None = None

    def run(self) -> Failed | None:
        try:
            self._hand_out()
            while self._goes_on():
                self._step()
        finally:
            self._take_in()
            self._commits.flush()
        return self._first_failure

    def _goes_on(self) -> bool:
        """Whether a trial runs, or a lane is about to be free for another.

        That a trial has ended is often told before its lane says that it is free.
        """
        if self._out:
            return True
        busy = any(lane.futures for lane in self._lanes)
        return busy and not self._draining and self._pool.size > 0

    def _take_in(self) -> None:
        """Keep what has ended by now, although the run is interrupted."""
        while not self._inbox.empty():
            event = self._inbox.get()
            if isinstance(event, Tried):
                self._record(event.place, [event.attempt])
            elif isinstance(event, Heard) and isinstance(event.message, m.Finished):
                self._record_outcomes(event.place, event.message)
            elif isinstance(event, Ended) and not event.future.cancelled():
                if event.future.exception() is None:
                    report = event.future.result()
                    self._record(report.place, report.attempts)
            elif isinstance(event, Heard):
                event.refuse()

    def _step(self) -> None:
        event = self._take()
        if self._drain.requested() and not self._draining:
            self._begin_draining()
        self._excuse.look()
        if self._late is not None:
            self._mind_the_time(self._late)
        match event:
            case Ended():
                self._on_ended(event)
            case Tried(place, attempt):
                self._record(place, [attempt])
            case Heard():
                self._on_heard(event)
            case Broken(error):
                raise error
        self._hand_out()

    def _mind_the_time(self, late: _Late) -> None:
        """Count overdue trials as failed, and end the run rather than wait for them.

        Raises:
            TrialTimeoutError: the run waits for nothing else.
        """
        for entry in late.look():
            self._commit()  # which says that it runs, before it says that it failed
            self._record_entries([entry], [None])
        late.require_hope(
            stuck=bool(self._out) and self._out <= late.trials,
            left=self._pool.size,
            draining=self._draining or self._runs_out(),
        )

    def _take(self) -> Event | None:
        """Give what comes next; commit before waiting for it."""
        if self._inbox.empty() or self._commits.due():
            self._commit()
        try:
            return self._inbox.get(timeout=LOOK_SECONDS)
        except Empty:
            return None

    def _hand_out(self) -> None:
        """Give every lane what it can run, and short batches one in advance."""
        if self._draining or self._drain.requested() or self._runs_out():
            return
        for lane in self._lanes:
            while self._pool.size and self._has_room(lane):
                self._submit(lane)

    def _runs_out(self) -> bool:
        """Whether no trial would end in the time left."""
        if not self._pool.size:
            return False
        size = self._pace.size(self._pool.size, self._workers)
        return self._drain.runs_out(self._pace.expected(size))

    def _has_room(self, lane: Lane) -> bool:
        held = len(lane.futures)
        if held < lane.workers:
            return True
        if self._late is not None:
            return False
        size = self._pace.size(self._pool.size, self._workers)
        return held < BATCHES_HELD * lane.workers and self._pace.is_short(size)

    def _submit(self, lane: Lane) -> None:
        pieces = self._pool.take(self._pace.size(self._pool.size, self._workers))
        ranges = tuple((piece.start, piece.stop) for piece in pieces)
        self._out.update(indices_of(ranges))
        future = lane.submit(ranges)
        lane.futures.add(future)
        future.add_done_callback(
            lambda done: self._inbox.put(Ended(lane, ranges, done))
        )

    def _on_ended(self, ended: Ended) -> None:
        ended.lane.futures.discard(ended.future)
        handed = set(indices_of(ended.ranges)) & self._out
        if not ended.future.cancelled():
            report = ended.future.result()
            self._record(report.place, report.attempts)
            # What was sent by other ways may still be under way.
            handed = handed - set(report.sent)
        untouched = sorted(handed & self._out)
        self._out.difference_update(untouched)
        self._pool.put_back(untouched)

    def _record_outcomes(self, place: Place, message: m.Finished) -> None:
        self._record(place, [Attempt(outcome) for outcome in message.outcomes])

    def _record(self, place: Place, ended: Sequence[Attempt]) -> None:
        attempts = [each for each in ended if each.outcome.index in self._out]
        self._out.difference_update(each.outcome.index for each in attempts)
        if self._late is not None:
            attempts = list(self._late.judged(attempts))
        self._pace.learn([each.outcome for each in attempts])
        entries = [Entry(each.outcome, place) for each in attempts]
        self._record_entries(entries, [each.exception for each in attempts])

    def _record_entries(
        self, entries: Sequence[Entry], exceptions: Sequence[BaseException | None]
    ) -> None:
        self._commits.add(entries)
        for entry, exception in zip(entries, exceptions, strict=True):
            failed = entry.outcome.status == Status.FAILED
            if failed and self._first_failure is None:
                self._first_failure = Failed(entry, exception)
                if self._raise_errors:
                    self._drain.request("a failed trial", for_ever=True)

    def _on_heard(self, heard: Heard) -> None:
        if isinstance(heard.message, m.Begun):
            now = RunningTrial(heard.message.index, time.time(), heard.place)
            self._begun.append(now)
            if self._late is not None and now.index in self._out:
                self._late.began(now.index, heard.place)
            return
        if isinstance(heard.message, m.Finished):
            self._record_outcomes(heard.place, heard.message)
            return
        # What was finished before the question must be seen by its answer.
        self._commit()
        heard.reply(self._answers.to(heard.message))

    def _commit(self) -> None:
        """Commit what ended, and mark what runs, unless it is over by now."""
        begun = [trial for trial in self._begun if trial.index in self._out]
        self._commits.flush(begun)
        self._begun.clear()

    def _begin_draining(self) -> None:
        self._draining = True
        self._tell_draining(m.Drain(self._drain.reason or "", self._drain.time_left()))
        for lane in self._lanes:
            for future in lane.futures:
                future.cancel()


class _Late:
    """The trials that run, and those among them that are overdue: ``trials``."""

    def __init__(self, limit: float, note: Callable[[str], object]) -> None:
        self._limit = limit
        self._note = note
        self._deadlines = Deadlines(limit)
        self._running: dict[int, Place] = {}
        self.trials: set[int] = set()

    def began(self, index: int, place: Place) -> None:
        self._running[index] = place

    def look(self) -> Iterator[Entry]:
        """Say which trials are overdue now, and give what is recorded of them."""
        running = ((index, index) for index in self._running)
        for index, seconds in self._deadlines.look(running).items():
            place = self._running.pop(index)
            self.trials.add(index)
            self._note(overdue.notice(index, place, self._limit))
            yield Entry(overdue.outcome_of(index, seconds, self._limit), place)

    def judged(self, attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
        """Give what counts of attempts that have ended, and let go of them."""
        counted = []
        for each in attempts:
            index = each.outcome.index
            self._running.pop(index, None)
            if index in self.trials:  # it was counted when it became overdue
                self.trials.discard(index)
            else:
                outcome = overdue.judged(each.outcome, self._limit)
                counted.append(each._replace(outcome=outcome))
        return tuple(counted)

    def require_hope(self, *, stuck: bool, left: int, draining: bool) -> None:
        """End a run that has waited for long enough.

        Raises:
            TrialTimeoutError: it waits only for trials that are overdue.
        """
        if self._deadlines.passed(stuck=stuck, hopeless=draining or not left):
            raise overdue.ended_without(self.trials, left)

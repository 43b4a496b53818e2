"""Rank 0's loop: receive, let the dispatcher decide, carry out, commit in groups."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import ProtocolError, rebuilt
from ..trial import timed as overdue
from ..trial.attempt import trial_error
from ..trial.outcome import Entry, RunningTrial, Status
from . import deaths, trail
from . import messages as m
from .answers import Answers
from .batch_size import BATCHES_HELD, LARGEST_BATCH
from .collector import older_objects_left_alone
from .commits import GroupedCommits
from .deadlines import Deadlines
from .dispatch import Blame, Dispatcher, Instruction, Record, Send
from .drain import Excuse
from .whereabouts import Whereabouts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..trial.outcome import Outcome, Place
    from .port import Port
    from .sweep import Sweep

# How often an idle rank 0 looks at signals, the time limit and the progress display.
LOOK_SECONDS = 0.25
# Outcomes that a killed rank 0 may have had in hand: a tenth of a second's.
UNCOMMITTED = 10_000
# Ranks that may wait for one commit to be given a trial while messages keep coming.
MOST_WAITING = 64
# Answers that what has finished does not change, and snapshots are durable by then.
_TOLD_AT_ONCE = (m.FetchSnapshot, m.AddPiece, m.FetchPiece)


def coordinate(
    port: Port, sweep: Sweep, batch_size: int | None = None
) -> BaseException | None:
    """Run the sweep's trials on all workers of the port; see ``Coordinator.run``."""
    return Coordinator(port, sweep, batch_size).run()


def _dispatcher(port: Port, sweep: Sweep, batch_size: int | None) -> Dispatcher:
    # What may become overdue goes out one by one: nothing is held up behind it, and
    # rank 0 knows which trial it is.
    one_by_one = sweep.trial_timeout is not None
    return Dispatcher(
        sweep.pending,
        port.workers,
        1 if one_by_one else batch_size,
        stop_on_failure=sweep.raise_errors,
        runs_out=sweep.drain.runs_out if sweep.drain.time_left() is not None else None,
        ahead=not one_by_one,
        deaths=sweep.deaths,
        fragile=not port.survives_deaths,
        careful=_careful(port) if sweep.after_a_crash else 0,
    )


def _careful(port: Port) -> int:
    """How many of the first trials may be those that were out when the job died."""
    return BATCHES_HELD * LARGEST_BATCH * (len(port.workers) + 1) + UNCOMMITTED


class Coordinator:
    """Rank 0's loop over one sweep; ``commits`` are the outcomes it has received.

    Where trials run in the loop's own thread, it cannot ``run`` meanwhile: then it is
    told by ``take``, asked by ``reply``, and ``commits`` go on in the background.
    """

    def __init__(self, port: Port, sweep: Sweep, batch_size: int | None = None) -> None:
        self._port = port
        self._drain = sweep.drain
        self._dispatcher = _dispatcher(port, sweep, batch_size)
        self._ledger = sweep.ledger
        self.commits = GroupedCommits(
            sweep.ledger, sweep.on_recorded, seconds=sweep.commit_seconds
        )
        self._answers = Answers(sweep.ledger, self.commits)
        # Where each worker runs its trials, as far as is known: some have no place of
        # their own, and say it with each batch.
        self._places: dict[int, Place] = {}
        self._without_place: set[int] = set()
        self._running: dict[int, RunningTrial] = {}
        self._note = sweep.note
        self._excuse = Excuse(sweep.drain, sweep.on_stopping)
        self._raise_errors = sweep.raise_errors
        self._first_failure: Entry | None = None
        self._limit = sweep.trial_timeout
        self._deadlines = None if self._limit is None else Deadlines(self._limit)
        # What each worker is to be sent after the next commit.
        self._waiting: dict[int, list[m.Message]] = {}
        # Workers that may run another trial than at the last commit: not all are looked
        # at for each, of which there may be a hundred thousand.
        self._changed: set[int] = set()
        self._runs = Whereabouts(self._dispatcher.workers, self._places)

    def run(self) -> BaseException | None:
        """Run the trials; return when all workers are released.

        Returns the error that the run is to end with, if any: a trial failed and the
        sweep stops there, or no worker could start. Whatever it raises instead came
        while workers were still busy. Where no worker is left alive it drains the
        sweep.
        """
        try:
            with older_objects_left_alone():
                while not self._dispatcher.done:
                    self._step()
            self._commit()  # releases may wait for it
        finally:
            self.commits.flush()
        if self._dispatcher.left and not self._port.workers:
            self._drain.request("the death of all workers")
        return self._what_stopped_it()

    def _step(self) -> None:
        arrival = self._port.poll()
        patience = self._patience(arrival)
        if not patience:
            self._commit()
        if arrival is None:
            seconds = min(patience or LOOK_SECONDS, LOOK_SECONDS)
            arrival = self._port.receive(seconds, self._wake)
        if arrival is None:
            self._go_on_without_the_dead()
        if self._drain.requested():
            left = self._drain.time_left()
            self._carry_out(self._dispatcher.drain(self._drain.reason or "", left))
            self._excuse.look()
        if arrival is not None:
            self.take(*arrival)
        if self._limit is not None and self._deadlines is not None:
            self._mind_the_time(self._limit, self._deadlines)

    def _patience(self, arrival: object | None) -> float:
        """Return how long a commit may wait; while messages come, for them."""
        waiting = len(self._waiting)
        if waiting >= MOST_WAITING or self.commits.due():
            return 0.0
        if arrival is None:
            return 0.0 if waiting else self.commits.patience()
        return LOOK_SECONDS

    def _mind_the_time(self, limit: float, deadlines: Deadlines) -> None:
        """Count overdue trials as failed, and end the run rather than wait for them.

        Raises:
            TrialTimeoutError: the run waits for nothing else.
        """
        workers, dispatcher = self._dispatcher.workers, self._dispatcher
        running = (
            (rank, worker.current)
            for rank, worker in workers.items()
            if worker.current is not None and not worker.overdue
            if rank in self._places  # else nobody has begun it
        )
        for rank, seconds in deadlines.look(running).items():
            index, place = workers[rank].unreported()[0], self._places[rank]
            self._note(overdue.notice(index, place, limit))
            trail.tell(f"trial {index} is overdue")
            lost = overdue.outcome_of(index, seconds, limit)
            self._commit()  # which says that it runs, before it says that it failed
            self._carry_out(dispatcher.expire(rank, lost))
        over = dispatcher.draining or dispatcher.running_out
        hopeless = over or not dispatcher.left
        if deadlines.passed(stuck=dispatcher.waits_for_overdue, hopeless=hopeless):
            late = [worker.current for worker in workers.values() if worker.overdue]
            raise overdue.ended_without(late, dispatcher.left)

    def _wake(self) -> bool:
        return self._drain.requested() and not self._dispatcher.draining

    def take(self, rank: int, message: m.Message) -> None:
        """Take in a message of a worker, and do what follows from it."""
        if type(message) is not m.Finished and isinstance(message, m.Question):
            self._port.send(rank, self.reply(rank, message))
            return
        trail.received(rank, message)
        self._changed.add(rank)
        match message:
            case m.Finished(outcomes) if self._limit is not None:
                in_time = tuple(self._judged(each) for each in outcomes)
                self._carry_out(self._dispatcher.on(rank, m.Finished(in_time)))
            case m.Finished() | m.WorkStopped():
                self._carry_out(self._dispatcher.on(rank, message))
            case m.Begun(_, place) | m.Ready(place) | m.Unable(place):
                self._note_place(rank, place)
                self._carry_out(self._dispatcher.on(rank, message))
            case _:
                msg = f"rank {rank} sent {type(message).__name__} to the coordinator"
                raise ProtocolError(msg)
        self._runs.look(rank)

    def reply(self, rank: int, question: m.Question) -> m.Answer:
        """Return the answer to what a trial on this rank asks.

        What was finished before must be part of it, and a trial be marked as running
        before the snapshot that shows how far it got.
        """
        trail.received(rank, question)
        if not isinstance(question, _TOLD_AT_ONCE):
            self._commit()
        answer = self._answers.to(question)
        trail.sent(rank, answer)
        return answer

    def _judged(self, outcome: Outcome) -> Outcome:
        # Ctrl-C is not a reason to count a trial as late.
        if isinstance(self._port.exception_of(outcome.index), KeyboardInterrupt):
            return outcome
        return overdue.judged(outcome, self._limit)

    def _note_place(self, rank: int, place: Place | None) -> None:
        if place is not None:
            self._places[rank] = place
            if rank in self._without_place:  # what it runs was marked without it
                self._running.pop(rank, None)
        else:
            self._without_place.add(rank)

    def _carry_out(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            match instruction:
                case Send(rank, message, marked):
                    self._changed.add(rank)
                    if marked and rank in self._without_place:
                        self._places.pop(rank, None)
                    if marked or rank in self._waiting:  # nothing may overtake that
                        self._waiting.setdefault(rank, []).append(message)
                    else:
                        self._send(rank, message)
                case Record(rank, outcomes):
                    place = self._places[rank]
                    entries = [Entry(outcome, place) for outcome in outcomes]
                    self._remember_failure(entries)
                    self.commits.add(entries)
                case Blame(rank, indices, fatal):
                    self._ledger.count_deaths(indices)
                    place = self._places[rank]
                    entries = [deaths.entry_of(index, place) for index in fatal]
                    self._remember_failure(entries)
                    self.commits.add(entries)

    def _go_on_without_the_dead(self) -> None:
        dead = self._port.deaths()
        if not dead:
            return
        self._commit()
        instructions = self._dispatcher.lose(*dead)
        self._carry_out(instructions)
        blames = {i.rank: i for i in instructions if isinstance(i, Blame)}
        left = len(self._port.workers)
        for rank in dead:
            self._running.pop(rank, None)
            self._note(
                deaths.news(rank, self._places.get(rank), blames.get(rank), left)
            )

    def _commit(self) -> None:
        self.commits.flush(self._newly_running())
        waiting, self._waiting = self._waiting, {}
        for rank, messages in waiting.items():
            for message in messages:
                self._send(rank, message)

    def _send(self, rank: int, message: m.Message) -> None:
        trail.sent(rank, message)
        self._runs.look(rank)
        self._port.send(rank, message)

    def _newly_running(self) -> list[RunningTrial]:
        """Return the trials that have begun to run since the last commit.

        Those that began and ended between two commits are never marked: a sweep of
        short trials is not written twice.
        """
        fresh = []
        changed, self._changed = sorted(self._changed), set()
        for rank in changed:
            index = self._dispatcher.workers[rank].current
            known = self._running.get(rank)
            if index is None or (known is not None and known.index == index):
                continue
            running = RunningTrial(index, time.time(), self._places.get(rank))
            self._running[rank] = running
            fresh.append(running)
        return fresh

    def _remember_failure(self, entries: Sequence[Entry]) -> None:
        if self._first_failure is None:
            failed = (e for e in entries if e.outcome.status == Status.FAILED)
            self._first_failure = next(failed, None)

    def _what_stopped_it(self) -> BaseException | None:
        unable, lost = self._dispatcher.unable, self._dispatcher.lost
        if unable and {*unable, *lost} == {*self._dispatcher.workers}:
            _, first = min(unable.items())
            where = f"rank {first.place.rank} on {first.place.hostname}"
            return rebuilt(first.error, f"{where}: {first.message}")
        failed = self._first_failure
        if self._raise_errors and failed is not None:
            own = self._port.exception_of(failed.outcome.index)
            return own or trial_error(failed)
        return None

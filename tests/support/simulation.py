"""A run in simulated time: the real dispatcher, and ranks whose trials only take time.

Rank 0 serves one message after another and commits as the real one does; workers hold
results back as ``reports`` does. Nothing here looks at a clock, so that a run of years
takes seconds and comes out the same each time.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

from experimenter_mpi.coordination.commits import MAX_ENTRIES, MAX_SECONDS, SHARE
from experimenter_mpi.coordination.coordinator import MOST_WAITING
from experimenter_mpi.coordination.dispatch import Dispatcher, Record, Send
from experimenter_mpi.coordination.messages import (
    HOLD_SECONDS,
    Assign,
    Finished,
    Ready,
    Release,
)
from experimenter_mpi.coordination.worker import LATE_SECONDS
from experimenter_mpi.trial.outcome import Outcome, Place, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from experimenter_mpi.coordination.dispatch import Instruction
    from experimenter_mpi.coordination.messages import Message

# Below this nothing is waited for: time would not move.
INSTANT = 1e-9


class Costs(NamedTuple):
    """What takes time besides trials, in seconds.

    ``latency`` is how long a message is on its way. Rank 0 takes ``message`` for each
    it receives and ``outcome`` for each outcome in it, ``assign`` to send one,
    ``commit`` for a transaction and ``row`` for each row of it. A worker takes
    ``trial`` for each trial, and ``batch`` for each batch.
    """

    latency: float = 0.0005
    message: float = 0.0
    outcome: float = 0.0
    assign: float = 0.0
    commit: float = 0.0
    row: float = 0.0
    trial: float = 0.0
    batch: float = 0.0


class Clock:
    """Simulated time: what is to happen happens in order of time, then of arrival."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., object], Any]] = []
        self._order = count()

    def after(self, seconds: float, happen: Callable[..., object], *what: Any) -> None:
        event = (self.now + seconds, next(self._order), happen, what)
        heapq.heappush(self._events, event)

    def run(self) -> None:
        """Let everything happen until nothing is left to happen."""
        while self._events:
            self.now, _, happen, what = heapq.heappop(self._events)
            happen(*what)


class SimulatedRank:
    """A worker: runs what it was given, and reports as the real one does."""

    def __init__(self, run: SimulatedRun, rank: int) -> None:
        self._run = run
        self._clock = run.clock
        self._rank = rank
        self._batches: deque[deque[int]] = deque()
        self._batch: deque[int] = deque()
        self._held: list[Outcome] = []
        self._work_since = 0.0
        self._watching = False
        self._is_working = False
        self.released = False
        self.last_ended = 0.0

    def receive(self, message: Message) -> None:
        assert not self.released, "spoken to after its release"
        match message:
            case Assign(ranges):
                indices = (i for start, stop in ranges for i in range(start, stop))
                self._batches.append(deque(indices))
                if not self._is_working:
                    self._is_working = True
                    self._go_on()
            case Release():
                assert not self._is_working, "released with trials to run"
                self.released = True

    def _go_on(self) -> None:
        if self._batch:
            self._start(self._run.costs.trial)
            return
        self._flush()
        if self._batches:
            self._batch = self._batches.popleft()
            self._work_since = self._clock.now
            self._start(self._run.costs.batch + self._run.costs.trial)
        else:
            self._is_working = False

    def _start(self, overhead: float) -> None:
        index = self._batch.popleft()
        self._run.on_started(index)
        self._clock.after(overhead + self._run.durations[index], self._end, index)

    def _end(self, index: int) -> None:
        self._run.on_ended(index)
        self.last_ended = self._clock.now
        self._held.append(_finished(index, self._run.durations[index]))
        if self._clock.now - self._work_since >= HOLD_SECONDS:
            self._flush()
        elif not self._watching:
            self._watching = True
            self._clock.after(LATE_SECONDS, self._watch)
        self._go_on()

    def _watch(self) -> None:
        self._watching = False
        self._flush()

    def _flush(self) -> None:
        if self._held:
            self._run.send(self._rank, Finished(tuple(self._held)))
            self._held = []
        self._work_since = self._clock.now


class SimulatedRun:
    """Trials that take ``durations`` on so many workers, all ready at once.

    ``started``, ``ended`` and ``durable`` say when each trial was.
    """

    def __init__(
        self,
        durations: Sequence[float],
        workers: int,
        costs: Costs | None = None,
        batch_size: int | None = None,
        **options: Any,
    ) -> None:
        self.durations = durations
        self.costs = Costs() if costs is None else costs
        self.clock = Clock()
        ranks = range(1, workers + 1)
        pending = [range(len(durations))]
        self._dispatcher = Dispatcher(pending, ranks, batch_size, **options)
        self.ranks = {rank: SimulatedRank(self, rank) for rank in ranks}
        self._inbox: deque[tuple[int, Message]] = deque()
        self._is_serving = False
        self._uncommitted: list[int] = []
        self._waiting: list[Send] = []
        self._last_commit = float("-inf")
        self._commit_cost = 0.0
        self._will_look = False
        self.started = [float("inf")] * len(durations)
        self.ended = [float("inf")] * len(durations)
        self.durable = [float("inf")] * len(durations)
        self.messages = 0
        self.commits = 0
        self.busy = 0.0
        # When reports had been taken in: how many outcomes, how much work they were.
        self.arrived: list[tuple[float, int, float]] = []
        self.busy_then: list[float] = []
        for rank in ranks:
            self.send(rank, Ready(Place(1, "node")))

    def run(self) -> SimulatedRun:
        """Run it to its end, at which all trials are durable and all ranks released."""
        self.clock.run()
        assert self._dispatcher.done
        assert all(rank.released for rank in self.ranks.values())
        assert float("inf") not in self.durable
        return self

    # --- what ranks tell

    def send(self, rank: int, message: Message) -> None:
        self.clock.after(self.costs.latency, self._arrive, rank, message)

    def on_started(self, index: int) -> None:
        assert self.started[index] == float("inf"), "a trial runs twice"
        self.started[index] = self.clock.now

    def on_ended(self, index: int) -> None:
        self.ended[index] = self.clock.now

    # --- rank 0, one thing after the other

    def _arrive(self, rank: int, message: Message) -> None:
        self._inbox.append((rank, message))
        if not self._is_serving:
            self._is_serving = True
            self._serve()

    def _serve(self) -> None:
        patience = self._patience()
        if not patience:
            self._commit()
        elif self._inbox:
            self._take(*self._inbox.popleft())
        else:
            self._is_serving = False
            self._look_after(patience)

    def _patience(self) -> float:
        """Return how long a commit may wait; for ever if there is nothing to commit."""
        marked, since = len(self._waiting), self.clock.now - self._last_commit
        if not (self._uncommitted or marked):
            return float("inf")
        if marked >= MOST_WAITING or len(self._uncommitted) >= MAX_ENTRIES:
            return 0.0
        if since >= MAX_SECONDS:
            return 0.0
        if self._inbox:
            return MAX_SECONDS - since
        patience = 0.0 if marked else self._commit_cost / SHARE - since
        return patience if patience > INSTANT else 0.0

    def _look_after(self, seconds: float) -> None:
        if seconds < float("inf") and not self._will_look:
            self._will_look = True
            self.clock.after(min(seconds, MAX_SECONDS), self._look)

    def _look(self) -> None:
        self._will_look = False
        if not self._is_serving:
            self._is_serving = True
            self._serve()

    def _take(self, rank: int, message: Message) -> None:
        self.messages += 1
        outcomes = message.outcomes if isinstance(message, Finished) else ()
        seconds = self.costs.message + self.costs.outcome * len(outcomes)
        instructions = self._dispatcher.on(rank, message)
        seconds += self._carry_out(instructions, seconds)
        if outcomes:
            work = sum(each.duration for each in outcomes)
            self.arrived.append((self.clock.now + seconds, len(outcomes), work))
            self.busy_then.append(self.busy + seconds)
        self._work(seconds)

    def _carry_out(self, instructions: Sequence[Instruction], spent: float) -> float:
        seconds = 0.0
        for instruction in instructions:
            match instruction:
                case Send(marked=True):
                    self._waiting.append(instruction)
                case Send():
                    seconds += self._deliver(instruction, spent + seconds)
                case Record(_, outcomes):
                    self._uncommitted += [each.index for each in outcomes]
        return seconds

    def _deliver(self, order: Send, spent: float) -> float:
        seconds = self.costs.assign
        to = self.ranks[order.rank].receive
        self.clock.after(spent + seconds + self.costs.latency, to, order.message)
        return seconds

    def _commit(self) -> None:
        self.commits += 1
        rows = len(self._uncommitted) + len(self._waiting)
        seconds = self.costs.commit + self.costs.row * rows
        self._commit_cost = seconds
        for index in self._uncommitted:
            self.durable[index] = self.clock.now + seconds
        waiting, self._uncommitted, self._waiting = self._waiting, [], []
        for order in waiting:
            seconds += self._deliver(order, seconds)
        self._last_commit = self.clock.now + seconds
        self._work(seconds)

    def _work(self, seconds: float) -> None:
        self.busy += seconds
        self.clock.after(seconds, self._serve)

    # --- how it went

    @property
    def makespan(self) -> float:
        """When the last trial ended."""
        return max(self.ended)

    @property
    def idle(self) -> float:
        """The part of the workers' time, until the last trial ended, without trials."""
        return 1 - sum(self.durations) / (len(self.ranks) * self.makespan)

    @property
    def tail(self) -> float:
        """How long the last worker still ran when the first had run its last trial."""
        return self.makespan - min(rank.last_ended for rank in self.ranks.values())

    @property
    def longest_held(self) -> float:
        """How long a trial's results took to be durable, at most."""
        pairs = zip(self.durable, self.ended, strict=True)
        return max(durable - ended for durable, ended in pairs)


class ListSchedule(NamedTuple):
    """When a schedule ends, and how long its tail is: see ``SimulatedRun``."""

    makespan: float
    tail: float


def list_schedule(durations: Sequence[float], workers: int) -> ListSchedule:
    """Return the best that is possible in this order, if nothing but trials took time.

    Whoever is free takes the next trial at once.
    """
    free = [0.0] * workers
    for duration in durations:
        heapq.heapreplace(free, free[0] + duration)
    return ListSchedule(max(free), max(free) - min(free))


def lower_bound(durations: Sequence[float], workers: int) -> float:
    """Return what no schedule can be shorter than, in any order."""
    return max(sum(durations) / workers, *durations)


def _finished(index: int, duration: float) -> Outcome:
    return Outcome(index, Status.FINISHED, None, None, 0.0, 0.0, duration)

"""Who runs which trials: decisions without I/O, so that races are unit tests.

``Dispatcher.on(rank, message)`` gives the instructions that follow; the coordinator
carries them out. Workers hold up to two batches: the one they run and the next.
"""

from __future__ import annotations

from collections import deque
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ..errors import ProtocolError
from ..trial.outcome import Status
from . import trail
from .batch_size import BATCHES_HELD, Pace
from .messages import (
    Assign,
    Begun,
    Finished,
    Message,
    Ready,
    Release,
    StopWork,
    Unable,
    WorkStopped,
)
from .pending import Pool, Ranges
from .suspects import Suspects
from .workers import Stage, Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..trial.outcome import Outcome


class Send(NamedTuple):
    """Send this message to this rank; ``marked``: once the trial is marked running."""

    rank: int
    message: Message
    marked: bool = False


class Record(NamedTuple):
    """Record these outcomes, which came from this rank."""

    rank: int
    outcomes: tuple[Outcome, ...]


class Blame(NamedTuple):
    """Count the death of this rank against these trials; ``fatal`` of them fail."""

    rank: int
    indices: tuple[int, ...]
    fatal: tuple[int, ...]


Instruction = Send | Record | Blame
# How many ranks or trials a decision is noted with.
SHOWN = 5
_WORKING = (Stage.READY, Stage.DRAINING)


class Dispatcher:
    """Hands the trials of ``pending`` to the ranks of ``workers`` in batches.

    ``batch_size`` fixes how many trials one message carries; None sizes batches from
    measured durations. ``stop_on_failure`` drains at the first failed trial.
    ``runs_out`` says whether what takes so many seconds (None: nobody knows) would be
    stopped before its end; from then on nothing is handed out. Not ``ahead``: a worker
    holds nothing but what it runs.

    ``deaths`` is how often which trial had a rank die before; see ``Suspects``. Where
    the job is ``fragile``, it dies with any rank, and what was marked as running is all
    that is known afterwards: trials that may take long are marked before they start,
    and so are the first ``careful`` ones, however short.
    """

    def __init__(
        self,
        pending: Ranges | Sequence[range],
        workers: Iterable[int],
        batch_size: int | None = None,
        *,
        stop_on_failure: bool = False,
        runs_out: Callable[[float | None], bool] | None = None,
        ahead: bool = True,
        deaths: Mapping[int, int] = MappingProxyType({}),
        fragile: bool = False,
        careful: int = 0,
    ) -> None:
        self._runs_out = runs_out
        self._suspects = Suspects(deaths, alone=fragile)
        self._pool = Pool(pending, self._suspects.claim)
        self._fragile = fragile
        self._careful = careful
        self._pace = Pace(batch_size)
        self._stop_on_failure = stop_on_failure
        self._most = BATCHES_HELD if ahead else 1
        self.workers = Workers(workers)
        self.draining = False
        self.running_out = False
        self.unable: dict[int, Unable] = {}
        self.lost: set[int] = set()

    @property
    def done(self) -> bool:
        """Whether every worker has been released or is lost."""
        return not self.workers.present

    @property
    def left(self) -> int:
        """How many trials no worker holds."""
        return self._pool.size + len(self._suspects)

    @property
    def waits_for_overdue(self) -> bool:
        """Whether no rank is left but those whose trials are overdue."""
        present = self.workers.present
        return bool(present) and all(self.workers[rank].overdue for rank in present)

    def on(self, rank: int, message: Message) -> list[Instruction]:
        """Decide what follows from a worker's message."""
        stage = self.workers[rank].stage
        if isinstance(message, Finished) and stage in _WORKING:
            return self._on_finished(rank, message.outcomes)  # nearly all there is
        match stage, message:
            case Stage.STARTING, Ready():
                return self._on_ready(rank)
            case Stage.STARTING, Unable():
                self.unable[rank] = message
                trail.decided(
                    "rank %s cannot work: %s", rank, message.error, level=trail.WARNING
                )
                return [*self._release(rank), *self._close()]
            case ((Stage.READY | Stage.DRAINING), Begun(index)):
                self.workers[rank].begin(rank, index)
                return []
            case Stage.DRAINING, WorkStopped():
                self._take_back(rank)
                return self._release(rank)
            case Stage.GONE, _:
                msg = f"rank {rank} sent {type(message).__name__} after its release"
                raise ProtocolError(msg)
            case stage, _:
                kind = type(message).__name__
                msg = f"rank {rank} may not send {kind} while it is {stage.value}"
                raise ProtocolError(msg)

    def drain(self, reason: str, seconds: float | None = None) -> list[Instruction]:
        """Stop handing out trials; ask every worker for what it has not started.

        ``seconds`` is how long their running trials have.
        """
        if self.draining:
            return []
        self.draining = True
        trail.decided("drain: %s", reason, level=trail.INFO)
        order = StopWork(reason, seconds)
        return [
            self._ask_to_drain(rank, order) for rank in self.workers.at(Stage.READY)
        ]

    def lose(self, *ranks: int) -> list[Instruction]:
        """Requeue what dead ranks held, but for a trial that has killed its second."""
        fresh = [r for r in ranks if self.workers[r].stage is not Stage.GONE]
        # All of them first: what one held must not go to another.
        for rank in fresh:
            self.workers[rank].stage = Stage.GONE
            self.workers.noted(rank)
        self.lost.update(fresh)
        if fresh:
            trail.decided("dead ranks: %s", tuple(fresh[:SHOWN]), level=trail.WARNING)
        instructions: list[Instruction] = []
        for rank in fresh:
            instructions += self._blame(rank)
            self._take_back(rank)
        if self.draining or not fresh:
            return instructions
        fed = [order for r in self.workers.at(Stage.READY) for order in self._assign(r)]
        return instructions + (fed or self._close())

    def _blame(self, rank: int) -> list[Instruction]:
        """Count a death against the trial that ran, or against all that may have run.

        Which of several short ones it was shows when each is run by itself.
        """
        worker = self.workers[rank]
        held = worker.unreported()
        if not held or worker.overdue:
            return []
        if held[0] in self._suspects and not worker.begun:
            return []
        running = held[:1] if self._pace.reports_singly else held
        fatal = self._suspects.blame(running)
        trail.decided("trials that ran on it: %s", tuple(running[:SHOWN]))
        worker.drop(fatal)
        instructions: list[Instruction] = [Blame(rank, tuple(running), tuple(fatal))]
        if fatal and self._stop_on_failure:
            instructions += self.drain("a failed trial")
        return instructions

    def expire(self, rank: int, outcome: Outcome) -> list[Instruction]:
        """Count the trial that a rank runs as failed; it goes on if it comes back."""
        self.workers[rank].overdue = True
        trail.decided("overdue: trial %s", outcome.index, level=trail.WARNING)
        instructions: list[Instruction] = [Record(rank, (outcome,))]
        if self._stop_on_failure:
            instructions += self.drain("a failed trial")
        return [*instructions, *self._close()]

    def _on_ready(self, rank: int) -> list[Instruction]:
        self.workers[rank].stage = Stage.READY
        trail.log(trail.INFO, "rank %s is ready", rank)
        if self.draining:
            return [self._ask_to_drain(rank, StopWork("the run is stopping"))]
        return self._assign(rank) or self._close()

    def _on_finished(
        self, rank: int, outcomes: tuple[Outcome, ...]
    ) -> list[Instruction]:
        worker = self.workers[rank]
        for outcome in outcomes:
            worker.report(rank, outcome)
        self.workers.noted(rank)
        self._pace.learn(outcomes)
        instructions: list[Instruction] = [Record(rank, outcomes)]
        if worker.overdue:  # it was counted when it became so
            worker.overdue, outcomes, instructions = False, (), []
        if self._stop_on_failure and any(map(_failed, outcomes)):
            instructions += self.drain("a failed trial")
        if not self.draining:
            instructions += self._assign(rank) or self._close()
        return instructions

    def _assign(self, rank: int) -> list[Instruction]:
        """Assign to a worker what it should hold."""
        if self._takes_suspect(rank):
            index = self._suspects.take()
            self._give(rank, [index])
            only = Assign(((index, index + 1),), announced=not self._fragile)
            return [Send(rank, only, self._fragile)]
        instructions: list[Instruction] = []
        while self._wants_more(rank):
            marked = self._marks_first(rank)
            size = self._size()
            pieces = self._pool.take(size)
            self._give(rank, (index for piece in pieces for index in piece))
            ranges = tuple((piece.start, piece.stop) for piece in pieces)
            instructions.append(Send(rank, Assign(ranges), marked and size == 1))
        return instructions

    def _give(self, rank: int, indices: Iterable[int]) -> None:
        self.workers[rank].batches.append(deque(indices))
        self.workers.noted(rank)

    def _size(self) -> int:
        if self._careful > 0:
            self._careful -= 1
            return 1
        return self._pace.size(self._pool.size, len(self.workers.present))

    def _marks_first(self, rank: int) -> bool:
        """Whether the trial that follows is worth a commit before it starts."""
        starts_now = not self.workers[rank].batches
        worth = self._careful > 0 or not self._pace.is_short(1)
        return self._fragile and starts_now and worth

    def _takes_suspect(self, rank: int) -> bool:
        if not self._suspects or self.workers[rank].batches or self._too_late():
            return False
        busy = self._pool.size or self.workers.busy
        return not (self._suspects.alone and busy)

    def _wants_more(self, rank: int) -> bool:
        """Whether to give another batch: one to run, and one in advance.

        In advance only if that saves something, and never what an idle rank could run.
        """
        held = self.workers[rank].batches
        if not self._pool.size or len(held) >= self._most or self._too_late():
            return False
        if not held:
            return True
        if held[0][0] in self._suspects or self._careful > 0:
            return False
        if self._pool.size <= self.workers.idle:
            return False
        if self._pace.is_tail(self._pool.size, len(self.workers.present)):
            return False
        return self._pace.is_short(len(held[0]))

    def _too_late(self) -> bool:
        """Whether no batch would come to its end any more; it is so for good."""
        if self._runs_out is not None and not self.running_out:
            size = self._pace.size(self._pool.size, len(self.workers.present))
            self.running_out = self._runs_out(self._pace.expected(size))
        return self.running_out

    def _close(self) -> list[Instruction]:
        """Release all workers once no trial is left anywhere.

        Until then idle ones stay: they are given what a dead rank leaves behind.
        """
        workers = self.workers
        working = any(not workers[rank].overdue for rank in workers.busy)
        left = self.left and workers.present and not self.running_out
        if self.draining or working or left:
            return []
        idle = [r for r in workers.at(Stage.READY) if not workers[r].batches]
        return [order for rank in idle for order in self._release(rank)]

    def _take_back(self, rank: int) -> None:
        worker = self.workers[rank]
        held = [] if worker.overdue else worker.unreported()
        self._suspects.put_back([i for i in held if i in self._suspects])
        self._pool.put_back([i for i in held if i not in self._suspects])
        worker.batches.clear()
        self.workers.noted(rank)

    def _ask_to_drain(self, rank: int, order: StopWork) -> Instruction:
        self.workers[rank].stage = Stage.DRAINING
        return Send(rank, order)

    def _release(self, rank: int) -> list[Instruction]:
        self.workers[rank].stage = Stage.GONE
        self.workers.noted(rank)
        return [Send(rank, Release())]


def _failed(outcome: Outcome) -> bool:
    return outcome.status == Status.FAILED

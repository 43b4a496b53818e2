"""Who runs which trials: decisions without I/O, so that races are unit tests.

``Dispatcher.on(rank, message)`` gives the instructions that follow; the coordinator
carries them out. Workers hold up to two batches: the one they run and the next.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ..errors import ProtocolError
from ..ledger import Status
from .messages import (
    Assign,
    Drain,
    Drained,
    Finished,
    Message,
    Ready,
    Release,
    Unable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..ledger import Outcome

BATCHES_HELD = 2
# A batch should take a few round trips' time, and never long enough to be missed.
BATCH_SECONDS = 0.01
# Shorter batches are worth a next one in advance: a round trip takes up to 1 ms.
SHORT_SECONDS = 0.1
LARGEST_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Send:
    """Send this message to this rank."""

    rank: int
    message: Message


@dataclass(frozen=True, slots=True)
class Record:
    """Record these outcomes, which came from this rank."""

    rank: int
    outcomes: tuple[Outcome, ...]


Instruction = Send | Record


class Pool:
    """Trial indices still to hand out, as ranges: a million take no memory."""

    def __init__(self, ranges: Iterable[range]) -> None:
        self._ranges = deque(piece for piece in ranges if piece)
        self.size = sum(map(len, self._ranges))

    def take(self, count: int) -> tuple[range, ...]:
        """Take up to ``count`` indices from the front."""
        taken = []
        while count > 0 and self._ranges:
            first = self._ranges.popleft()
            if len(first) > count:
                self._ranges.appendleft(first[count:])
                first = first[:count]
            taken.append(first)
            count -= len(first)
            self.size -= len(first)
        return tuple(taken)

    def put_back(self, indices: Sequence[int]) -> None:
        """Put indices back to the front, to be handed out next."""
        for index in reversed(indices):
            self._ranges.appendleft(range(index, index + 1))
        self.size += len(indices)


class Stage(Enum):
    """How far a rank is in this experiment."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    GONE = "gone"


@dataclass(slots=True)
class Worker:
    """What the dispatcher knows of a rank: its batches, first the one it runs.

    ``overdue``: its trial counts as failed already, whatever it may still say of it.
    """

    stage: Stage = Stage.STARTING
    overdue: bool = False
    batches: deque[deque[int]] = field(default_factory=deque)

    @property
    def current(self) -> int | None:
        """The trial it runs now; None while it holds nothing."""
        return self.batches[0][0] if self.batches else None

    def unreported(self) -> list[int]:
        return [index for batch in self.batches for index in batch]

    def report(self, rank: int, outcome: Outcome) -> None:
        """Take an outcome off the batch it belongs to: the oldest, in order."""
        if self.current != outcome.index:
            msg = (
                f"rank {rank} reports trial {outcome.index} but was to run "
                f"{self.current}"
            )
            raise ProtocolError(msg)
        self.batches[0].popleft()
        if not self.batches[0]:
            self.batches.popleft()


class Pace:
    """How long trials take, and how many of them one message should carry."""

    def __init__(self, batch_size: int | None) -> None:
        self._fixed = batch_size
        self._duration: float | None = None

    def learn(self, outcomes: Sequence[Outcome]) -> None:
        """Follow the trials' durations; a longer one counts at once."""
        durations = [outcome.duration for outcome in outcomes]
        if not durations:
            return
        longest, mean = max(durations), sum(durations) / len(durations)
        if self._duration is None or longest > self._duration:
            self._duration = longest
        else:
            self._duration += (mean - self._duration) / 8

    def size(self, left: int, workers: int) -> int:
        """Give short trials by the hundred, long ones one by one, the last finely."""
        if self._fixed is not None:
            return self._fixed
        if self._duration is None:
            return 1
        enough = int(BATCH_SECONDS / max(self._duration, 1e-9))
        fair = left // (2 * BATCHES_HELD * max(workers, 1))
        return max(1, min(enough, fair, LARGEST_BATCH))

    def expected(self, trials: int) -> float | None:
        """Give how many seconds so many trials take, None before any was run."""
        return None if self._duration is None else trials * self._duration

    def is_short(self, trials: int) -> bool:
        """Whether a round trip is worth saving, for a batch of so many trials."""
        return self._duration is not None and trials * self._duration < SHORT_SECONDS


class Dispatcher:
    """Hands the trials of ``pending`` to the ranks of ``workers`` in batches.

    ``batch_size`` fixes how many trials one message carries; None sizes batches from
    measured durations. ``stop_on_failure`` drains at the first failed trial.
    ``runs_out`` says whether what takes so many seconds (None: nobody knows) would be
    stopped before its end; from then on nothing is handed out. Not ``ahead``: a worker
    holds nothing but what it runs.
    """

    def __init__(
        self,
        pending: Iterable[range],
        workers: Iterable[int],
        batch_size: int | None = None,
        *,
        stop_on_failure: bool = False,
        runs_out: Callable[[float | None], bool] | None = None,
        ahead: bool = True,
    ) -> None:
        self._runs_out = runs_out
        self._pool = Pool(pending)
        self._pace = Pace(batch_size)
        self._stop_on_failure = stop_on_failure
        self._most = BATCHES_HELD if ahead else 1
        self.workers = {rank: Worker() for rank in workers}
        self.draining = False
        self.running_out = False
        self.unable: dict[int, Unable] = {}

    @property
    def done(self) -> bool:
        """Whether every worker has been released or is lost."""
        return all(worker.stage is Stage.GONE for worker in self.workers.values())

    @property
    def left(self) -> int:
        """How many trials no worker holds."""
        return self._pool.size

    @property
    def waits_for_overdue(self) -> bool:
        """Whether no rank is left but those whose trials are overdue."""
        present = self._present()
        return bool(present) and all(self.workers[rank].overdue for rank in present)

    def on(self, rank: int, message: Message) -> list[Instruction]:
        """Decide what follows from a worker's message."""
        match self.workers[rank].stage, message:
            case Stage.STARTING, Ready():
                return self._on_ready(rank)
            case Stage.STARTING, Unable():
                self.unable[rank] = message
                return [*self._release(rank), *self._close()]
            case ((Stage.READY | Stage.DRAINING), Finished(outcomes)):
                return self._on_finished(rank, outcomes)
            case Stage.DRAINING, Drained():
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
        order = Drain(reason, seconds)
        return [self._ask_to_drain(rank, order) for rank in self._at(Stage.READY)]

    def lose(self, rank: int) -> list[Instruction]:
        """Requeue what a dead rank held."""
        if self.workers[rank].stage is Stage.GONE:
            return []
        self.workers[rank].stage = Stage.GONE
        self._take_back(rank)
        if self.draining:
            return []
        fed = [order for r in self._at(Stage.READY) for order in self._assign(r)]
        return fed or self._close()

    def expire(self, rank: int, outcome: Outcome) -> list[Instruction]:
        """Count the trial that a rank runs as failed; it goes on if it comes back."""
        self.workers[rank].overdue = True
        instructions: list[Instruction] = [Record(rank, (outcome,))]
        if self._stop_on_failure:
            instructions += self.drain("a failed trial")
        return [*instructions, *self._close()]

    def _on_ready(self, rank: int) -> list[Instruction]:
        self.workers[rank].stage = Stage.READY
        if self.draining:
            return [self._ask_to_drain(rank, Drain("the run is stopping"))]
        return self._assign(rank) or self._close()

    def _on_finished(
        self, rank: int, outcomes: tuple[Outcome, ...]
    ) -> list[Instruction]:
        worker = self.workers[rank]
        for outcome in outcomes:
            worker.report(rank, outcome)
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
        """Give a worker what it should hold."""
        instructions: list[Instruction] = []
        while self._wants_more(rank):
            size = self._pace.size(self._pool.size, len(self._present()))
            pieces = self._pool.take(size)
            indices = deque(index for piece in pieces for index in piece)
            self.workers[rank].batches.append(indices)
            ranges = tuple((piece.start, piece.stop) for piece in pieces)
            instructions.append(Send(rank, Assign(ranges)))
        return instructions

    def _wants_more(self, rank: int) -> bool:
        """Whether to give another batch: one to run, and one in advance.

        In advance only if that saves something, and never what an idle rank could run.
        """
        held = self.workers[rank].batches
        if not self._pool.size or len(held) >= self._most or self._too_late():
            return False
        if not held:
            return True
        idle = sum(not self.workers[other].batches for other in self._present())
        return self._pool.size > idle and self._pace.is_short(len(held[0]))

    def _too_late(self) -> bool:
        """Whether no batch would come to its end any more; it is so for good."""
        if self._runs_out is not None and not self.running_out:
            size = self._pace.size(self._pool.size, len(self._present()))
            self.running_out = self._runs_out(self._pace.expected(size))
        return self.running_out

    def _close(self) -> list[Instruction]:
        """Release all workers once no trial is left anywhere.

        Until then idle ones stay: they are given what a dead rank leaves behind.
        """
        here = self._at(Stage.READY)
        idle = [rank for rank in here if not self.workers[rank].batches]
        working = any(w.batches and not w.overdue for w in self.workers.values())
        left = self._pool.size and self._present() and not self.running_out
        if self.draining or working or left:
            return []
        return [order for rank in idle for order in self._release(rank)]

    def _at(self, stage: Stage) -> list[int]:
        return [rank for rank, worker in self.workers.items() if worker.stage is stage]

    def _present(self) -> list[int]:
        return [r for r, w in self.workers.items() if w.stage is not Stage.GONE]

    def _take_back(self, rank: int) -> None:
        worker = self.workers[rank]
        if not worker.overdue:
            self._pool.put_back(worker.unreported())
        worker.batches.clear()

    def _ask_to_drain(self, rank: int, order: Drain) -> Instruction:
        self.workers[rank].stage = Stage.DRAINING
        return Send(rank, order)

    def _release(self, rank: int) -> list[Instruction]:
        self.workers[rank].stage = Stage.GONE
        return [Send(rank, Release())]


def _failed(outcome: Outcome) -> bool:
    return outcome.status == Status.FAILED

"""A dispatcher that is watched, and workers that do as workers may, in any order."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from experimenter_mpi.coordination.dispatch import Blame, Dispatcher, Record, Send
from experimenter_mpi.coordination.messages import (
    Assign,
    Begun,
    Finished,
    Ready,
    Release,
    StopWork,
    Unable,
    WorkStopped,
)
from experimenter_mpi.trial.outcome import FATAL_DEATHS, Place, Status
from support.fakes import outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from experimenter_mpi.coordination.dispatch import Instruction
    from experimenter_mpi.coordination.messages import Message
    from experimenter_mpi.trial.outcome import Outcome


class Watched:
    """A dispatcher whose every decision is held against the rules of the protocol.

    What it may do is judged by what it said and was told, never by what it holds
    inside. ``held`` are the batches each living rank was given and has not reported.
    """

    def __init__(
        self,
        pending: Iterable[range],
        workers: int,
        batch_size: int | None = None,
        *,
        stop_on_failure: bool = False,
        runs_out: Callable[[float | None], bool] | None = None,
        deaths: Mapping[int, int] | None = None,
        fragile: bool = False,
        careful: int = 0,
    ) -> None:
        pending = list(pending)
        self.ranks = range(1, workers + 1)
        self.dispatcher = Dispatcher(
            pending,
            self.ranks,
            batch_size,
            stop_on_failure=stop_on_failure,
            runs_out=runs_out,
            deaths=deaths or {},
            fragile=fragile,
            careful=careful,
        )
        self.unrecorded = {index for piece in pending for index in piece}
        self.recorded: list[int] = []
        self.deaths = dict(deaths or {})
        self.condemned: list[int] = []
        self.held: dict[int, deque[deque[int]]] = {r: deque() for r in self.ranks}
        self.greeted: set[int] = set()
        self.asked_to_drain: set[int] = set()
        self.released: set[int] = set()
        self.lost: set[int] = set()
        self._left: dict[int, list[int]] = {}
        self._suspicious = FATAL_DEATHS if fragile else 1

    # --- what happens to it

    def on(self, rank: int, message: Message) -> list[Instruction]:
        """Tell it of a message from a worker."""
        if isinstance(message, Ready | Unable):
            self.greeted.add(rank)
        if isinstance(message, WorkStopped):
            self.held[rank].clear()
            self.asked_to_drain.discard(rank)
        reported = message.outcomes if isinstance(message, Finished) else ()
        instructions = self.dispatcher.on(rank, message)
        records = [i for i in instructions if isinstance(i, Record)]
        expected = [Record(rank, reported)] if isinstance(message, Finished) else []
        assert expected == records, "what is reported is recorded, once"
        return self._follow(instructions)

    def drain(self, reason: str = "SIGTERM") -> list[Instruction]:
        """Ask it to let the run end."""
        return self._follow(self.dispatcher.drain(reason))

    def lose(self, *ranks: int) -> list[Instruction]:
        """Tell it that ranks have died."""
        for rank in set(ranks) - self.released:
            self.lost.add(rank)
            self._left[rank] = self.holds(rank)
            self.held[rank].clear()
        return self._follow(self.dispatcher.lose(*ranks))

    # --- in short

    def begin(self, rank: int) -> None:
        """Let a rank say that it runs what it was to announce."""
        assert [] == self.on(rank, Begun(self.holds(rank)[0]))

    def ready(self, *ranks: int) -> list[Instruction]:
        """Let ranks say that they can work."""
        return [
            i
            for rank in ranks
            for i in self.on(rank, Ready(Place(rank, f"node{rank}")))
        ]

    def unable(self, rank: int) -> list[Instruction]:
        """Let a rank say that it cannot work."""
        return self.on(
            rank, Unable(Place(rank, f"node{rank}"), "StoreError", "no data")
        )

    def finish(
        self,
        rank: int,
        count: int | None = None,
        *,
        status: str = Status.FINISHED,
        duration: float = 0.001,
    ) -> list[Instruction]:
        """Let a rank report ``count`` trials of the batch it runs, or all of them."""
        indices = list(self.held[rank][0])[:count]
        return self.report(rank, *(outcome(i, status, duration) for i in indices))

    def report(self, rank: int, *outcomes: Outcome) -> list[Instruction]:
        """Let a rank report these outcomes."""
        return self.on(rank, Finished(outcomes))

    def finish_everything(self, duration: float = 0.001) -> None:
        """Let all ranks work, each a batch in its turn, until nothing is held."""
        while any(self.held.values()):
            for rank in self.ranks:
                if self.held[rank]:
                    self.finish(rank, duration=duration)

    def holds(self, rank: int) -> list[int]:
        """Return the trials that a rank was given and has not reported."""
        return [index for batch in self.held[rank] for index in batch]

    @property
    def idle(self) -> list[int]:
        """The ranks that wait for something to do."""
        gone = self.released | self.lost
        return [r for r in self.ranks if r in self.greeted - gone and not self.held[r]]

    # --- the rules

    def _follow(self, instructions: Sequence[Instruction]) -> list[Instruction]:
        for instruction in instructions:
            match instruction:
                case Send(rank, message):
                    self._on_send(rank, message)
                case Record(rank, outcomes):
                    self._on_record(rank, outcomes)
                case Blame(rank, indices, fatal):
                    self._on_blame(rank, indices, fatal)
        self._check_the_sums()
        return list(instructions)

    def _on_send(self, rank: int, message: Message) -> None:
        assert rank not in self.released, f"{message} for rank {rank} after its release"
        assert rank not in self.lost, f"{message} for rank {rank}, which is lost"
        assert rank in self.greeted, f"{message} for rank {rank}, which said nothing"
        match message:
            case Assign(ranges):
                self._on_assign(
                    rank, [i for start, stop in ranges for i in range(start, stop)]
                )
            case StopWork():
                assert rank not in self.asked_to_drain, "asked to drain twice"
                self.asked_to_drain.add(rank)
            case Release():
                assert rank not in self.asked_to_drain, "released before it has drained"
                assert not self.held[rank], "released with trials to run"
                self.released.add(rank)
            case _:
                msg = f"{message} is nothing to send"
                raise AssertionError(msg)

    def _on_assign(self, rank: int, indices: list[int]) -> None:
        assert indices, "a batch of nothing"
        assert not self.dispatcher.draining, "trials handed out while draining"
        assert len(set(indices)) == len(indices), "a trial twice in a batch"
        assert self.unrecorded.issuperset(indices), "trials that are not to run"
        for other, batches in self.held.items():
            for batch in batches:
                assert not set(batch) & set(indices), f"rank {other} has them already"
        assert len(self.held[rank]) < 2, "a third batch"
        held = [*self.holds(rank), *indices]
        suspects = [i for i in held if self.deaths.get(i, 0) >= self._suspicious]
        assert not suspects or len(held) == 1, "a suspect that is not by itself"
        self.held[rank].append(deque(indices))

    def _on_record(self, rank: int, outcomes: Sequence[Outcome]) -> None:
        for each in outcomes:
            batch = self.held[rank][0]
            assert batch.popleft() == each.index, "recorded out of order"
            if not batch:
                self.held[rank].popleft()
            self.unrecorded.remove(each.index)  # raises where it was recorded before
            self.recorded.append(each.index)

    def _on_blame(
        self, rank: int, indices: Sequence[int], fatal: Sequence[int]
    ) -> None:
        assert rank in self.lost, "a living rank is blamed"
        assert indices, "blamed for nothing"
        assert list(indices) == self._left[rank][: len(indices)], "it did not run these"
        for index in indices:
            self.deaths[index] = self.deaths.get(index, 0) + 1
        expected = [i for i in indices if self.deaths[i] >= FATAL_DEATHS]
        assert expected == list(fatal), "the second death is the last"
        self.condemned += fatal
        self.unrecorded.difference_update(fatal)

    def _check_the_sums(self) -> None:
        held = sum(len(self.holds(rank)) for rank in self.ranks)
        assert len(self.unrecorded) - held == self.dispatcher.left, "a trial got lost"
        gone = self.released | self.lost
        assert (gone == set(self.ranks)) == self.dispatcher.done, "a rank is forgotten"


class SimulatedWorker:
    """A worker rank, with the messages that are on their way to it and from it."""

    def __init__(self) -> None:
        self.started = False
        self.lost = False
        self.released = False
        self.draining = False
        self.inbox: deque[Message] = deque()
        self.outbox: deque[Message] = deque()
        self.batches: deque[deque[int]] = deque()

    @property
    def can_start(self) -> bool:
        return not (self.started or self.lost)

    @property
    def can_work(self) -> bool:
        return bool(self.batches) and not self.lost

    def start(self, *, able: bool = True) -> None:
        self.started = True
        ready, unable = (
            Ready(Place(1, "node")),
            Unable(Place(1, "node"), "StoreError", "no data"),
        )
        self.outbox.append(ready if able else unable)

    def take_message(self) -> None:
        """Receive the next message on its way here."""
        match self.inbox.popleft():
            case Assign(ranges, announced):
                indices = (i for start, stop in ranges for i in range(start, stop))
                self.batches.append(deque(indices))
                if announced:
                    self.outbox.append(Begun(self.batches[-1][0]))
            case StopWork():
                self.draining = True
            case Release():
                assert not self.batches, "released with trials to run"
                assert not self.inbox, "something was sent after the release"
                self.released = True

    def work(self, count: int, status: str, duration: float) -> None:
        """Run up to ``count`` trials of the oldest batch and report them."""
        batch = self.batches[0]
        ran = [batch.popleft() for _ in range(min(count, len(batch)))]
        if not batch:
            self.batches.popleft()
        outcomes = tuple(outcome(index, status, duration) for index in ran)
        self.outbox.append(Finished(outcomes))

    def answer_drain(self) -> None:
        """Step back from what has not been started."""
        self.draining = False
        self.batches.clear()
        self.outbox.append(WorkStopped())

    def die(self) -> None:
        self.lost = True
        self.draining = False
        self.inbox.clear()
        self.outbox.clear()
        self.batches.clear()


class Crowd:
    """A watched dispatcher and its workers: whoever uses it decides what comes next."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.workers = {rank: SimulatedWorker() for rank in watched.ranks}

    def deliver(self, rank: int) -> None:
        """Let the dispatcher have the next message of a worker."""
        self._send(self.watched.on(rank, self.workers[rank].outbox.popleft()))

    def drain(self) -> None:
        self._send(self.watched.drain())

    def lose(self, rank: int) -> None:
        self.workers[rank].die()
        self._send(self.watched.lose(rank))

    def _send(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, Send):
                self.workers[instruction.rank].inbox.append(instruction.message)

    def play_to_the_end(self) -> None:
        """Let everybody do what they have to until nobody has anything left to do."""
        while any(self._turn(rank, w) for rank, w in self.workers.items()):
            pass

    def _turn(self, rank: int, worker: SimulatedWorker) -> bool:
        if worker.can_start:
            worker.start()
        elif worker.outbox:
            self.deliver(rank)
        elif worker.inbox:
            worker.take_message()
        elif worker.draining:
            worker.answer_drain()
        elif worker.can_work:
            worker.work(1000, Status.FINISHED, 0.001)
        else:
            return False
        return True

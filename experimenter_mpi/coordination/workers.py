"""What rank 0 knows of each worker: how far it is, and what it holds."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from ..errors import ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..trial.outcome import Outcome


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
    ``begun``: it has said that it runs the one that it was to announce.
    """

    stage: Stage = Stage.STARTING
    overdue: bool = False
    begun: bool = False
    batches: deque[deque[int]] = field(default_factory=deque)

    @property
    def current(self) -> int | None:
        """The trial it runs now; None while it holds nothing."""
        return self.batches[0][0] if self.batches else None

    def unreported(self) -> list[int]:
        return [index for batch in self.batches for index in batch]

    def begin(self, rank: int, index: int) -> None:
        """Take note that it runs what it was to announce."""
        if self.current != index:
            msg = f"rank {rank} begins trial {index} but was to run {self.current}"
            raise ProtocolError(msg)
        self.begun = True

    def report(self, rank: int, outcome: Outcome) -> None:
        """Take an outcome off the batch it belongs to: the oldest, in order."""
        if self.current != outcome.index:
            msg = (
                f"rank {rank} reports trial {outcome.index} but was to run "
                f"{self.current}"
            )
            raise ProtocolError(msg)
        self.begun = False
        self.batches[0].popleft()
        if not self.batches[0]:
            self.batches.popleft()

    def drop(self, indices: Sequence[int]) -> None:
        """Take trials off, wherever they are."""
        kept = (deque(i for i in batch if i not in indices) for batch in self.batches)
        self.batches = deque(batch for batch in kept if batch)


class Workers(dict[int, Worker]):
    """All workers by their ranks, and who of them is here and has something to do.

    Whoever changes what a worker holds, or sends it home, says so by ``noted``: with a
    hundred thousand ranks nobody can look at all of them for each message.
    """

    def __init__(self, ranks: Iterable[int]) -> None:
        super().__init__((rank, Worker()) for rank in ranks)
        self.present = set(self)
        self.busy: set[int] = set()

    @property
    def idle(self) -> int:
        """How many are here, or still to come, and hold nothing."""
        return len(self.present) - len(self.busy)

    def noted(self, rank: int) -> Worker:
        """Take note of what a worker holds now, and whether it is here."""
        worker = self[rank]
        if worker.stage is Stage.GONE:
            self.present.discard(rank)
        if worker.batches and worker.stage is not Stage.GONE:
            self.busy.add(rank)
        else:
            self.busy.discard(rank)
        return worker

    def at(self, stage: Stage) -> list[int]:
        return [rank for rank, worker in self.items() if worker.stage is stage]

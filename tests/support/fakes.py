"""A ledger that is a list, a transport that is a script, a clock that stands still."""

from __future__ import annotations

import threading
import time
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import experimenter_mpi
from experimenter_mpi.coordination.drain import Drain
from experimenter_mpi.coordination.sweep import Sweep
from experimenter_mpi.encoding.codec import Encoded
from experimenter_mpi.errors import NotFoundError
from experimenter_mpi.mpi.mail import FRAME_BYTES
from experimenter_mpi.trial.outcome import (
    Entry,
    Failure,
    Outcome,
    Place,
    RunningTrial,
    Status,
    StoredSnapshot,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from experimenter_mpi.coordination.messages import Message
    from experimenter_mpi.encoding.codec import ArrayRecord
    from experimenter_mpi.experiment.experiment import Experiment

HERE = Place(1, "node1")
# Long enough for a busy machine; a rank that waits longer waits for ever.
PATIENCE = 20
# A child process finds the package where this one did, installed or not.
WITH_PACKAGE = {"PYTHONPATH": str(Path(experimenter_mpi.__file__).parents[1])}


def encoded(document: str = "{}", **others: Any) -> Encoded:
    """Return an encoded value from its document."""
    return Encoded(document, **{"arrays": (), "pickled": (), **others})


def outcome(
    index: int, status: str = Status.FINISHED, duration: float = 0.001
) -> Outcome:
    """Return what became of a trial."""
    results = encoded(f'{{"index":{index}}}') if status == Status.FINISHED else None
    failure = None
    if status == Status.FAILED:
        failure = Failure("ValueError", f"trial {index} is bad", "Traceback ...")
    times = 100.0, 100.0 + duration
    return Outcome(index, status, results, failure, *times, duration)


def entry(index: int, status: str = Status.FINISHED, place: Place = HERE) -> Entry:
    """Return an outcome with the place it came from."""
    return Entry(outcome(index, status), place)


class FakeClock:
    """Stands in for the module ``time``: its steady clock moves when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class InlineArrays:
    """Arrays that stay where they are."""

    def write(self, encoded: Encoded) -> Encoded:
        return encoded

    def read(self, record: ArrayRecord) -> Any:
        msg = f"no array is kept here, least of all {record.id}"
        raise NotImplementedError(msg)


class ListLedger:
    """Keeps one experiment's outcomes and snapshots in lists: see ``Ledger``.

    ``transactions`` are all calls of ``record``, as they came.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._known = {str(trial.id) for trial in experiment}
        self._results: dict[str, Encoded] = {}
        self.transactions: list[tuple[list[Entry], list[RunningTrial]]] = []
        self.snapshots: list[StoredSnapshot] = []
        self.pieces: dict[str, bytes] = {}
        self.deaths: dict[int, int] = {}

    @property
    def entries(self) -> list[Entry]:
        """What was recorded, in order."""
        return [entry for entries, _ in self.transactions for entry in entries]

    @property
    def running(self) -> list[RunningTrial]:
        """What was marked as running, in order."""
        return [trial for _, running in self.transactions for trial in running]

    @property
    def indices(self) -> list[int]:
        """The trials that were recorded, in order."""
        return [entry.outcome.index for entry in self.entries]

    def record(self, entries: Sequence[Entry], running: Iterable[RunningTrial]) -> None:
        self.transactions.append((list(entries), list(running)))
        for outcome, _ in entries:
            if outcome.results is not None:
                trial_id = self._experiment.trial_ids.text(outcome.index)
                self._results.setdefault(trial_id, outcome.results)

    def count_deaths(self, indices: Sequence[int]) -> None:
        for index in indices:
            self.deaths[index] = self.deaths.get(index, 0) + 1

    def save_snapshot(self, trial_id: str, state: Encoded, label: str | None) -> None:
        self._require(trial_id)
        self.snapshots.append(
            StoredSnapshot(str(uuid.uuid4()), trial_id, state, label, "2026-01-01")
        )

    def latest_snapshot(self, trial_id: str) -> StoredSnapshot | None:
        self._require(trial_id)
        saved = (s for s in reversed(self.snapshots) if s.trial_id == trial_id)
        return next(saved, None)

    def results_of(self, trial_id: str) -> Encoded | None:
        self._require(trial_id)
        return self._results.get(trial_id)

    def complete(self, trial_id: str, results: Encoded) -> None:
        self._require(trial_id)
        self._results[trial_id] = results

    def add_piece(self, file: str, offset: int, data: bytes, *, is_last: bool) -> None:
        kept = self.pieces.get(file, b"")
        assert offset == len(kept)
        self.pieces[file] = kept + data

    def piece(self, file: str, offset: int, size: int) -> bytes:
        return self.pieces[file][offset : offset + size]

    def _require(self, trial_id: str) -> None:
        if trial_id not in self._known:
            msg = f"no trial {trial_id}"
            raise NotFoundError(msg)


def sweep_of(experiment: Experiment, ledger: ListLedger, **others: Any) -> Sweep:
    """Return a sweep over all trials of an experiment."""
    given: dict[str, Any] = {
        "pending": [range(len(experiment))],
        "arrays": InlineArrays(),
        "drain": Drain(),
        "on_recorded": lambda _: None,
        **others,
    }
    return Sweep(experiment, ledger=ledger, **given)


class FakeTransport:
    """One rank's transport: what it receives is given, what it sends is kept.

    ``on_send`` is called with each message as it is sent and gives what comes back,
    as pairs of rank and message. ``on_idle`` is called when nothing is left to
    receive; it may deliver something.
    """

    def __init__(
        self,
        rank: int,
        size: int,
        arrivals: Iterable[tuple[int, Message]] = (),
        on_send: Callable[[int, Message], Iterable[tuple[int, Message]]] | None = None,
    ) -> None:
        self.rank = rank
        self.size = size
        self.neighbours = list(range(size))
        self.hostname = f"node{rank}"
        self.place = Place(rank, self.hostname)
        self.library = "FakeMPI 1.0"
        self.serves_threads = False
        self.frame_bytes = FRAME_BYTES
        self.inbox = deque(arrivals)
        self.sent: list[tuple[int, Message]] = []
        self.on_send = on_send
        self.on_idle: Callable[[], object] = lambda: None
        self.survives_deaths = False
        self.dead: list[int] = []
        self._mourned: set[int] = set()

    @property
    def workers(self) -> list[int]:
        return [rank for rank in range(1, self.size) if rank not in self.dead]

    def deaths(self) -> list[int]:
        fresh = [rank for rank in self.dead if rank not in self._mourned]
        self._mourned.update(fresh)
        return fresh

    def exception_of(self, _index: int) -> None:
        return None

    def poll(self) -> tuple[int, Message] | None:
        return self.inbox.popleft() if self.inbox else None

    def receive(
        self, timeout: float | None = None, wake: Callable[[], bool] = lambda: False
    ) -> tuple[int, Message] | None:
        if not self.inbox:
            self.on_idle()
        if self.inbox:
            return self.inbox.popleft()
        if wake() or timeout is not None:
            return None
        msg = f"rank {self.rank} would wait for ever, having sent {self.sent}"
        raise AssertionError(msg)

    def send(self, rank: int, message: Message) -> None:
        self.sent.append((rank, message))
        if self.on_send is not None:
            self.inbox.extend(self.on_send(rank, message))

    def send_all(self, message: Message) -> None:
        for rank in range(1, self.size):
            self.send(rank, message)

    def sent_of(self, kind: type) -> list[Any]:
        """What was sent of one type of message, in order."""
        return [message for _, message in self.sent if type(message) is kind]


class MemoryWorld:
    """Transports of ranks that are threads of one process."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.changed = threading.Condition()
        self.inboxes: list[deque[tuple[int, Message]]] = [deque() for _ in range(size)]

    def transport(self, rank: int) -> MemoryTransport:
        """Return the end of one rank."""
        return MemoryTransport(self, rank)

    def workers(self, work: Callable[[MemoryTransport], object]) -> Iterator[Any]:
        """Start ``work`` on a thread for every rank but 0 and return the threads."""
        for rank in range(1, self.size):
            thread = threading.Thread(
                target=work, args=[self.transport(rank)], daemon=True
            )
            thread.start()
            yield thread


class MemoryTransport:
    """One rank's end of a ``MemoryWorld``."""

    def __init__(self, world: MemoryWorld, rank: int) -> None:
        self._world = world
        self.rank = rank
        self.size = world.size
        self.hostname = f"node{rank}"
        self.place = Place(rank, self.hostname)
        self.library = "ThreadMPI 1.0"
        self.serves_threads = False
        self.frame_bytes = FRAME_BYTES

    def poll(self) -> tuple[int, Message] | None:
        with self._world.changed:
            inbox = self._world.inboxes[self.rank]
            return inbox.popleft() if inbox else None

    def receive(
        self, timeout: float | None = None, wake: Callable[[], bool] = lambda: False
    ) -> tuple[int, Message] | None:
        inbox = self._world.inboxes[self.rank]
        deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
        with self._world.changed:
            while not inbox:
                left = deadline - time.monotonic()
                if wake() or (timeout is not None and left <= 0):
                    return None
                if left <= 0:
                    msg = f"rank {self.rank} waited {PATIENCE} s in vain"
                    raise AssertionError(msg)
                self._world.changed.wait(min(left, 0.05))
            return inbox.popleft()

    survives_deaths = False

    @property
    def workers(self) -> list[int]:
        return list(range(1, self.size))

    def deaths(self) -> list[int]:
        return []

    def exception_of(self, _index: int) -> None:
        return None

    def send(self, rank: int, message: Message) -> None:
        with self._world.changed:
            self._world.inboxes[rank].append((self.rank, message))
            self._world.changed.notify_all()

    def send_all(self, message: Message) -> None:
        for rank in range(1, self.size):
            self.send(rank, message)

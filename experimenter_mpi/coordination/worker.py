"""A worker rank's loop: take a batch, run its trials, report, go on."""

from __future__ import annotations

import time
from _thread import _count, allocate_lock, start_new_thread  # no threading: 2 modules
from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ProtocolError, rebuilt
from ..trial.attempt import message_of
from ..trial.signals import deferred
from . import messages as m
from . import trail
from .questions import Aside, Questions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..trial.attempt import Attempt, Attempts
    from ..trial.outcome import Outcome, Place
    from .port import Connection

# How long what a worker knows of the run's end may be old when a trial begins.
LOOK_SECONDS = 0.001
# What is sent for a trial beside its results; a test holds it.
OUTCOME_BYTES = 110
# How soon a worker that is busy learns that rank 0 has died.
WATCH_SECONDS = 1.0
# Nothing waits longer than this, though the next trial may take hours.
LATE_SECONDS = 0.1


class Line(Questions):
    """A worker's line to rank 0: what comes unasked waits until it is looked at.

    Trials on several threads may share it: one asks at a time.
    """

    # Whether its messages are noted here, and not at the other end in this process.
    keeps_trail = True

    def __init__(self, transport: Connection, time_left: float | None = None) -> None:
        self._transport = transport
        self._inbox: deque[m.Message] = deque()
        self._in_use = allocate_lock()
        self._deadline = _deadline(time_left)
        self._look_at = 0.0
        self._over = False
        self._aside: Aside | None = None
        self._in_making = allocate_lock()
        # Those that send what is late, and that look for the death of rank 0.
        self._own_threads = 1 + int(transport.survives_deaths)
        self.draining = False
        self.serves_threads = transport.serves_threads
        self.frame_bytes = transport.frame_bytes

    def send(self, message: m.Message) -> None:
        with self._in_use:
            self._send(message)

    def receive(self) -> m.Message:
        """Return the next order, waiting for it."""
        with self._in_use:
            return self._inbox.popleft() if self._inbox else self._next()

    def ask(self, question: m.Question, expected: Any) -> Any:
        """Send a question and return its answer; orders that come between are kept."""
        with deferred():
            if self._may_be_interrupted():
                return self._by_the_other(self._ask, question, expected)
            return self._ask(question, expected)

    def _ask(self, question: m.Question, expected: Any) -> Any:
        with self._in_use:
            self._send(question)
            while True:
                message = self._next()
                if isinstance(message, m.Refused):
                    raise rebuilt(message.error, message.message)
                if isinstance(message, expected):
                    return message
                self._inbox.append(message)

    def _send(self, message: m.Message) -> None:
        if self.keeps_trail:
            trail.sent(0, message)
        self._transport.send(0, message)

    def _may_be_interrupted(self) -> bool:
        """Whether there are threads of the trial's, which may raise in this one."""
        return self.serves_threads and _count() > self._own_threads

    def _by_the_other(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with self._in_making:
            if self._aside is None:
                self._aside = Aside()
        return self._aside.call(function, *arguments)

    def settle(self) -> None:
        """Wait for the answer to a question that a trial has given up."""
        if self._aside is not None:
            self._aside.settle()

    def close(self) -> None:
        """Let go of the thread that asks for trials."""
        if self._aside is not None:
            self._aside.close()
            self._aside = None

    def _next(self) -> m.Message:
        arrival = self._transport.receive()
        if arrival is None:
            msg = "receive() without a timeout returned nothing"
            raise ProtocolError(msg)
        return self._noticed(arrival[1])

    def _noticed(self, message: m.Message) -> m.Message:
        if self.keeps_trail:
            trail.received(0, message)
        if isinstance(message, m.StopWork):
            self.draining = True
            self._deadline = _deadline(message.seconds)
        elif isinstance(message, m.Release):
            self._over = True  # the next message begins another experiment
        return message

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Leave when rank 0 dies, however long the trial that runs takes.

        On a thread, where MPI outlives rank 0; elsewhere it ends this process itself.
        """
        if self._transport.survives_deaths and self.serves_threads:
            start_new_thread(self._watch, ())
        try:
            yield
        finally:
            self.close()
            # What comes from now on is for whoever listens next.
            locked = self._in_use.acquire(timeout=WATCH_SECONDS)
            self._over = True
            if locked:
                self._in_use.release()

    def _watch(self) -> None:
        while not self._over:
            self._looked()  # the transport leaves when it meets the death
            time.sleep(WATCH_SECONDS)

    # What a trial may know about the end of the run (see context.StopInfo).

    def glance(self) -> bool:
        """Return whether the run drains, as known a moment ago.

        Between short trials, where looking at MPI each time would be felt.
        """
        now = time.monotonic()
        if now < self._look_at:
            return self.draining
        self._look_at = now + LOOK_SECONDS
        return self._looked()

    def requested(self) -> bool:
        with deferred():
            if not self._may_be_interrupted():
                return self._looked()
            if time.monotonic() >= self._look_at:
                self._look_at = time.monotonic() + LOOK_SECONDS
                self._by_the_other(self._looked)
            return self.draining

    def _looked(self) -> bool:
        # Whoever is asking just now looks at what comes, and notices it.
        if self._in_use.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._in_use.release()
        return self.draining

    def _look(self) -> None:
        while not self._over and (arrival := self._transport.poll()) is not None:
            self._inbox.append(self._noticed(arrival[1]))

    def time_left(self) -> float | None:
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - time.monotonic())


def _deadline(seconds: float | None) -> float | None:
    return None if seconds is None else time.monotonic() + seconds


def work(line: Line, place: Place, attempts: Attempts) -> None:
    """Run what rank 0 assigns until it releases this worker."""

    def send(ended: tuple[Attempt, ...]) -> None:
        for outcomes in in_frames((each.outcome for each in ended), line.frame_bytes):
            line.send(m.Finished(outcomes))

    line.send(m.Ready(place))
    reports = Outgoing(send, watched=line.serves_threads)
    try:
        _obey(line, attempts, reports)
    finally:
        reports.close()


def _obey(line: Line, attempts: Attempts, reports: Outgoing) -> None:
    while True:
        match line.receive():
            case m.Assign(ranges, announced):
                run_batch(line, ranges, attempts, reports, announced=announced)
                reports.flush()
            case m.StopWork():
                line.send(m.WorkStopped())
            case m.Release():
                return
            case message:
                msg = f"rank 0 sent {type(message).__name__} to a working rank"
                raise ProtocolError(msg)


def in_frames(
    outcomes: Iterable[Outcome], frame_bytes: float
) -> Iterator[tuple[Outcome, ...]]:
    """Yield outcomes in groups that fit into a frame, if one alone does.

    What does not fit is sent once rank 0 is there to receive it, and rank 0 then waits
    for the sender: where ranks share cores, for its turn.
    """
    group: list[Outcome] = []
    room = frame_bytes
    for outcome in outcomes:
        size = _about_bytes(outcome)
        if group and size > room:
            yield tuple(group)
            group, room = [], frame_bytes
        group.append(outcome)
        room -= size
    if group:
        yield tuple(group)


def _about_bytes(outcome: Outcome) -> int:
    if outcome.failure is not None:
        return OUTCOME_BYTES + sum(map(len, outcome.failure))
    results = outcome.results
    if results is None:
        return OUTCOME_BYTES
    arrays = sum(record.nbytes for record in results.arrays if record.data is not None)
    return OUTCOME_BYTES + len(results.document) + arrays


def report_unable(line: Line, place: Place, error: Exception) -> None:
    """Tell rank 0 why this rank cannot work; return when released."""
    line.send(m.Unable(place, type(error).__name__, message_of(error)))
    while not isinstance(line.receive(), m.Release):
        pass


def run_batch(
    line: Line,
    ranges: m.Ranges,
    attempts: Attempts,
    reports: Outgoing,
    *,
    announced: bool,
) -> None:
    """Run trials in order until the run drains; say so first if ``announced``."""
    reports.begin()
    with trail.runner(attempts) as run:
        for index in m.indices_of(ranges):
            if line.glance():
                break
            if announced:
                line.send(m.Begun(index))
                announced = False
            attempt = run(index)
            line.settle()
            reports.add(attempt)


class Outgoing:
    """Attempts that ``send`` takes in groups, in the order they were added.

    When ``watched`` a thread sends what was held for too long, while the one that
    added it is busy with another trial.
    """

    def __init__(
        self, send: Callable[[tuple[Attempt, ...]], object], *, watched: bool
    ) -> None:
        self._send = send
        self._held: list[Attempt] = []
        self._sent = 0
        self._guard = allocate_lock()
        self._work_since = time.monotonic()
        self._watched = watched
        self._gate = allocate_lock()
        self._gate.acquire()
        self._is_open = False
        self._closed = False
        if watched:
            start_new_thread(self._watch, ())

    def begin(self) -> None:
        """Begin a batch."""
        with self._guard:
            self._sent = 0
            self._work_since = time.monotonic()

    def add(self, attempt: Attempt) -> None:
        with self._guard:
            self._held.append(attempt)
            if time.monotonic() - self._work_since >= m.HOLD_SECONDS:
                self._flush()
            else:
                self._open_gate()

    def flush(self) -> None:
        """Send what is held."""
        with self._guard:
            self._flush()

    def take(self) -> tuple[tuple[Attempt, ...], int]:
        """End a batch: give what is held, and how many of its trials were sent."""
        with self._guard:
            held, self._held = tuple(self._held), []
            return held, self._sent

    def close(self) -> None:
        """End the thread; what it still holds is not sent."""
        with self._guard:
            self._held = []
            self._closed = True
            self._open_gate()

    def _flush(self) -> None:
        if self._held:
            self._send(tuple(self._held))
            self._sent += len(self._held)
            self._held = []
        self._work_since = time.monotonic()

    def _open_gate(self) -> None:
        if self._watched and not self._is_open:
            self._is_open = True
            self._gate.release()

    def _watch(self) -> None:
        while not self._closed:
            self._gate.acquire()
            time.sleep(LATE_SECONDS)
            with self._guard:
                self._is_open = False
                self._flush()

"""The last messages and decisions of this process: what a run that seems stuck shows.

Each message is noted, so it must cost next to nothing: an entry keeps a few numbers and
words, never what a message carries, and becomes a line when it is printed.
"""

from __future__ import annotations

import os
import sys
from _thread import get_ident
from collections import deque
from contextlib import contextmanager
from itertools import count
from time import monotonic
from typing import TYPE_CHECKING, Any

from ..errors import printable
from ..output import say_at_once
from ..trial import stacks
from ..trial.outcome import Status
from . import messages as m

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..trial.attempt import Attempt, Attempts
    from ..trial.outcome import Outcome, Place

    # Its number and time, what, to or from whom, the type of message, in short.
    Entry = tuple[int, float, str, int | None, Any, Any]
    # A rank and its host, the trial that it runs, and for how many seconds.
    Runs = tuple[int, str, int, float]

KEPT = 100
# Shorter trials have no entries of their own.
LONG_SECONDS = 0.01
# How many ranks are listed, of those that run a trial for longest.
RANKS_LISTED = 20
_LONGEST_LINE, _LONGEST_NAME, _RANGES = 160, 60, 3
_RECEIVES, _SENDS, _DECIDES = "receives from", "sends to", "decides"
_BEGINS, _ENDS = "begins", "ends"
_FINISHED = Status.FINISHED
# Levels of ``logging``, which no worker imports for their sake.
DEBUG, INFO, WARNING, ERROR = 10, 20, 30, 40
LOGGER = "experimenter_mpi"

_began = monotonic()
_numbers = count(1)
_entries: deque[Entry] = deque(maxlen=KEPT)
# Which trial each thread runs, and since when.
_running: dict[int, tuple[int, float]] = {}


class _Here:
    """What is known of this process: its place, and at rank 0 what the others run."""

    place: Place | None = None
    runs: Callable[[], Iterable[Runs]] | None = None
    log: Callable[..., object] | None = None
    has_told = False


def begin(place: Place) -> None:
    """Take note of where this is, and whether decisions are to be logged.

    Nothing of an earlier run of this process is shown as if it went on.
    """
    _Here.place, _Here.runs, _Here.has_told = place, None, False
    if (logging := sys.modules.get("logging")) is not None:
        logger = logging.getLogger(LOGGER)
        if not logger.handlers:  # else warnings would be printed by default
            logger.addHandler(logging.NullHandler())
        _Here.log = logger.log


def log(level: int, text: str, *values: object) -> None:
    """Log what is not an entry of the trail, if anybody may read it."""
    if _Here.log is not None:
        _Here.log(level, text, *values)


def watch(runs: Callable[[], Iterable[Runs]]) -> None:
    """Ask this from now on what the ranks run."""
    _Here.runs = runs


def received(peer: int, message: m.Message) -> None:
    """Note a message that has come."""
    kind = type(message)
    short = _short_of(kind)(message)
    _entries.append((next(_numbers), monotonic(), _RECEIVES, peer, kind, short))


def sent(peer: int, message: m.Message) -> None:
    """Note a message that is sent."""
    kind = type(message)
    short = _short_of(kind)(message)
    _entries.append((next(_numbers), monotonic(), _SENDS, peer, kind, short))


def decided(text: str, *values: object, level: int | None = DEBUG) -> None:
    """Note a decision; the values, which the text has a ``%s`` for, are small.

    In a signal's handler it is noted with no ``level``, and so not logged.
    """
    _entries.append((next(_numbers), monotonic(), _DECIDES, None, text, values))
    if level is not None:
        log(level, text, *values)


@contextmanager
def runner(attempts: Attempts) -> Iterator[Callable[[int], Attempt]]:
    """Yield what runs trials of a batch on this thread, and notes which one it is.

    It notes their begins and ends, too, unless they are short and finished. For a trial
    that does nothing each look-up counts: what is the same for all is looked up once.
    """
    me, running, attempt = get_ident(), _running, attempts.run
    long, finished = LONG_SECONDS, _FINISHED

    def run(index: int) -> Attempt:
        began = monotonic()
        running[me] = index, began
        ended = attempt(index)
        outcome = ended.outcome
        if outcome.duration >= long or outcome.status != finished:
            _note_trial(began, outcome)
        return ended

    try:
        yield run
    finally:
        running.pop(me, None)


def _note_trial(began: float, outcome: Outcome) -> None:
    short = outcome.index, outcome.status, outcome.duration
    _entries.append((next(_numbers), began, _BEGINS, None, None, short))
    _entries.append((next(_numbers), monotonic(), _ENDS, None, None, short))
    log(DEBUG, "trial %s: %s after %.3g s", *short)


# --- what is kept of a message: by default its type alone, since it may be large


def _nothing(_: Any) -> str:
    return ""


def _of_trial(question: Any) -> str:
    return f"of {question.trial_id}"


def _of_file(question: Any) -> str:
    return f"of {question.file} at {question.offset}"


def _of_outcomes(finished: m.Finished) -> tuple[int, int | None, str]:
    outcomes = finished.outcomes
    if not outcomes:
        return 0, None, ""
    last = outcomes[-1]
    return len(outcomes), last.index, last.status


_SHORT: dict[type, Callable[[Any], Any]] = {
    m.Begin: lambda begin: f"{len(begin.job)} bytes",
    m.Dismiss: lambda dismiss: "" if dismiss.error is None else dismiss.error[0],
    m.Leave: lambda leave: f"with exit code {leave.code}",
    m.Ready: lambda ready: "" if ready.place is None else f"on {ready.place.hostname}",
    m.Unable: lambda unable: f"{unable.error}",
    m.Assign: lambda assign: (assign.ranges[:_RANGES], len(assign.ranges)),
    m.Finished: _of_outcomes,
    m.StopWork: lambda stop: f"{stop.reason}",
    m.Form: lambda form: f"{len(form.ranks)} ranks",
    m.Begun: lambda begun: f"trial {begun.index}",
    m.SaveSnapshot: lambda save: f"of {save.trial_id} {_name(save.label)}",
    m.FetchSnapshot: _of_trial,
    m.FetchResults: _of_trial,
    m.CompleteTrial: _of_trial,
    m.AddPiece: _of_file,
    m.FetchPiece: _of_file,
    m.SnapshotFound: lambda found: "none" if found.snapshot is None else "one",
    m.Refused: lambda refused: f"{refused.error}: {refused.message[:_LONGEST_LINE]}",
}


def _short_of(kind: type) -> Callable[[Any], Any]:
    return _SHORT.get(kind, _nothing)


def _name(label: Any) -> str:
    return "" if label is None else f"'{str(label)[:_LONGEST_NAME]}'"


# --- in words


def lines() -> list[str]:
    """Return what is kept, in the order in which it happened: a line for each entry."""
    entries = list(_entries)
    first = max((entry[0] for entry in entries), default=0) - len(entries) + 1
    begun = [(since, _BEGINS, None, None, (i, "", 0.0)) for i, since in _now_running()]
    ordered = sorted([*(entry[1:] for entry in entries), *begun], key=lambda e: e[0])
    return [_line(number, *entry) for number, entry in enumerate(ordered, first)]


def _now_running() -> list[tuple[int, float]]:
    return list(_running.values())


def _line(
    number: int, at: float, what: str, peer: int | None, kind: Any, short: Any
) -> str:
    if what == _DECIDES:
        text = kind % short
    elif what in (_BEGINS, _ENDS):
        index, status, duration = short
        text = f"trial {index}"
        if what == _ENDS:
            text += f": {status} after {duration:.3g} s"
    else:
        text = f"{peer:<5} {kind.__name__:<14} {_in_words(kind, short)}"
    line = f"#{number:<6} {at - _began:10.3f} s  {what:<13} {text}".rstrip()
    return printable(line[:_LONGEST_LINE].replace("\n", " "))


def _in_words(kind: type, short: Any) -> str:
    if kind is m.Finished:
        size, index, status = short
        last = f"trial {index}: {status}"
        return last if size == 1 else f"{size} trials, the last is {last}"
    if kind is m.Assign:
        ranges, size = short
        named = ", ".join(
            str(start) if stop == start + 1 else f"{start}-{stop - 1}"
            for start, stop in ranges
        )
        one = size == 1 and "-" not in named
        return f"trial{'' if one else 's'} {named}{', ...' if size > _RANGES else ''}"
    return str(short)


def runs() -> list[Runs]:
    """Return what runs now, what does so for longest first: at rank 0 on all ranks."""
    if _Here.runs is not None:
        found = list(_Here.runs())
    else:
        place, now = _Here.place, monotonic()
        rank, host = (0, "") if place is None else place
        found = [(rank, host, i, now - since) for i, since in _now_running()]
    return sorted(found, key=lambda each: -each[3])


def report() -> str:
    """Return all that this process can say of itself, a line for each entry."""
    place = _Here.place
    who = "this process" if place is None else f"rank {place.rank} on {place.hostname}"
    age = monotonic() - _began
    who += f", process {os.getpid()}, {age:.1f} s after its start"
    text = [f"experimenter_mpi: {who}:"]
    running = runs()
    text += [
        f"  rank {rank} on {host} runs trial {index} for {seconds:.1f} s"
        for rank, host, index, seconds in running[:RANKS_LISTED]
    ]
    if len(running) > RANKS_LISTED:
        text.append(f"  and {len(running) - RANKS_LISTED} more")
    if not running:
        text.append("  no trial runs")
    return "\n".join([*text, *(f"  {line}" for line in lines())])


def tell(why: str) -> None:
    """Print what SIGQUIT prints, after a line that says why; once in a run.

    The first trial that is late shows what there is to see, and logs stay short.
    """
    if not _Here.has_told:
        _Here.has_told = True
        say_at_once(f"experimenter_mpi: {why}; where this process is:")
        stacks.show()
        stacks.on_signal()


def _say_report() -> None:
    say_at_once(report())


stacks.on_quit.append(_say_report)

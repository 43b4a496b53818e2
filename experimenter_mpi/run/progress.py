"""What a run shows of itself: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections import deque
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .. import output
from ..coordination import trail
from ..errors import ConfigurationError, counted
from ..trial.outcome import Status
from . import bar
from .notebook import NotebookBar, is_notebook
from .terminal import passes_on_whole_lines, width_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..trial.outcome import Entry

STYLES = ("auto", "bar", "log", "none")
# Lines of a log come at first often, then seldom: a night's run is a page.
FIRST_LINE_SECONDS = 2.0
LONGEST_SILENCE_SECONDS = 60.0
# Rates are of the last commits: a slow start must not spoil the time left for hours.
RATE_SECONDS = 30.0
KEPT_SAMPLES = 2
LONGEST_ERROR = 200
# Where the next larger unit says it better: 100 s, 100 min, 48 h.
MINUTES_FROM, HOURS_FROM, DAYS_FROM = 100, 100, 48


class Rate:
    """Trials per second over the last half minute, by a steady clock."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque([(time.monotonic(), 0)])

    def sample(self, done: int) -> None:
        now = time.monotonic()
        self._samples.append((now, done))
        while (
            len(self._samples) > KEPT_SAMPLES
            and now - self._samples[1][0] > RATE_SECONDS
        ):
            self._samples.popleft()

    def per_second(self) -> float | None:
        first, last = self._samples[0], self._samples[-1]
        done = last[1] - first[1]
        # Up to now, not to the last sample: a run that stalls shows a falling rate.
        elapsed = time.monotonic() - first[0]
        return done / elapsed if done and elapsed > 0 else None


class Progress:
    """The display of one run; a context manager around its trials.

    ``style`` is True or "auto" (a bar in a notebook, and on a terminal that shows it
    where rich is installed, else a log), "bar", "log", or False or "none".

    Raises:
        ConfigurationError: it is none of these, or a bar without rich.
    """

    def __init__(self, style: bool | str) -> None:
        named = style if isinstance(style, str) else ("auto" if style else "none")
        if named not in STYLES:
            msg = f"progress must be one of {', '.join(STYLES)}, not {style!r}"
            raise ConfigurationError(msg)
        self._width = width_of(sys.stderr) if named in ("auto", "bar") else None
        if named in ("auto", "bar") and self._width is None and is_notebook():
            named = "notebook"
        if named == "auto":
            is_seen = self._width is not None and not passes_on_whole_lines()
            named = "bar" if is_seen and bar.is_installed() else "log"
        if named == "bar" and not bar.is_installed():
            msg = f'progress "bar" needs rich: {bar.INSTALL}, or choose "log"'
            raise ConfigurationError(msg)
        self._style = named
        # The standard streams that other processes share with the bar.
        self.bar_on: tuple[str, ...] = ()
        if named == "bar":
            is_all = width_of(sys.stdout) and not passes_on_whole_lines()
            self.bar_on = ("stdout", "stderr") if is_all else ("stderr",)
        self._above = ExitStack()
        self._notebook: NotebookBar | None = None
        self._bar: Any = None
        self._task: Any = None
        self._name = ""
        self._total = self.done = self.failed = 0
        self._last_error: str | None = None
        self._rate = Rate()

    def start(self, name: str, total: int, where: str) -> None:
        """Print what begins: ``total`` trials on, say, "4 ranks"."""
        self._name, self._total = name, total
        self._rate = Rate()
        self._started = self._last_line = time.monotonic()
        what = counted(total, "trial")
        trail.decided("begin: %s, %s on %s", name, what, where, level=trail.INFO)
        if self._style == "log":
            self._print(f"{name}: {counted(total, 'trial')} to run on {where}")

    def note(self, text: str) -> None:
        """Print a line for people, above the bar if there is one."""
        trail.log(trail.WARNING, "%s", text)
        self._print(f"experimenter_mpi: {text}")

    def on_drain(self, reason: str, seconds: float | None) -> None:
        """Print why no new trial starts, and how long running ones may continue.

        Called from a signal handler.
        """
        may = "may end" if seconds is None else f"have {duration(seconds)} to end"
        again = " again" if reason == "SIGINT" else ""
        text = (
            f"\nexperimenter_mpi: {reason}: no new trials; running ones {may}. "
            f"Ctrl-C{again} stops at once. Rerun the same command to continue."
        )
        text = wrapped(text, sys.stderr)
        # A signal may come while Python writes to stderr, which must not be re-entered.
        output.say_at_once(text)

    def on_recorded(self, entries: Sequence[Entry]) -> None:
        """Count what was committed, and show it."""
        statuses = [entry.outcome.status for entry in entries]
        self.done += len(statuses) - statuses.count(Status.PENDING)
        if Status.FAILED in statuses:
            self.failed += statuses.count(Status.FAILED)
            self._last_error = _last_error(entries)
            trail.log(trail.WARNING, "failed: %s", self._last_error)
        self._rate.sample(self.done)
        if self._notebook is not None:
            self._notebook.show(self.done, self.line())
        elif self._bar is not None:
            self._bar.update(self._task, completed=self.done, failures=self._failures())
        elif self._style == "log" and self._line_due():
            self._last_line = time.monotonic()
            self._print(self.line())

    def state(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {
            "total": self._total,
            "done": self.done,
            "failed": self.failed,
            "rate": self._rate.per_second(),
            "last_error": self._last_error,
        }

    def line(self) -> str:
        """Return the state of the run as one line of a log."""
        parts = [f"{self.done} of {counted(self._total, 'trial')}"]
        parts += filter(None, (self._failures(), self._pace()))
        return f"{self._name}: {', '.join(parts)}"

    def __enter__(self) -> None:
        if self._style == "bar":
            # What a logger holds since before is not what rich puts in their place.
            self._above.enter_context(output.above_bar(self.bar_on))
            self._bar = bar.rich_bar(self._width, self._pace)
            self._task = self._bar.add_task(
                self._name, total=self._total, failures=self._failures()
            )
            self._bar.start()
        elif self._style == "notebook":
            self._notebook = NotebookBar(self._total)
            self._notebook.show(self.done, self.line())

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            self._above.close()
        elif self._notebook is not None:
            self._notebook.show(self.done, self.line(), last=True)
            self._notebook = None
        elif self._style == "log":
            self._print(self.line())

    def _line_due(self) -> bool:
        if self.done >= self._total:
            return False  # the line at the end says it
        now = time.monotonic()
        silence = min(
            max(FIRST_LINE_SECONDS, (now - self._started) / 4), LONGEST_SILENCE_SECONDS
        )
        return now - self._last_line >= silence

    def _pace(self) -> str:
        """Return the rate and what it makes of the rest; nothing before it is known."""
        left, rate = self._total - self.done, self._rate.per_second()
        if not rate:
            return ""
        return pace(rate) + (f", {duration(left / rate)} left" if left > 0 else "")

    def _failures(self) -> str:
        return f"{self.failed} failed" if self.failed else ""

    def _print(self, text: str) -> None:
        if self._bar is not None:
            self._bar.console.print(text, highlight=False, markup=False)
        else:
            output.say(text)


def _last_error(entries: Sequence[Entry]) -> str:
    """Return the last failure among these in a line."""
    outcome = [e.outcome for e in entries if e.outcome.status == Status.FAILED][-1]
    text = f"trial {outcome.index}"
    if (failure := outcome.failure) is not None:
        text += f": {failure.type}: {failure.message[:LONGEST_ERROR]}"
    return " ".join(text.split())


def pace(per_second: float) -> str:
    """Return a rate with three digits, or whole."""
    whole = per_second >= 1000  # noqa: PLR2004 - where three digits end
    return f"{per_second:,.0f}/s" if whole else f"{per_second:.3g}/s"


def duration(seconds: float) -> str:
    """Return a duration as people say it: 25 s, 12 min, 3 h 20 min, 2 d 4 h."""
    if seconds < MINUTES_FROM:
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < HOURS_FROM:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < DAYS_FROM:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"

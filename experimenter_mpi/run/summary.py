"""What a run was asked to do, and what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

    from ..experiment.share import Share
    from .log import Log


class RunSummary(NamedTuple):
    """What one ``execute`` did.

    ``trials`` is the number in the experiment, ``skipped`` were finished before,
    ``finished`` and ``failed`` happened in this run (earlier failures count where they
    were not to be retried), ``remaining`` were to be run and are neither. ``stopped``
    says why the run ended early, if it did. ``duration`` is in seconds. With a
    ``share`` all of these count its trials alone.
    """

    experiment_id: UUID
    name: str
    trials: int
    skipped: int
    finished: int
    failed: int
    remaining: int
    duration: float
    stopped: str | None = None
    share: Share | None = None

    def packed(self) -> tuple[Any, ...]:
        """Return the fields as a worker can read them without importing more."""
        share = None if self.share is None else tuple(self.share)
        return (*self[:-1], share)

    @staticmethod
    def unpacked(fields: tuple[Any, ...]) -> RunSummary:
        """Return the summary whose fields ``packed`` gave."""
        summary = RunSummary(*fields)
        if summary.share is None:
            return summary
        from ..experiment.share import Share

        return summary._replace(share=Share(*summary.share))

    @property
    def exit_code(self) -> int:
        """0 all finished, 1 some trials failed, 75 stopped with work left."""
        # Late: workers of a script load this file, and ask for no code.
        from ..exit_codes import EXIT_FAILED_TRIALS, EXIT_FINISHED, EXIT_STOPPED

        if self.remaining:
            return EXIT_STOPPED
        return EXIT_FAILED_TRIALS if self.failed else EXIT_FINISHED

    def __str__(self) -> str:
        did = f"{self.finished} finished, {self.failed} failed in {self.duration:.1f} s"
        share = "" if self.share is None else f", share {self.share}"
        parts = [f"{self.name}{share}: {did}"]
        if self.skipped:
            parts.append(f"{self.skipped} finished before")
        if self.remaining:
            parts.append(f"{self.remaining} left")
        if self.stopped is not None:
            parts.append(f"stopped by {self.stopped}")
        return "; ".join(parts)


class Options(NamedTuple):
    """See ``execute``; limits, ``grace`` and ``trial_timeout`` are in seconds.

    ``only`` are the indices of the trials to run, None for all, and ``share`` is the
    part of them that is this run's. ``keep_snapshots`` is how many of a trial's newest
    snapshots are kept, None for all. ``keep_diff`` is whether the run keeps how its
    code differs from the commit. ``log`` is what each rank logs where to. ``extend``
    takes a changed configuration over.
    """

    force_overwrite: bool = False
    on_error: str = "record"
    retry_failed: bool = True
    time_limit: float | None = None
    grace: float | None = None
    only: frozenset[int] | None = None
    isolate: bool = False
    trial_timeout: float | None = None
    share: Share | None = None
    keep_snapshots: int | None = None
    keep_diff: bool = False
    log: Log | None = None
    extend: bool = False

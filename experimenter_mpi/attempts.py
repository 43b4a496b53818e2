"""Who runs an experiment's trials: this process itself, or a child of it.

Modes and workers know the protocol ``Attempts`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from .attempt import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from .attempt import Attempt
    from .context import Context, Desk, Watch
    from .experiment import Experiment


class Attempts(Protocol):
    """Runs trials by their index; several threads may call ``run`` at once."""

    def run(self, index: int) -> Attempt:
        """Run a trial; never raises for what the trial does."""

    def close(self) -> None:
        """Let go of what runs them."""


class Isolation(Protocol):
    """Starts processes for trials, which ask ``desk`` and ``watch``."""

    def start(self, desk: Desk, watch: Watch, *, warm: bool = True) -> Attempts:
        """Return what runs trials there; if ``warm``, its first process is ready."""


class InProcess:
    """Implements ``Attempts`` in this process and the calling thread."""

    def __init__(
        self, experiment: Experiment, function: Callable[..., Any], context: Context
    ) -> None:
        self._experiment = experiment
        self._function = function
        self._context = context

    def run(self, index: int) -> Attempt:
        return attempt(self._function, self._experiment[index], self._context)

    def close(self) -> None:
        """There is nothing to let go."""

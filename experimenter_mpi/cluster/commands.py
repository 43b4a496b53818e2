"""Run a program of the site, as schedulers and launchers are asked."""

from __future__ import annotations

import subprocess
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(
    command: Sequence[str],
    seconds: float | None = None,
    script: IO[bytes] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Return how the command ended and what it said; it reads ``script``, or nothing.

    Raises:
        OSError: it cannot be started.
        TimeoutExpired: it did not end within ``seconds``.
    """
    return subprocess.run(  # noqa: S603 - the site's own programs
        command,
        stdin=script or subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        check=False,
    )

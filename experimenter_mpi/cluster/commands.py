"""Run a program of the site, as schedulers and launchers are asked."""

from __future__ import annotations

import re
import subprocess
from shlex import join
from typing import IO, TYPE_CHECKING

from ..errors import JobScriptError

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


ANSWER_SECONDS = 120


def asked(
    command: Sequence[str], script: IO[bytes] | None = None, forgiven: str = r"(?!)"
) -> str:
    """Return what a scheduler's command prints.

    Raises:
        JobScriptError: it is not there, does not answer, or failed without saying what
            matches ``forgiven``.
    """
    try:
        done = run(command, ANSWER_SECONDS, script)
    except FileNotFoundError:
        msg = f"there is no {command[0]} here: run this on a login node"
        raise JobScriptError(msg) from None
    except subprocess.TimeoutExpired:
        msg = f"'{join(command)}' did not answer in {ANSWER_SECONDS} s; try again later"
        raise JobScriptError(msg) from None
    said = (done.stderr or done.stdout).strip()
    if done.returncode != 0 and not re.search(forgiven, said):
        msg = f"'{join(command)}' failed: {said or f'exit code {done.returncode}'}"
        raise JobScriptError(msg)
    return done.stdout

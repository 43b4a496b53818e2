"""Submit job scripts, and say how to follow what was submitted."""

from __future__ import annotations

import re
import subprocess
from shlex import join, quote
from typing import IO

from ..errors import JobScriptError
from .directives import name_of

# A scheduler that is busy may take its time over a submission.
ANSWER_SECONDS = 120

# Words that submit a script and print little but its number.
_SUBMIT = {
    "slurm": ["sbatch", "--parsable"],
    "pbs": ["qsub"],
    "sge": ["qsub", "-terse"],
    "lsf": ["bsub"],
    "flux": ["flux", "batch"],
}
# The same for a job that waits until another has ended, however that ended.
_AFTER = {
    "slurm": "--dependency=afterany:{id}",
    "pbs": "-W depend=afterany:{id}",
    "sge": "-hold_jid {id}",
    "lsf": "-w ended({id})",
    "flux": "--dependency=afterany:{id}",
}
# How the job's number is found in what was printed.
_NUMBER = {
    "slurm": r"^(\d+)",
    "pbs": r"^(\d+(?:\[\])?\S*)",
    "sge": r"^(\d+)",
    "lsf": r"Job <(\d+)>",
    "flux": r"(\S+)\s*$",
}
# What is followed by the numbers of all jobs; and between those numbers.
_FOLLOW = {
    "slurm": ("squeue --jobs", ","),
    "pbs": ("qstat", " "),
    "sge": ("qstat -j", ","),
    "lsf": ("bjobs", " "),
    "flux": ("flux jobs", " "),
}
_CANCEL = {
    "slurm": "scancel",
    "pbs": "qdel",
    "sge": "qdel",
    "lsf": "bkill",
    "flux": "flux cancel",
}


def following(scheduler: str, numbers: list[str]) -> list[tuple[str, str]]:
    """Give what one may want to do with submitted jobs, and the command for it."""
    if not numbers:
        return []
    quoted = [quote(number) for number in numbers]
    follow, between = _FOLLOW[scheduler]
    return [
        ("follow it", f"{follow} {between.join(quoted)}"),
        ("end it", f"{_CANCEL[scheduler]} {' '.join(quoted)}"),
    ]


def by_hand(
    scheduler: str, file: str, *, after: str | None = None, shares: int | None = None
) -> str:
    """Give the shell command that submits a script, for a reader to type.

    ``after`` is the job that must have ended before; ``shares`` how many times Flux,
    which knows no arrays, is given the script.
    """
    words = [word for word in _SUBMIT[scheduler] if not word.startswith("-")]
    waiting = "" if after is None else f" {_after(scheduler, after)}"
    if scheduler == "lsf":
        return f"bsub{waiting} < {quote(file)}"
    if shares is not None and scheduler == "flux":
        batch = f'flux batch --env="EXPERIMENTER_SHARE=$k" {quote(file)}'
        return f"for k in $(seq {shares}); do {batch}; done"
    return f"{' '.join(words)}{waiting} {quote(file)}"


def _after(scheduler: str, number: str) -> str:
    option, _, value = _AFTER[scheduler].format(id=number).partition(" ")
    return f"{option} {quote(value)}" if value else quote(option)


def submit(
    scheduler: str,
    file: str,
    *,
    after: list[str] | None = None,
    share: int | None = None,
) -> str:
    """Submit a script from the current folder; give the job's number.

    Raises:
        JobScriptError: there is no such scheduler here, or it refuses.
    """
    command = _command(scheduler, file, after or [], share)
    with open(file, "rb") as script:
        said = _said(command, script if scheduler == "lsf" else None, scheduler)
    found = re.search(_NUMBER[scheduler], said.strip(), re.MULTILINE)
    if found is None:
        msg = f"'{join(command)}' names no job: {said.strip() or 'it says nothing'}"
        raise JobScriptError(msg)
    return str(found[1])


def _command(
    scheduler: str, file: str, after: list[str], share: int | None
) -> list[str]:
    waiting = [
        word
        for number in after
        for word in _AFTER[scheduler].format(id=number).split(" ", 1)
    ]
    if share is not None:
        waiting.append(f"--env=EXPERIMENTER_SHARE={share}")
    return [*_SUBMIT[scheduler], *waiting, *([] if scheduler == "lsf" else [file])]


def _said(command: list[str], script: IO[bytes] | None, scheduler: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a scheduler's own command
            command,
            stdin=script or subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        msg = (
            f"no {command[0]} here, so no {name_of(scheduler)}: submit where there is "
            "one, on a login node"
        )
        raise JobScriptError(msg) from None
    except subprocess.TimeoutExpired:
        msg = f"'{join(command)}' did not answer in {ANSWER_SECONDS} s: try it by hand"
        raise JobScriptError(msg) from None
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()
        msg = f"'{join(command)}' refuses: {words or f'exit code {done.returncode}'}"
        raise JobScriptError(msg)
    return done.stdout

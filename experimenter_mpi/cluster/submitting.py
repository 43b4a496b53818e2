"""Submit job scripts, and say how to follow what was submitted."""

from __future__ import annotations

import re
from shlex import join, quote
from typing import TYPE_CHECKING

from ..errors import JobScriptError
from .commands import asked
from .schedulers import described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .schedulers.description import Commands

# A scheduler that is busy may take its time over a submission.


def following(scheduler: str, numbers: list[str]) -> list[tuple[str, str]]:
    """Return what one may want to do with submitted jobs, and the command for it."""
    if not numbers:
        return []
    quoted = [quote(number) for number in numbers]
    commands = described(scheduler).commands
    return [
        ("follow it", f"{commands.follow} {commands.between.join(quoted)}"),
        ("end it", f"{commands.cancel} {' '.join(quoted)}"),
    ]


def by_hand(
    scheduler: str,
    file: str,
    *,
    after: Sequence[str] = (),
    shares: int | None = None,
) -> str:
    """Return the shell command that submits a script, for a reader to type.

    ``after`` are the jobs that must have ended before; ``shares`` how many times Flux,
    which knows no arrays, is given the script.
    """
    commands = described(scheduler).commands
    words = [word for word in commands.submit if not word.startswith("-")]
    words += map(quote, commands.after(after) if after else ())
    if shares is not None and commands.submits_tasks is not None:
        line = " ".join([*words, '--env="EXPERIMENTER_SHARE=$k"', quote(file)])
        return commands.submits_tasks.format(shares=shares, line=line)
    return f"{' '.join(words)}{' <' if commands.reads_input else ''} {quote(file)}"


def submit(
    scheduler: str,
    file: str,
    *,
    after: Sequence[str] = (),
    share: int | None = None,
) -> str:
    """Submit a script from the current folder; give the job's number.

    Raises:
        JobScriptError: there is no such scheduler here, or it refuses.
    """
    commands = described(scheduler).commands
    command = _command(commands, file, after, share)
    with open(file, "rb") as script:
        said = asked(command, script if commands.reads_input else None)
    found = re.search(commands.number, said.strip(), re.MULTILINE)
    if found is None:
        msg = (
            f"'{join(command)}' printed no job id: "
            f"{said.strip() or 'it printed nothing'}"
        )
        raise JobScriptError(msg)
    return str(found[1])


def _command(
    commands: Commands, file: str, after: Sequence[str], share: int | None
) -> list[str]:
    waiting = commands.after(after) if after else []
    if share is not None:
        waiting.append(f"--env=EXPERIMENTER_SHARE={share}")
    return [*commands.submit, *waiting, *([] if commands.reads_input else [file])]

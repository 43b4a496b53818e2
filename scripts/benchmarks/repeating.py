"""Run contenders in turn, again and again, so that each meets the same noise."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from .figures import Series
from .launching import ProgramError


class Contender(NamedTuple):
    """One of those compared: ``run`` gives trials and seconds, or raises ProgramError.

    ``keeps`` says what of each trial is kept, and where.
    """

    name: str
    keeps: str
    run: Callable[[], dict[str, Any]]


def rates(contenders: Sequence[Contender], repeats: int) -> dict[str, Series]:
    """Give trials per second of each contender, one round after the other.

    Who fails once is not tried again.
    """
    found = {each.name: Series() for each in contenders}
    for turn in range(repeats):
        for each in contenders:
            series = found[each.name]
            if series.error is not None:
                continue
            progress(f"{each.name}, {turn + 1} of {repeats}")
            try:
                figures = each.run()
            except ProgramError as error:
                series.error = str(error)
                progress(f"{each.name}: {error}")
            else:
                series.values.append(figures["trials"] / figures["seconds"])
                if figures["exit_code"]:
                    series.bad_ends.append(figures["exit_code"])
    return found


def progress(line: str) -> None:
    """Say on standard error what is being measured."""
    print(f"benchmark: {line}", file=sys.stderr, flush=True)

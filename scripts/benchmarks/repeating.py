"""Run contenders in turn, again and again, so that each meets the same noise."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from .figures import Series, number
from .launching import ProgramError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Figures = dict[str, Any]


class Contender(NamedTuple):
    """One of those compared: ``run`` gives trials and seconds, or raises ProgramError.

    ``keeps`` says what of each trial is kept, and where.
    """

    name: str
    keeps: str
    run: Callable[[], Figures]


def rates(contenders: Sequence[Contender], repeats: int) -> dict[str, Series]:
    """Return trials per second of each contender, one round after the other."""
    found = {each.name: Series(each.name, "/s") for each in contenders}
    for _ in range(repeats):
        for each in contenders:
            again(found[each.name], each.run, rate)
    return found


def rate(figures: Figures) -> float:
    """Return trials per second."""
    return float(figures["trials"] / figures["seconds"])


def again(
    series: Series, run: Callable[[], Figures], value: Callable[[Figures], float]
) -> Figures:
    """Measure once more; who failed once is not tried again.

    Returns all figures, none where it failed.
    """
    if series.error is not None:
        return {}
    try:
        figures = run()
    except ProgramError as error:
        series.error = str(error)
        progress(f"{series.name}: {error}")
        return {}
    series.values.append(value(figures))
    if figures.get("exit_code"):
        code = figures["exit_code"]
        series.remarks.append(f"gave its figures, then ended with exit code {code}")
    if figures.get("remark"):
        series.remarks.append(figures["remark"])
    progress(f"{series.name}: {number(series.values[-1])}{series.unit}")
    return figures


def progress(line: str) -> None:
    """Say on standard error what is being measured."""
    print(f"benchmark: {line}", file=sys.stderr, flush=True)

"""Which task of a job array this is, by the variables of its scheduler.

Tasks have indices that the user chose. Where the number of tasks is given, indices are
those of an array that has all of them: 0 to N-1 under Slurm, PBS and Flux, 1 to N
under Grid Engine and LSF, which know no 0. So a task that is submitted again alone is
still the same task, whatever its scheduler says of the array it then is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from .schedulers import SCHEDULERS, described

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .schedulers.description import TaskVariables


def place(environment: Mapping[str, str], count: int | None = None) -> tuple[int, int]:
    """Return which task this is, from 1, and of how many; ``count`` if it is known.

    Raises:
        ConfigurationError: this is no task of an array, or its variables do not tell
            how many there are.
    """
    kind, index = _task(environment)
    if count is not None:
        return _place_among(kind, index, count)
    first = _number(environment, kind.first)
    first = kind.begins if first is None else first
    step = _number(environment, kind.step) or 1
    last = _number(environment, kind.last)
    if last is None:
        msg = (
            f"{kind.variable}={index} does not say how many tasks the array has: use "
            f"auto/N, where its indices are {kind.begins} to {_end(kind, 'N')}"
        )
        raise ConfigurationError(msg)
    number, total = (index - first) // step + 1, (last - first) // step + 1
    told = _number(environment, kind.tasks) or total
    irregular = told != total or (index - first) % step or not 1 <= number <= total
    if irregular:
        msg = (
            f"the job array's indices are not regular (task {index}, {told} tasks "
            f"from {first} to {last}): use auto/N, where the indices of all N tasks "
            f"are {kind.begins} to {_end(kind, 'N')}"
        )
        raise ConfigurationError(msg)
    return number, total


def _task(environment: Mapping[str, str]) -> tuple[TaskVariables, int]:
    kinds = [described(scheduler).variables.task for scheduler in SCHEDULERS]
    for kind in kinds:
        index = _number(environment, kind.variable)
        # LSF says 0, and Grid Engine "undefined", where there is no array.
        if index is not None and index >= kind.begins:
            return kind, index
    names = ", ".join(kind.variable for kind in kinds)
    msg = (
        f"this is not a task of a job array (none of {names} is set): name the share, "
        "as in 2/8"
    )
    raise ConfigurationError(msg)


def _place_among(kind: TaskVariables, index: int, count: int) -> tuple[int, int]:
    number = index - kind.begins + 1
    if number > count:
        msg = (
            f"{kind.variable}={index} is not one of {count} tasks: with auto/{count} "
            f"the array's indices must be {kind.begins} to {_end(kind, count)}"
        )
        raise ConfigurationError(msg)
    return number, count


def _end(kind: TaskVariables, count: int | str) -> str:
    """Return the last index of an array of so many tasks."""
    if isinstance(count, int):
        return str(count - 1 + kind.begins)
    return count if kind.begins else f"{count}-1"


def _number(environment: Mapping[str, str], variable: str) -> int | None:
    text = environment.get(variable, "")
    return int(text) if text.isdecimal() else None

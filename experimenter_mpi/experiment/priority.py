"""Which trials are handed out first. Their numbers stay what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .experiment import Experiment


def by_priority(experiment: Experiment, pending: Iterable[range]) -> Any:
    """Return the same trials, those of a higher priority first, as ranges.

    Equal ones stay in the order of their numbers.

    Raises:
        ConfigurationError: the function failed, or gave what cannot be compared.
    """
    if experiment.priority is None:
        return pending
    ranges: dict[Any, list[range]] = {}
    for index in (index for piece in pending for index in piece):
        mine = ranges.setdefault(_priority(experiment, index), [])
        if mine and mine[-1].stop == index:
            mine[-1] = range(mine[-1].start, index + 1)
        else:
            mine.append(range(index, index + 1))
    order = sorted(ranges, reverse=True)
    return [piece for priority in order for piece in ranges[priority]]


def _priority(experiment: Experiment, index: int) -> float:
    function: Any = experiment.priority
    try:
        return float(function(experiment[index].configuration))
    except Exception as error:
        msg = (
            f"experiment '{experiment.name}': priority= failed for trial {index}: "
            f"{type(error).__name__}: {error}"
        )
        raise ConfigurationError(msg) from error

"""Which trials a run is to run, of those that the database has not finished."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..coordination.pending import Ranges, among
from ..errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..database.session import Session
    from ..experiment.experiment import Experiment
    from ..experiment.share import Share
    from .summary import Options

SUSPECTS_NAMED = 5


def selected(
    experiment: Experiment, session: Session, options: Options, fatal: list[int]
) -> Ranges | list[range]:
    """Return the trials that this run is to run, as ranges of indices."""
    ranges = session.trials.unfinished(
        experiment.id, retry_failed=options.retry_failed, share=options.share
    )
    if options.only is None:
        return ranges
    require_trials(experiment, options.only)
    wanted = sorted(only_chosen(ranges, options.only, fatal))
    return [range(index, index + 1) for index in wanted]


def only_chosen(
    ranges: Iterable[range], chosen: Iterable[int], fatal: Iterable[int]
) -> set[int]:
    """Return which of the chosen trials run: those that are left to run, and ``fatal``.

    Those failed by deaths, and run only when they are chosen.
    """
    return among(ranges, chosen) | {*chosen} & {*fatal}


def require_trials(experiment: Experiment, chosen: Iterable[int]) -> None:
    """Refuse indices of trials that the experiment has not.

    Raises:
        ConfigurationError: says which.
    """
    beyond = max(chosen, default=0)
    if beyond >= experiment.size:
        msg = (
            f"experiment '{experiment.name}' has trials 0 to {experiment.size - 1}, "
            f"not {beyond}"
        )
        raise ConfigurationError(msg)
    aside = [i for i in chosen if not any(i in piece for piece in experiment.asked)]
    if aside:
        msg = (
            f"trial {min(aside)} of '{experiment.name}' is set aside: it is not asked "
            "for any more; put its values back and run with --extend"
        )
        raise ConfigurationError(msg)


def of_share(share: Share | None, indices: Iterable[int]) -> list[int]:
    """Return those of the indices that are in the share, all if there is none."""
    if share is None:
        return list(indices)
    ranges = share.of(range(index, index + 1) for index in indices)
    return [index for piece in ranges for index in piece]


def notice_of_suspects(suspects: Iterable[int], options: Options) -> str | None:
    """Report which of the trials to run ran when ranks died, and what to do."""
    mine, only = of_share(options.share, suspects), options.only
    again = [index for index in mine if only is None or index in only]
    if not again:
        return None
    named = ", ".join(map(str, again[:SUSPECTS_NAMED]))
    more = ", ..." if len(again) > SUSPECTS_NAMED else ""
    who = f"trial {named}" if len(again) == 1 else f"trials {named}{more}"
    return (
        f"{who} ran when the job or a rank died; with --isolate, a crash is one "
        "failed trial"
    )

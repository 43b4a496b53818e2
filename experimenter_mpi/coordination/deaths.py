"""What is recorded and said of a rank that died, and of the trial that it ran."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ..errors import RankDiedError
from ..trial.outcome import Entry, Failure, Outcome, Place, Status

if TYPE_CHECKING:
    from .dispatch import Blame


def entry_of(index: int, place: Place) -> Entry:
    """Return the failure of a trial for which this was one death too many."""
    message = (
        f"its rank died twice while it ran, the last time rank {place.rank} on "
        f"{place.hostname}"
    )
    failure = Failure(RankDiedError.__name__, message, "")
    now = time.time()
    return Entry(Outcome(index, Status.FAILED, None, failure, now, now, 0.0), place)


def news(rank: int, place: Place | None, blame: Blame | None, left: int) -> str:
    """Return the line that says that a rank died, of what, and how many are left."""
    where = f"rank {rank}" + (f" on {place.hostname}" if place else "")
    running, fatal = (blame.indices, blame.fatal) if blame else ((), ())
    others = f"{left} workers continue" if left > 1 else "1 worker continues"
    if not left:
        others = "no worker is left"
    if fatal:
        what = f" while it ran trial {fatal[0]}, for the second time: the trial failed"
    elif len(running) == 1:
        what = f" while it ran trial {running[0]}, which will be retried once"
    elif running:
        what = f" with {len(running)} trials, which will be retried one by one"
    else:
        what = ""
    return f"{where} died{what}; {others}"

"""How submitted jobs are: queued, running or ended, as their scheduler says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .commands import asked
from .schedulers import described

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .schedulers.description import Listing

QUEUED, RUNNING, ENDED = "queued", "running", "ended"


def states(scheduler: str, jobs: Sequence[str]) -> dict[str, str]:
    """Return the state of each job; one that the scheduler has forgotten has ended.

    An array is running while one of its tasks runs, and queued while none of them runs
    and one waits.

    Raises:
        JobScriptError: there is no such scheduler here, or it does not answer.
    """
    listing = described(scheduler).listing
    found = re.findall(
        listing.pattern, _listed(listing, jobs), re.MULTILINE | re.DOTALL
    )
    told: dict[str, set[str]] = {_key(job): set() for job in jobs}
    for job, word in found:
        if _key(job) in told:
            told[_key(job)].add(_state(listing, word))
    order = (RUNNING, QUEUED, ENDED)
    return {
        job: next((each for each in order if each in told[_key(job)]), ENDED)
        for job in jobs
    }


def _key(job: str) -> str:
    """Return a job's number without Flux's first letter, which is f or ƒ by locale."""
    return re.sub("^[ƒf]", "", job)


def _state(listing: Listing, word: str) -> str:
    if re.fullmatch(listing.ended, word):
        return ENDED
    return QUEUED if re.fullmatch(listing.queued, word) else RUNNING


def _listed(listing: Listing, jobs: Sequence[str]) -> str:
    return asked(listing.command(jobs), forgiven=listing.forgotten)

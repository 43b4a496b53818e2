"""The first lines of a job script, which its scheduler reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .schedulers import described

if TYPE_CHECKING:
    from .job import Job


def head(job: Job) -> list[str]:
    """Return the lines of directives, those that are only proposed commented out."""
    words = described(job.scheduler).script
    first = words.keeps_first
    leads = [
        first is not None and option.startswith(first) for option in job.directives
    ]
    given = list(zip(leads, job.directives, strict=True))
    options = [option for leading, option in given if leading]
    options += words.directives(job)
    options += [option for leading, option in given if not leading]
    asked = [f"{words.sign} {option}" for option in options]
    proposed = [
        words.commented.format(option=option)
        for attribute, option in words.proposed
        if attribute is None or getattr(job, attribute) is None
    ]
    return asked + proposed

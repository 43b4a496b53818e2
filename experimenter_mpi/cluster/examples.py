"""The files in jobs/: what ``render`` gives for jobs of which little was asked."""

from __future__ import annotations

from .job import Job
from .render import render, render_merge
from .schedulers import SCHEDULERS

# What each file asks for beyond the defaults; merge.sh follows array.sh.
_ASKED = {
    "run": {},
    "resume": {"resume": True},
    "array": {"array": 8},
    "fault-tolerant": {"fault_tolerant": True, "library": "openmpi"},
}


def examples() -> dict[str, str]:
    """Return path, seen from jobs/, and text of every file."""
    texts = {}
    for scheduler in SCHEDULERS:
        for kind, asked in _ASKED.items():
            job = Job(scheduler=scheduler, file=f"{kind}.sh", **asked)  # type: ignore[arg-type]
            texts[f"{scheduler}/{kind}.sh"] = render(job)
        merged = Job(scheduler=scheduler, file="array.sh", array=8)
        texts[f"{scheduler}/merge.sh"] = render_merge(merged, "merge.sh")
    return texts

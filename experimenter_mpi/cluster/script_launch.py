"""The part of a job script that starts ranks, and what else would start them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import JobScriptError
from .launch_lines import LIBRARIES, LaunchLine, launch_lines

if TYPE_CHECKING:
    from .job import Job

_RANKS = '"$ranks"'
_TITLE = "# ---- Launch " + "-" * 69
_CALLED = {
    "mpich": "MPICH",
    "openmpi": "Open MPI",
    "intel": "Intel MPI",
    "cray": "Cray MPICH",
}


_PREFERRED = {"flux": "flux run"}


def launching(job: Job) -> str:
    """Return the function ``launch``: the ranks' program and its arguments follow it.

    Raises:
        JobScriptError: the library cannot be started that way there.
    """
    line = chosen(job)
    return "\n".join(
        [
            _TITLE,
            f"launch() {{ # {_CALLED[job.library]}",
            "    trap '' USR1 USR2 # until they are heeded; some launchers end of USR2",
            *(f"    {text}" for text in line.setup),
            f'    exec {line.text} "$@"',
            "}",
            *_others(job, line),
        ]
    )


def chosen(job: Job) -> LaunchLine:
    """Return the line for a job: that of mpiexec, which belongs to its library.

    The scheduler's own launcher depends on plugins that a site may lack, and starts
    worlds of one where library and plugin do not belong together. But under Flux
    mpiexec knows the first node only.
    """
    lines = _lines(job, job.library)
    preferred = job.launcher or _PREFERRED.get(job.scheduler, "mpiexec")
    fits = [line for line in lines if line.launcher == preferred]
    if not fits and job.launcher is not None:
        known = ", ".join(sorted({line.launcher for line in lines}))
        msg = f"{_CALLED[job.library]} is started there by {known}, not {job.launcher}"
        raise JobScriptError(msg)
    return (fits or lines)[0]


def _lines(job: Job, library: str) -> list[LaunchLine]:
    lines = launch_lines(
        library, job.scheduler, _RANKS, survive_deaths=job.fault_tolerant
    )
    asked = ["flux run"]
    if job.cpus_per_rank > 1:
        asked.append(f"--cores-per-task={job.cpus_per_rank}")
    if job.gpus_per_rank is not None:
        asked.append(f"--gpus-per-task={job.gpus_per_rank}")
    run = " ".join(asked)
    return [line._replace(text=line.text.replace("flux run", run)) for line in lines]


def _others(job: Job, taken: LaunchLine) -> list[str]:
    """Return what else may be put there, as comments."""
    found = [
        (line, library)
        for library in LIBRARIES
        for line in _lines(job, library)
        if line != taken
    ]
    seen: dict[LaunchLine, list[str]] = {}
    for line, library in found:
        seen.setdefault(line, []).append(_CALLED[library])
    if not seen:
        return []
    said = ["# Instead of that line, if your MPI is another:"]
    for line, libraries in seen.items():
        said += [f"#     {text}" for text in line.setup]
        said.append(f'#     exec {line.text} "$@" # {", ".join(libraries)}')
    return said

"""Which directives each scheduler knows, as strictly as templates need them."""

from __future__ import annotations

import re

_NAME = r"[A-Za-z][\w.-]*"
_TIME = r"\d\d+:[0-5]\d:[0-5]\d"
_LOG = r'(?:[\w./$%{}-]+|"[\w ./$%{}-]+")'
_SOME = r"[1-9]\d*"

SIGNS = {
    "slurm": "#SBATCH ",
    "pbs": "#PBS ",
    "sge": "#$ ",
    "lsf": "#BSUB ",
    "flux": "# flux: ",
}
KNOWN = {
    "slurm": (
        rf"--job-name={_NAME}",
        rf"--(?:nodes|ntasks|cpus-per-task)={_SOME}",
        rf"--time={_TIME}",
        rf"--output={_LOG}",
        r"--(?:partition|account)=\S+",
        rf"--array=1-{_SOME}",
        rf"--signal=B:USR1@{_SOME}",
        r"--requeue",
        r"--open-mode=append",
    ),
    "pbs": (
        rf"-N {_NAME}",
        rf"-l select={_SOME}:ncpus={_SOME}:mpiprocs={_SOME}",
        r"-l place=(?:free|scatter)",
        rf"-l walltime={_TIME}",
        r"-j oe",
        r"-k oed",
        rf"-o {_LOG}",
        r"-[qA] \S+",
        rf"-J 1-{_SOME}",
        r"-r y",
    ),
    "sge": (
        r"-S /bin/bash",
        r"-cwd",
        rf"-N {_NAME}",
        rf"-pe \S+ {_SOME}",
        rf"-l h_rt={_TIME}",
        r"-j y",
        rf"-o {_LOG}",
        r"-[qP] \S+",
        rf"-t 1-{_SOME}",
        r"-notify",
        r"-r y",
    ),
    "lsf": (
        rf'-J "{_NAME}(?:\[1-{_SOME}\])?"',
        rf"-n {_SOME}",
        rf'-R "span\[ptile={_SOME}\]"',
        rf'-R "affinity\[core\({_SOME}\)\]"',
        rf"-W {_SOME}",
        rf"-o {_LOG}",
        r"-[qP] \S+",
        r"-wa USR1",
        rf"-wt {_SOME}",
        r'-Q "75"',
        r"-r",
    ),
    "flux": (
        rf"--job-name={_NAME}",
        rf"--(?:nodes|nslots|cores-per-slot)={_SOME}",
        rf"--time-limit={_SOME}m",
        rf"--output={_LOG}",
        r"--(?:queue|bank)=\S+",
        r"# .*",
    ),
}


def directives(scheduler: str, script: str) -> list[str]:
    """Return the options that a scheduler reads: those before any command."""
    found = []
    for line in script.splitlines():
        if line.startswith(SIGNS[scheduler]):
            found.append(line[len(SIGNS[scheduler]) :])
        elif line and not line.startswith("#"):
            break
    return found


def unknown(scheduler: str, script: str) -> list[str]:
    """Return the directives that are none."""
    return [
        line
        for line in directives(scheduler, script)
        if not any(re.fullmatch(known, line) for known in KNOWN[scheduler])
    ]

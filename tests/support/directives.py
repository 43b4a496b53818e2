"""Which directives each scheduler knows, as strictly as templates need them."""

from __future__ import annotations

import re

_NAME = r"[A-Za-z][\w.-]*"
_TIME = r"\d\d+:[0-5]\d:[0-5]\d"
_LOG = r'(?:[\w./$%{}-]+|"[\w ./$%{}-]+")'
_SOME = r"[1-9]\d*"
_MORE = rf"(?::mem={_SOME}mb)?(?::ngpus={_SOME})?"

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
        rf"--array=1-{_SOME}(?:%{_SOME})?",
        rf"--mem-per-cpu={_SOME}M",
        rf"--gpus-per-task={_SOME}",
        r"--exclusive",
        r"--mail-user=\S+",
        r"--mail-type=END,FAIL",
        rf"--signal=B:USR1@{_SOME}",
        r"--requeue",
        r"--open-mode=append",
    ),
    "pbs": (
        rf"-N {_NAME}",
        rf"-l select={_SOME}:ncpus={_SOME}:mpiprocs={_SOME}{_MORE}",
        r"-l place=(?:free|scatter)(?::excl)?",
        r"-M \S+",
        r"-m ae",
        rf"-l walltime={_TIME}",
        r"-j oe",
        r"-k oed",
        rf"-o {_LOG}",
        r"-[qA] \S+",
        rf"-J 1-{_SOME}(?:%{_SOME})?",
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
        rf"-tc {_SOME}",
        rf"-l h_vmem={_SOME}M",
        r"-l exclusive=true",
        r"-M \S+",
        r"-m ae",
        r"-notify",
        r"-r y",
    ),
    "lsf": (
        rf'-J "{_NAME}(?:\[1-{_SOME}\](?:%{_SOME})?)?"',
        rf'-R "rusage\[mem={_SOME}MB/task\]"',
        rf'-gpu "num={_SOME}/task"',
        r"-x",
        r"-u \S+",
        r"-N",
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
        rf"--(?:nodes|nslots|cores-per-slot|gpus-per-slot)={_SOME}",
        r"--exclusive",
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

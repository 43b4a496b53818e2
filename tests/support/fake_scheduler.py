"""Play a scheduler whose real one is not to be had: take a script, and run it.

Installed under the names of the scheduler's commands, in a folder that comes first on
PATH. A directive that is none is refused; the job then runs at once, with the variables
that the scheduler would set, and what would start it again does. JOB_SHELL is the
script's own process, for trials that play the scheduler's signal.

It proves that a script is understood as its manual says, not that a real one agrees.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.directives import directives, unknown

MOST_RUNS = 9


def main() -> int:
    folder = Path(__file__).resolve().parent
    program, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with (folder / "asked.txt").open("a") as log:
        log.write(shlex.join([program, *arguments]) + "\n")
    scheduler = {"qsub": "pbs", "bsub": "lsf", "flux": "flux"}[program]
    script = sys.stdin.read() if scheduler == "lsf" else Path(arguments[-1]).read_text()
    wrong = unknown(scheduler, script)
    if wrong:
        print(f"no such directive: {wrong[0]}", file=sys.stderr)
        return 1
    number = len((folder / "asked.txt").read_text().splitlines())
    env = {**os.environ, **_handed_on(arguments), **VARIABLES[scheduler](number)}
    _say(scheduler, number)
    options = directives(scheduler, script)
    for task in _tasks(options):
        _run(script, {**env, **_index(scheduler, task)}, _requeue(options))
    return 0


def _say(scheduler: str, number: int) -> None:
    said = {"pbs": f"{number}.server", "lsf": f"Job <{number}> is submitted to queue."}
    print(said.get(scheduler, f"f{number}"), flush=True)


def _handed_on(arguments: list[str]) -> dict[str, str]:
    """Return the variables that `qsub -v` and `flux batch --env=` set."""
    given = [a.removeprefix("--env=") for a in arguments if a.startswith("--env=")]
    if "-v" in arguments:
        given.append(arguments[arguments.index("-v") + 1])
    return dict(pair.split("=", 1) for pair in given)


def _pbs(number: int) -> dict[str, str]:
    nodes = Path(__file__).resolve().parent / "nodes.txt"
    nodes.write_text("localhost\n" * 3)
    return {
        "PBS_JOBID": f"{number}.server",
        "PBS_JOBNAME": "fake",
        "PBS_NODEFILE": str(nodes),
        "PBS_O_WORKDIR": os.getcwd(),
    }


def _lsf(number: int) -> dict[str, str]:
    return {
        "LSB_JOBID": str(number),
        "LSB_JOBNAME": "fake",
        "LSB_JOBINDEX": "0",
        "LSB_DJOB_NUMPROC": "3",
        "LS_SUBCWD": os.getcwd(),
    }


def _flux(number: int) -> dict[str, str]:
    return {"FLUX_ENCLOSING_ID": f"f{number}"}


VARIABLES = {"pbs": _pbs, "lsf": _lsf, "flux": _flux}


def _tasks(options: list[str]) -> list[int | None]:
    for option in options:
        if found := re.search(r"(?:^-J 1-|\[1-)(\d+)", option):
            return list(range(1, int(found[1]) + 1))
    return [None]


def _index(scheduler: str, task: int | None) -> dict[str, str]:
    if task is None:
        return {}
    return {{"pbs": "PBS_ARRAY_INDEX", "lsf": "LSB_JOBINDEX"}[scheduler]: str(task)}


def _requeue(options: list[str]) -> int | None:
    return 75 if '-Q "75"' in options else None


def _run(script: str, env: dict[str, str], again: int | None) -> None:
    """Run the job, as often as its exit code asks for it, and keep what it says."""
    output = Path(__file__).resolve().parent / "output.txt"
    for _ in range(MOST_RUNS):
        with output.open("a") as file:
            done = subprocess.run(
                ["bash", "-c", f"export JOB_SHELL=$$\n{script}"],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
            file.write(f"ended with {done.returncode}\n")
        if done.returncode != again:
            break


if __name__ == "__main__":
    sys.exit(main())

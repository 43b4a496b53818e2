"""Play a scheduler whose real one is not to be had: take a script, and run it.

Installed under the names of the scheduler's commands, in a folder that comes first on
PATH. A directive that is none is refused; the job then runs at once, with the variables
that the scheduler would set, and what would start it again does. JOB_SHELL is the
script's own process, for trials that play the scheduler's signal.

It proves that a script is understood as its manual says, not that a real one agrees.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.directives import directives, unknown

MOST_RUNS = 9
FOLDER = Path(__file__).resolve().parent
# What a job finds in its environment though it was not handed on: the login shell's
# own, and what keeps a test's processes together.
_EVERYWHERE = ("HOME", "LANG", "PATH", "EXPERIMENTER_TEST_LAUNCH")
_OF_LIBRARIES = ("PYTHON", "OMP_", "OMPI_", "PRTE_")


def main() -> int:
    program, arguments = Path(sys.argv[0]).name, sys.argv[1:]
    with (FOLDER / "asked.txt").open("a") as log:
        log.write(shlex.join([program, *arguments]) + "\n")
    if program == "flux":
        return _flux_command(arguments)
    if program == "qstat":
        print((FOLDER / arguments[-1]).read_text())
        return 0
    scheduler = {"qsub": "pbs", "bsub": "lsf"}[program]
    script = sys.stdin.read() if scheduler == "lsf" else Path(arguments[-1]).read_text()
    env = dict(os.environ)
    if scheduler == "pbs":
        given = _variables(arguments)
        env = {k: v for k, v in env.items() if _is_everywhere(k)} | given
    number = _number()
    if scheduler == "pbs":
        _keep(f"{number}.server", arguments, given)
    return _start(scheduler, script, {**env, **VARIABLES[scheduler](number)}, number)


def _start(scheduler: str, script: str, env: dict[str, str], number: int) -> int:
    """Run a job that was submitted, unless it asks for what there is not."""
    wrong = unknown(scheduler, script)
    if wrong:
        print(f"no such directive: {wrong[0]}", file=sys.stderr)
        return 1
    said = {"pbs": f"{number}.server", "lsf": f"Job <{number}> is submitted to queue."}
    print(said.get(scheduler, f"f{number}"), flush=True)
    options = directives(scheduler, script)
    for task in _tasks(options):
        _run(script, {**env, **_index(scheduler, task)}, _requeue(options))
    return 0


def _number() -> int:
    return len((FOLDER / "asked.txt").read_text().splitlines())


# --- PBS hands on what `-v` names, and keeps how a job was submitted


def _is_everywhere(name: str) -> bool:
    return name in _EVERYWHERE or name.startswith(_OF_LIBRARIES)


def _variables(arguments: list[str]) -> dict[str, str]:
    """Return what the last `-v` hands on: values, or names of this environment."""
    given = [arguments[n + 1] for n, word in enumerate(arguments) if word == "-v"]
    pairs = [piece.partition("=") for piece in given[-1].split(",")] if given else []
    return {name: value if sign else os.environ[name] for name, sign, value in pairs}


def _keep(name: str, arguments: list[str], given: dict[str, str]) -> None:
    """Write what `qstat -f` says of a job, broken as it breaks lines."""
    values = {"PBS_O_HOME": "/home/me", "PBS_O_WORKDIR": os.getcwd(), **given}
    pairs = (f"{n}={v}".replace(",", "\\,") for n, v in values.items())
    (FOLDER / name).write_text(
        f"Job Id: {name}\n    Job_Name = fake\n    Variable_List = "
        + ",\n\t".join(pairs)
        + f"\n    Submit_arguments = {' '.join(arguments)}\n"
    )


# --- Flux hands on the whole environment, and keeps a job's specification


def _flux_command(arguments: list[str]) -> int:
    words = [word for word in arguments if word != "--parent"]
    if words[0] == "run":
        command = [word for word in words[1:] if word not in ("-o", "pmi=pmix")]
        os.execvp("mpiexec", ["mpiexec", *command])  # noqa: S606
    if words[0] == "jobs":
        print(16)
        return 0
    if words[:2] == ["job", "info"]:
        print((FOLDER / words[-2]).read_text())
        return 0
    if words[:2] == ["job", "submit"]:
        return _flux_start(json.load(sys.stdin))
    own = [word.removeprefix("--env=") for word in words if word.startswith("--env=")]
    given = dict(pair.split("=", 1) for pair in own)
    system = {
        "environment": {**os.environ, **given},
        "dependencies": [{"scheme": "afterany", "value": "f0"}],
        "queue": next((w for w in words if w.startswith("--queue=")), ""),
        "files": {"script": {"data": Path(words[-1]).read_text()}},
    }
    return _flux_start({"version": 1, "attributes": {"system": system}})


def _flux_start(specification: dict[str, Any]) -> int:
    number = _number()
    (FOLDER / f"f{number}").write_text(json.dumps(specification))
    system = specification["attributes"]["system"]
    env = {**system["environment"], **_flux(number)}
    return _start("flux", system["files"]["script"]["data"], env, number)


def _pbs(number: int) -> dict[str, str]:
    nodes = FOLDER / "nodes.txt"
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
    output = FOLDER / "output.txt"
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

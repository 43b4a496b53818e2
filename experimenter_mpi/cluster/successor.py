"""Submit a job again as it was submitted, where no job can be requeued.

The job script of a chain of runs calls this on its node, with its scheduler, the folder
it was submitted in, its file, and the database::

    python -m experimenter_mpi.cluster.successor pbs FOLDER FILE DATABASE

The successor gets the options and variables that the job was submitted with, and
``EXPERIMENTER_CHAIN`` from this process's environment. What the scheduler prints, and
how its command ends, is what this one prints and how it ends.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from typing import Any

from . import job_records

# The name of the chain, which each of its jobs hands on to the next.
CHAIN = "EXPERIMENTER_CHAIN"
ANSWER_SECONDS = 60

# The options of qsub that take a value, and those that do not.
_WITH_VALUE = "aAcCeJjklmMNoOpPqrRSuvW"
_ALONE = "fhGIVXz"
# What belongs to one submission alone. Variables are handed on by their names.
_ONCE = "ahIvVz"
_ONCE_OF_W = ("depend=", "block=")
# Set anew for each job.
_OWN_VARIABLES = re.compile(r"PBS_\w*|TMPDIR|NCPUS")


def main(arguments: list[str]) -> int:
    """Submit the successor and return an exit code."""
    scheduler, folder, file, database = arguments
    submit_again, variable = _SCHEDULERS[scheduler]
    try:
        said = submit_again(folder, file)
        sys.stdout.write(said)
        for successor in said.split()[-1:]:
            _note(database, os.environ[variable], successor)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        said = getattr(error, "stderr", None) or f"{type(error).__name__}: {error}"
        sys.stderr.write(f"experimenter_mpi: {said.strip()}\n")
        return 1
    return 0


def _note(database: str, job: str, successor: str) -> None:
    """Note the successor of a job that was noted when it was submitted."""
    with suppress(OSError):  # it is submitted, and known to its scheduler
        known = [record for record in job_records.read(database) if record.job == job]
        for record in known[:1]:
            log = record.log.replace(job, successor)
            after = record._replace(job=successor, log=log, after=job)
            job_records.add(database, [after])


def _said(
    command: list[str],
    given: str = "",
    cwd: str | None = None,
    env: dict[str, str] | None = None,
) -> str:
    """Run a scheduler's command and return what it prints."""
    done = subprocess.run(  # noqa: S603 - a scheduler's own command
        command,
        input=given,
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=ANSWER_SECONDS,
        check=True,
    )
    return done.stdout


# --- PBS


def _pbs(folder: str, file: str) -> str:
    """Repeat the qsub of this job, which the server has kept."""
    told = _attributes(_said(["qstat", "-f", os.environ["PBS_JOBID"]]))
    at_start = environment_at_start(os.getppid())
    names = [n for n in variables_in(told.get("Variable_List", "")) if n in at_start]
    handed = ",".join([*names, CHAIN])
    options = options_in(told.get("Submit_arguments", ""))
    environment = {**os.environ, **{name: at_start[name] for name in names}}
    command = ["qsub", *options, "-v", handed, file]
    return _said(command, cwd=folder, env=environment)


def _attributes(said: str) -> dict[str, str]:
    """Read ``qstat -f``, which breaks long lines and indents what follows."""
    pairs = (line.partition("=") for line in said.replace("\n\t", "").splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def variables_in(listed: str) -> list[str]:
    """Return the names of the variables that a job was submitted with.

    ``listed`` is its Variable_List: ``NAME=value`` with a backslash before each comma
    of a value. Shell functions, whose names are no variables', are left out.
    """
    pieces = re.split(r"(?<!\\),", listed)
    names = (re.match(r"([A-Za-z_]\w*)=", piece) for piece in pieces)
    found = dict.fromkeys(name[1] for name in names if name)
    return [name for name in found if not _OWN_VARIABLES.fullmatch(name)]


def environment_at_start(process: int) -> dict[str, str]:
    """Return the environment that a process was started with.

    The job script has changed its own since, and its successor will change it again.
    """
    with open(f"/proc/{process}/environ", "rb") as file:
        pairs = (os.fsdecode(pair).partition("=") for pair in file.read().split(b"\0"))
        return {name: value for name, _, value in pairs if name}


def options_in(arguments: str) -> list[str]:
    """Return the options of a qsub command that its repetition needs.

    ``arguments`` are the words after ``qsub`` as the server shows them, with a space
    between them. A word that follows a value is part of it, but for the last: the file.
    """
    options: list[list[str]] = []
    words = arguments.split()
    while words and words[0] != "--":
        word = words.pop(0)
        if (letter := _option_of(word)) is None:
            if options and any(map(_option_of, words)):
                options[-1][-1] += f" {word}"
            continue
        options.append([f"-{letter}"])
        rest = word[2:]
        if letter in _ALONE and rest:  # -Vq long
            words.insert(0, f"-{rest}")
        elif letter in _WITH_VALUE and (rest or words):
            options[-1].append(rest or words.pop(0))
    return [word for option in options if _is_kept(option) for word in option]


def _option_of(word: str) -> str | None:
    """Return the letter of an option, None of any other word."""
    is_option = len(word) > 1 and word[0] == "-" and word[1] in _WITH_VALUE + _ALONE
    return word[1] if is_option else None


def _is_kept(option: list[str]) -> bool:
    name, *values = option
    if name == "-W":
        return not "".join(values).startswith(_ONCE_OF_W)
    return name[1] not in _ONCE


# --- Flux


def _flux(_folder: str, _file: str) -> str:
    """Submit the job's own specification, which holds its script and environment."""
    job = os.environ["FLUX_ENCLOSING_ID"]
    specification = again(_specification(job), os.environ[CHAIN])
    command = ["flux", "--parent", "job", "submit", *_urgency(job)]
    return _said(command, json.dumps(specification))


def _specification(job: str) -> dict[str, Any]:
    """Return what the user submitted, without what the instance added to it.

    With what it added where the version of Flux cannot tell the two apart.
    """
    info = ["flux", "--parent", "job", "info"]
    try:
        found: dict[str, Any] = json.loads(_said([*info, "--original", job, "jobspec"]))
    except (subprocess.CalledProcessError, ValueError):
        found = json.loads(_said([*info, job, "jobspec"]))
    return found


def _urgency(job: str) -> list[str]:
    """Return the option for a job's urgency, which its specification does not hold."""
    shown = ""
    with suppress(subprocess.CalledProcessError):
        shown = _said(["flux", "--parent", "jobs", "-no", "{urgency}", job]).strip()
    return [f"--urgency={shown}"] if shown.isdecimal() else []


def again(specification: dict[str, Any], chain: str) -> dict[str, Any]:
    """Return the specification of a job's successor."""
    system = specification["attributes"]["system"]
    system.setdefault("environment", {})[CHAIN] = chain
    system.pop("dependencies", None)  # of jobs that have ended by now
    return specification


_SCHEDULERS = {
    "pbs": (_pbs, "PBS_JOBID"),
    "flux": (_flux, "FLUX_ENCLOSING_ID"),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

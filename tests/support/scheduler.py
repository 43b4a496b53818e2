"""Submit job scripts to a real Slurm or Grid Engine, and see what becomes of them.

A job that does not end is a failed test that shows its output, the scheduler's words
and every rank's stacks; what is left of a test's jobs is cancelled.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol

import pytest

from support import processes
from support.libraries import clean_environment, python_of

if TYPE_CHECKING:
    from collections.abc import Callable

# Daemons poll every second or so, and other work shares the machine.
DEADLINE_SECONDS = 180
_KEPT = ("SLURM_CONF", "SGE_ROOT", "SGE_CELL", "SGE_QMASTER_PORT", "SGE_EXECD_PORT")


SUBMIT = """
from experimenter_mpi import cluster
job = cluster.submit({!r}, {!r}, ranks=3, time="5:00")
assert job.state() in ("queued", "running"), job.state()
print(job.job_id)
"""
# Asks every half second, for two minutes at most.
FOLLOW = """
from experimenter_mpi import cluster
from experimenter_mpi.cluster import job_records
job = cluster.SubmittedJob({0!r}, job_records.read({0!r}))
assert job.wait(timeout=120, poll=0.5), job.state()
assert job.state() == "ended"
print(job.log())
"""


class Scheduler(Protocol):
    """What differs between schedulers, for one that runs here."""

    name: str

    def is_there(self) -> bool: ...
    def prepare(self, folder: Path, env: dict[str, str]) -> None: ...
    def is_over(self, number: str) -> bool: ...
    def exit_codes(self, number: str) -> list[int]: ...
    def cancel(self, number: str) -> None: ...
    def words(self, number: str) -> str: ...


class Slurm:
    """The one that SLURM_CONF names."""

    name = "slurm"

    def is_there(self) -> bool:
        return "EXPERIMENTER_TEST_SLURM" in os.environ

    def prepare(self, folder: Path, env: dict[str, str]) -> None:
        """Leave it to sbatch, which hands the whole environment on."""

    def is_over(self, number: str) -> bool:
        return said("squeue", "--noheader", "--jobs", number, "--format", "%T") == ""

    def exit_codes(self, number: str) -> list[int]:
        """Return the exit code of the last run, of each task of an array."""
        found = re.findall(
            r"\bExitCode=(\d+):", said("scontrol", "show", "job", number)
        )
        return [int(code) for code in found]

    def show(self, number: str) -> dict[str, str]:
        pairs = said("scontrol", "show", "job", number).split()
        return dict(pair.split("=", 1) for pair in pairs if "=" in pair)

    def cancel(self, number: str) -> None:
        said("scancel", number)

    def words(self, number: str) -> str:
        folder = Path(os.environ.get("SLURM_CONF", "")).parent / "log"
        logs = [f"{p}:\n{p.read_text()[-2000:]}" for p in sorted(folder.glob("*.log"))]
        return "\n".join([said("scontrol", "show", "job", number), *logs])


class GridEngine:
    """The one that SGE_ROOT names."""

    name = "sge"

    def is_there(self) -> bool:
        return "EXPERIMENTER_TEST_SGE" in os.environ

    def prepare(self, folder: Path, env: dict[str, str]) -> None:
        """Have qsub hand on what a deadline and Open MPI need, and nothing else."""
        names = (processes.MARK, "PYTHONFAULTHANDLER")
        handed = ",".join(f"{name}={env[name]}" for name in names)
        (folder / ".sge_request").write_text(f"-v {handed}\n")

    def is_over(self, number: str) -> bool:
        # With its queues, so that an answer without jobs is no refusal to answer.
        lines = said("qstat", "-f", "-u", "*").splitlines()
        return bool(lines) and not any(line.split()[:1] == [number] for line in lines)

    def exit_codes(self, number: str) -> list[int]:
        """Return the exit codes of all runs and tasks: the file is written late."""
        found = re.findall(
            r"^exit_status +(\d+)", said("qacct", "-j", number), re.MULTILINE
        )
        return [int(code) for code in found]

    def cancel(self, number: str) -> None:
        said("qdel", number)

    def words(self, number: str) -> str:
        spool = Path(os.environ.get("SGE_ROOT", "")).parent / "spool"
        logs = [
            f"{path}:\n{path.read_text()[-2000:]}"
            for path in (
                spool / "qmaster" / "messages",
                *spool.glob("execd/*/messages"),
            )
            if os.access(path, os.R_OK)
        ]
        return "\n".join(
            [said("qstat", "-j", number), said("qacct", "-j", number), *logs]
        )


def said(*command: str) -> str:
    """Run a scheduler's command; give what it prints, nothing if it refuses."""
    done = subprocess.run(
        command,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout.strip() if done.returncode == 0 else ""


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**clean_environment(), **kept}


@dataclass
class Submitted:
    """A job, or an array with the job that follows it."""

    scheduler: Scheduler
    folder: Path
    numbers: list[str]
    mark: str

    @property
    def number(self) -> str:
        return self.numbers[0]

    @property
    def output(self) -> str:
        paths = sorted((self.folder / "hpc" / "logs").glob("*"))
        return "\n".join(f"{path.name}:\n{path.read_text()}" for path in paths)

    def expect(self, *codes: int) -> Submitted:
        """Wait until all is over, and fail unless the jobs ended with these codes."""
        self.wait_for(lambda: all(map(self.scheduler.is_over, self.numbers)), "the end")

        def found() -> list[int]:
            return [c for n in self.numbers for c in self.scheduler.exit_codes(n)]

        with suppress(TimeoutError):
            _wait(lambda: len(found()) >= len(codes), 15)
        if sorted(codes) != sorted(found()):
            self.fail(f"expected exit codes {codes}, got {found()}")
        return self

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        try:
            _wait(condition, DEADLINE_SECONDS)
        except TimeoutError:
            self.fail(f"waited {DEADLINE_SECONDS} s in vain for {what}")

    def fail(self, reason: str) -> NoReturn:
        """Fail the test with all that could tell why."""
        alive = processes.of_launch(self.mark)
        processes.send([p for p in alive if p.is_python], signal.SIGABRT)
        processes.gone(self.mark, timeout=5, only_python=True)
        pytest.fail(
            f"{reason}\n--- output\n{self.output}\n--- scheduler\n"
            f"{self.scheduler.words(self.number)}",
            pytrace=False,
        )


def _wait(condition: Callable[[], object], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)


@dataclass
class Site:
    """A folder of a user of one scheduler."""

    scheduler: Scheduler
    folder: Path
    _submitted: list[Submitted] = field(default_factory=list)

    def job(self, *arguments: str, library: str = "mpich") -> str:
        """Run `experimenter_mpi job SCHEDULER exp.py ARGUMENTS...`; give its output."""
        return self.run("job", self.scheduler.name, *arguments, library=library)

    def run(self, *arguments: str, library: str = "mpich") -> str:
        """Run `experimenter_mpi ARGUMENTS...` where the user is, outside of any job."""
        command = (str(python_of(library)), "-m", "experimenter_mpi")
        return self._run(*command, *arguments)

    def python(self, code: str) -> str:
        """Run Python code where the user is, outside of any job; give its output."""
        return self._run(str(python_of("mpich")), "-c", code, timeout=200)

    def submit_from_python(self, script: str) -> Submitted:
        """Submit a job by `cluster.submit`."""
        return self._tracked(self.python(SUBMIT.format(self.scheduler.name, script)))

    def submit(self, *arguments: str, library: str = "mpich") -> Submitted:
        """Have `job` submit it."""
        return self._tracked(self.job(*arguments, "--submit", library=library))

    def submit_file(self, file: str) -> Submitted:
        """Submit a script as a user would who has edited it."""
        (self.folder / "hpc" / "logs").mkdir(parents=True, exist_ok=True)
        submit = {"slurm": ("sbatch", "--parsable"), "sge": ("qsub", "-terse")}
        return self._tracked(self._run(*submit[self.scheduler.name], file))

    def _tracked(self, numbers: str) -> Submitted:
        job = Submitted(self.scheduler, self.folder, numbers.split(), self._mark)
        self._submitted.append(job)
        return job

    def _run(self, *command: str, timeout: float = 60) -> str:
        self._mark = uuid.uuid4().hex
        env = {**_environment(), processes.MARK: self._mark}
        self.scheduler.prepare(self.folder, env)
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    def leave(self) -> None:
        """Cancel what is left of the test's jobs, and kill what outlives them."""
        for job in self._submitted:
            for number in job.numbers:
                if not self.scheduler.is_over(number):
                    self.scheduler.cancel(number)
            if not processes.gone(job.mark, timeout=10):
                processes.send(processes.of_launch(job.mark), signal.SIGKILL)

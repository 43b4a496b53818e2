"""Launch a program, under mpiexec or alone, and read what it found."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# A program that takes longer has failed: the whole of it takes ten minutes.
DEADLINE_SECONDS = 120


class ProgramError(Exception):
    """A program gave no figures; says why in one line."""


@dataclass(frozen=True)
class Bench:
    """How to measure: what every case is given."""

    ranks: int = 3
    repeats: int = 3
    quick: bool = False
    folder: Path = ROOT / "build" / "benchmark"

    @property
    def cores(self) -> int:
        """How many processes can compute at once."""
        return len(os.sched_getaffinity(0))

    @property
    def workers(self) -> int:
        return self.ranks - 1

    def count(self, trials: int) -> int:
        """Return how many trials to run: a few of them where nothing is to be said."""
        return max(20, trials // 100) if self.quick else trials

    @cached_property
    def mpiexec(self) -> list[str]:
        """The launcher of this Python's MPI, ready for more ranks than cores."""
        beside = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
        found = beside or shutil.which("mpiexec")
        if found is None:
            sys.exit("benchmark: no mpiexec on PATH")
        version = subprocess.run(
            [found, "--version"],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if "Open MPI" in version.stdout:
            return [found, "--oversubscribe", "--bind-to", "none"]
        return [found]

    def launch(
        self,
        program: str | Path,
        *arguments: object,
        ranks: int | None = None,
        extra: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
        binary: bool = False,
        deadline: float | None = None,
    ) -> dict[str, Any]:
        """Run a program under mpiexec, on all ranks unless told; see ``run``."""
        # With `-m mpi4py` what goes wrong on one rank ends all, instead of a hang.
        start = [] if binary else [sys.executable, *(options or ("-m", "mpi4py"))]
        where = str(program if binary else HERE / program)
        words = self.words(*start, where, *map(str, arguments), ranks=ranks)
        return run(words, extra, deadline=deadline)

    def words(self, *program: str, ranks: int | None = None) -> list[str]:
        """Return the command that runs a program on all ranks, or on so many."""
        count = self.ranks if ranks is None else ranks
        return [*self.mpiexec, "-n", str(count), *program]

    def alone(
        self,
        program: str,
        *arguments: object,
        extra: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Run a program of Python without mpiexec; see ``run``."""
        words = [sys.executable, str(HERE / program), *map(str, arguments)]
        return run(words, extra)

    def in_scratch(
        self, launch: Callable[[Path], dict[str, Any]]
    ) -> Callable[[], dict[str, Any]]:
        """Give ``launch`` a folder of its own each time it is called."""

        def run_there() -> dict[str, Any]:
            with self.scratch() as folder:
                return launch(folder)

        return run_there

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Provide a folder on the disk of this clone for one measurement."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="run-") as name:
            yield Path(name)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment that programs start from."""
    set_up = {**os.environ, "OMP_NUM_THREADS": "1"}
    if os.geteuid() == 0:  # containers, which Open MPI refuses unless told twice
        for name in ("OMPI_ALLOW_RUN_AS_ROOT", "PRTE_ALLOW_RUN_AS_ROOT"):
            set_up |= {name: "1", f"{name}_CONFIRM": "1"}
    return {**set_up, **(extra or {})}


def run(
    words: Sequence[str],
    extra: Mapping[str, str] | None = None,
    *,
    tells: bool = True,
    deadline: float | None = None,
) -> dict[str, Any]:
    """Run a command and return the JSON object on the last line that it prints.

    ``exit_code`` is added to it: a program may give its figures and then end badly. One
    that ``tells`` nothing must end well.

    Raises:
        ProgramError: it gave no figures, or took too long.
    """
    with tempfile.TemporaryFile() as errors:
        limit = DEADLINE_SECONDS if deadline is None else deadline
        code, output = _finish(words, environment(extra), errors, limit)
        errors.seek(0)
        said = errors.read().decode(errors="replace")
    if not tells and code == 0:
        return {}
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            figures: dict[str, Any] = json.loads(line)
            return {**figures, "exit_code": code}
    raise ProgramError(_why(code, said))


def _finish(
    words: Sequence[str],
    variables: Mapping[str, str],
    errors: IO[bytes],
    deadline: float,
) -> tuple[int, str]:
    """Return a command's exit code and output; it ends with this call in any case."""
    with subprocess.Popen(
        words,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=deadline)
        except subprocess.TimeoutExpired:
            msg = f"did not end in {deadline:g} s"
            raise ProgramError(msg) from None
        finally:
            _end(process)
        return process.returncode, output.decode(errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a launcher that lives, which then ends its ranks; else its whole group."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _why(code: int, said: str) -> str:
    """Return the line of a program's errors that tells most: the exception's."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "Error" in line.partition(":")[0]]
    return (telling or lines or [f"exit code {code}"])[0][:200]

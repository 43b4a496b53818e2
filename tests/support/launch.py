"""Start real processes, alone or under mpiexec, that can neither hang nor be left over.

A deadlock is a failed test that shows every rank's stacks, not a test run that stands
still. The fixtures of tests/conftest.py (`mpirun`, `serial`, `start_mpirun`,
`start_serial`) are the methods of `Launches`.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NoReturn, TypeVar

import pytest

from support import processes
from support.libraries import clean_environment, mpiexec_of, python_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

T = TypeVar("T")
# Deadlines are for hangs. They are given for an idle machine, and a busy one may take
# this many times as long for what comes in the end.
PATIENCE = 4
# How the report of a rank begins that was sent SIGQUIT.
TRAIL = "after its start:"


def wait_until(
    condition: Callable[[], T], timeout: float = 30, what: str = "the condition"
) -> T:
    """Return the condition's first true value, or fail the test at the deadline."""
    timeout *= PATIENCE
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {timeout:g} s in vain for {what}", pytrace=False)
        time.sleep(0.01)
    return value


@dataclass(frozen=True, slots=True)
class Completed:
    """What a launch printed and how it ended."""

    command: str
    returncode: int
    stdout: str
    stderr: str

    def expect(self, returncode: int) -> Completed:
        """Fail the test with all output unless the launch ended with this code."""
        if self.returncode != returncode:
            pytest.fail(f"expected exit code {returncode}, got {self}", pytrace=False)
        return self

    def __str__(self) -> str:
        return _report(self.command, f"exit code {self.returncode}", self)


class Running:
    """A launch under way: mpiexec with its proxies and ranks, or one process alone."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdin: str | None = None,
    ) -> None:
        self.command = shlex.join(command)
        self._mark = uuid.uuid4().hex
        self._process = subprocess.Popen(
            command,
            env={**env, processes.MARK: self._mark},
            cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._stdout = _Reader(self._process.stdout)
        self._stderr = _Reader(self._process.stderr)
        if self._process.stdin is not None:
            self._process.stdin.write((stdin or "").encode())
            self._process.stdin.close()

    @property
    def pid(self) -> int:
        """The launcher's pid, or that of the process that was started alone."""
        return self._process.pid

    @property
    def stdout(self) -> str:
        """What was printed so far."""
        return self._stdout.text

    @property
    def stderr(self) -> str:
        """What was printed to standard error so far."""
        return self._stderr.text

    def poll(self) -> int | None:
        """Return the launcher's exit code, None while it lives."""
        return self._process.poll()

    def processes(self) -> list[processes.Process]:
        """Return all that lives of this launch, orphans among them."""
        return processes.of_launch(self._mark)

    def ranks(self) -> list[int]:
        """Return the pids of the living Python ranks, in the order of their ranks."""
        alive = self.processes()
        return processes.ranks_among(alive) or [
            p.pid for p in alive if p.pid == self.pid and p.is_python
        ]

    def send_signal(self, signal_number: int, *, rank: int | None = None) -> None:
        """Signal one rank, or the launcher when none is named."""
        os.kill(self.pid if rank is None else self.ranks()[rank], signal_number)

    def wait_for(self, what: str | Callable[[], T], timeout: float = 30) -> T | str:
        """Wait for a text in the output, or for a condition, and return it.

        Fails the test when the launch ends before, and at the deadline with all stacks.
        """
        condition = what if callable(what) else lambda: self._printed(what)
        text = "the condition" if callable(what) else repr(what)
        timeout *= PATIENCE
        deadline = time.monotonic() + timeout
        while True:
            # Asked before the condition: what came with the end still counts.
            ended = self.poll() is not None
            if ended:
                self._finish_reading()
            value: T | str = condition()
            if value:
                return value
            if ended:
                self._fail(f"ended before {text} came")
            if time.monotonic() > deadline:
                self.dump_stacks()
                self._fail(f"{text} did not come in {timeout:g} s")
            time.sleep(0.01)

    def wait(self, timeout: float = 60) -> Completed:
        """Wait for the end; at the deadline show every rank's stacks and fail."""
        timeout *= PATIENCE
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        if self._process.returncode is None:
            self.dump_stacks()
            self._fail(f"did not end in {timeout:g} s")
        self._finish_reading()
        return Completed(
            self.command, self._process.returncode, self.stdout, self.stderr
        )

    def dump_stacks(self) -> None:
        """Make every Python process print its stacks to stderr; all of them end."""
        self.show_trails()
        alive = self.processes()
        launchers = [p for p in alive if not p.is_python]
        pythons = [p for p in alive if p.is_python]
        # The first rank to die makes a launcher kill the others before they speak.
        processes.send(launchers, signal.SIGSTOP)
        processes.send(pythons, signal.SIGABRT)
        processes.send(pythons, signal.SIGCONT)
        processes.gone(self._mark, timeout=5 * PATIENCE, only_python=True)
        processes.send(launchers, signal.SIGCONT)
        # Long enough for the launcher to pass on what the ranks said.
        processes.gone(self._mark, timeout=3 * PATIENCE)
        self.kill_tree()

    def show_trails(self) -> None:
        """Have the ranks that run a sweep say what happened to them last."""
        pythons = [p for p in self.processes() if p.is_python]
        listening = [p for p in pythons if processes.handles(p.pid, signal.SIGQUIT)]
        processes.send(listening, signal.SIGQUIT)
        deadline = time.monotonic() + 2 * PATIENCE  # what is stuck says nothing
        while self.stderr.count(TRAIL) < len(listening):
            if time.monotonic() > deadline or self.poll() is not None:
                return
            time.sleep(0.01)

    def kill_tree(self) -> None:
        """Kill whatever is left of the launch, and see it gone."""
        deadline = time.monotonic() + 10 * PATIENCE
        while alive := self.processes():
            processes.send(alive, signal.SIGKILL)
            processes.gone(self._mark, timeout=0.5)
            if time.monotonic() > deadline:
                self._fail(f"cannot kill {alive}")
        self._process.wait()
        self._finish_reading()

    def _printed(self, text: str) -> str:
        return text if text in self.stdout + self.stderr else ""

    def _finish_reading(self) -> None:
        # Whoever still holds the pipes outlived the launcher.
        seconds = 5 * PATIENCE
        if not (self._stdout.finish(seconds) and self._stderr.finish(seconds)):
            processes.send(self.processes(), signal.SIGKILL)
            self._stdout.finish(seconds)
            self._stderr.finish(seconds)

    def _fail(self, reason: str) -> NoReturn:
        pytest.fail(_report(self.command, reason, self), pytrace=False)


class Launches:
    """All that one test started; leaving the context kills what is left of it."""

    def __init__(self, cwd: Path) -> None:
        self._cwd = cwd
        self._started: list[Running] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for running in self._started:
            running.kill_tree()

    def mpirun(
        self, ranks: int, *args: object, timeout: float = 60, **options: Any
    ) -> Completed:
        """Run `mpiexec -n RANKS python ARGS...` to its end.

        At the deadline every rank prints its stacks, all are killed, and the test fails
        with the whole output. Options are those of `start_mpirun`.
        """
        return self.start_mpirun(ranks, *args, **options).wait(timeout)

    def serial(self, *args: object, timeout: float = 60, **options: Any) -> Completed:
        """Run `python ARGS...` to its end, with a deadline like `mpirun`."""
        return self.start_serial(*args, **options).wait(timeout)

    def start_mpirun(
        self,
        ranks: int,
        *args: object,
        library: str = "mpich",
        launcher: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Running:
        """Start `mpiexec -n RANKS LAUNCHER... python ARGS...`.

        `library="mpich"` is the MPI of the Python that runs the tests; "openmpi" that
        of the Python named by EXPERIMENTER_TEST_OPENMPI (skips where there is none).
        """
        python = python_of(library)
        before = [*mpiexec_of(python), "-n", str(ranks), *launcher]
        return self._start([*before, str(python), *map(str, args)], env, cwd)

    def start_serial(
        self,
        *args: object,
        library: str = "mpich",
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Running:
        """Start `python ARGS...`, with this text on its standard input if any."""
        return self._start([str(python_of(library)), *map(str, args)], env, cwd, stdin)

    def start_shell(self, text: str) -> Running:
        """Start `sh -c TEXT`, as a job script would."""
        return self._start(["sh", "-c", text], None, None)

    def _start(
        self,
        command: Sequence[str],
        env: Mapping[str, str] | None,
        cwd: Path | None,
        stdin: str | None = None,
    ) -> Running:
        running = Running(
            command,
            env={**clean_environment(), **(env or {})},
            cwd=cwd or self._cwd,
            stdin=stdin,
        )
        self._started.append(running)
        return running


class _Reader:
    """Read a pipe on a thread, so that no process ever waits for us to do it."""

    def __init__(self, pipe: IO[bytes] | None) -> None:
        assert pipe is not None
        self._pipe = pipe
        self._chunks: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    @property
    def text(self) -> str:
        return b"".join(self._chunks).decode(errors="replace")

    def finish(self, timeout: float) -> bool:
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _read(self) -> None:
        with self._pipe:
            while chunk := os.read(self._pipe.fileno(), 65536):
                self._chunks.append(chunk)


def _report(command: str, ending: str, output: Running | Completed) -> str:
    return (
        f"$ {command}\n{ending}\n"
        f"--- standard output\n{output.stdout}\n--- standard error\n{output.stderr}"
    )

"""Start worker ranks from a process that was started alone, with ``MPI_Comm_spawn``.

An MPI that cannot spawn may abort the process or wait forever, and says so to nobody.
So it is tried first in a child process, before MPI starts in this one.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from _thread import start_new_thread
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cluster import processes
from ..cluster.restart import calling, interpreter
from ..coordination.messages import Dismiss
from ..errors import LaunchError, WorkerDiedError
from ..exit_codes import EXIT_WRONG
from ..output import say, say_at_once
from ..trial.signals import SIGNALS
from . import launch
from . import transport as transports
from .transport import Transport

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..coordination.messages import Message

# Longer than a cold parallel file system takes to give Python to the workers.
PATIENCE_SECONDS = 60.0
WATCH_SECONDS = 1.0

INSTEAD = (
    "start the script as `mpirun -n N python -m experimenter_mpi run SCRIPT --mode mpi`"
)


class Spawner(Transport):
    """Rank 0's transport to workers that it has spawned, on this host or others.

    MPICH does not say that one has died, and waits for it: so this one looks.
    """

    def __init__(self, mpi: Any, communicator: Any) -> None:
        super().__init__(mpi, communicator, has_launcher=False)
        places = enumerate(_exchange_places(communicator))
        here = {rank: pid for rank, (pid, host) in places if host == self.hostname}
        self._here = {
            rank: (pid, processes.began(pid)) for rank, pid in here.items() if rank
        }
        self._look_at = time.monotonic()

    def receive(
        self, timeout: float | None = None, wake: Callable[[], bool] = lambda: False
    ) -> tuple[int, Message] | None:
        """As ``Transport`` does; what the dead had sent is given first.

        Raises:
            WorkerDiedError: a worker on this host has died.
        """
        arrival = super().receive(timeout, wake)
        if arrival is None and time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + WATCH_SECONDS
            self.require_alive()
        return arrival

    def require_alive(self) -> None:
        """Raise WorkerDiedError if a worker on this host has died."""
        for rank, pid in self.lost().items():
            msg = (
                f"the process of worker rank {rank} ({pid}) has died: rerun the same "
                "command to continue, with --isolate if a trial is the cause"
            )
            raise WorkerDiedError(msg)

    def lost(self) -> dict[int, int]:
        """Return the ranks on this host whose processes have died, and these."""
        here = self._here.items()
        return {
            rank: pid for rank, (pid, began) in here if not processes.lives(pid, began)
        }

    def kill(self) -> None:
        """End the workers on this host; those on others see that they are alone."""
        lost = self.lost()
        for rank, (pid, _) in self._here.items():
            if rank not in lost:
                os.kill(pid, signal.SIGKILL)


def _exchange_places(communicator: Any) -> list[tuple[int, str]]:
    """Return each rank's process and host; collective."""
    mine = os.getpid(), os.uname().nodename
    places: list[tuple[int, str]] = communicator.allgather(mine)
    return places


def spawn(workers: int) -> tuple[Spawner, Any]:
    """Return a transport to so many new worker ranks, and what to ``leave`` them by.

    Raises:
        LaunchError: this MPI, or the scheduler, starts no processes.
    """
    _require_possible()
    parents = _start(transports.load(), workers)
    communicator = parents.Merge(high=False)
    return Spawner(transports.load(), communicator), parents


@contextmanager
def parent(spawner: int, host: str) -> Iterator[Transport]:
    """Provide a spawned worker's transport to the process that spawned it.

    ``spawner`` is its pid, on ``host``.
    """
    start_new_thread(_end_with, (spawner, host))
    mpi = transports.load()
    parents = mpi.Comm.Get_parent()
    if parents == mpi.COMM_NULL:
        msg = (
            "this is only for processes that MPI_Comm_spawn starts: see DistributedMode"
        )
        raise LaunchError(msg)
    communicator = parents.Merge(high=True)
    transport = Transport(mpi, communicator)
    _exchange_places(communicator)
    transports.adopt(transport)
    # Blocked while this process was started; see _apart.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    yield transport
    leave(transport, parents)


def leave(transport: Transport, parents: Any) -> None:
    """Part from the other side, which does the same."""
    transport.close()
    transport.free()
    parents.Disconnect()


def _end_with(spawner: int, host: str) -> None:
    """End this worker when the process that spawned it is gone.

    Where that was killed before both sides had met, nobody else would: MPI waits for
    it, and spins. On another host it is left to MPI.
    """
    while host == os.uname().nodename and processes.lives(spawner):
        time.sleep(WATCH_SECONDS)
    if host == os.uname().nodename:
        os._exit(EXIT_WRONG)


def try_it() -> int:
    """Spawn one worker and send it home: what the child process does."""
    try:
        _require_mpiexec()
        parents = _start(transports.load(), 1)
    except LaunchError as error:
        say(str(error))
        return EXIT_WRONG
    transport = Spawner(transports.load(), parents.Merge(high=False))
    transport.send_all(Dismiss())
    leave(transport, parents)
    return 0


def _require_possible() -> None:
    # MPI forbids forking once it has started, and needs no trial where mpirun is there.
    if "mpi4py.MPI" in sys.modules or launch.has_launcher():
        _require_mpiexec()
        return
    code, words = _tried()
    if code == EXIT_WRONG and words:
        raise LaunchError(words)
    if code != 0:
        msg = f"MPI cannot start workers from here ({words}): {INSTEAD}"
        raise LaunchError(msg)


def _tried() -> tuple[int, str]:
    """Try it in a child process; give its exit code and its last words."""
    child = apart("mpi.spawn", "try_it", PATIENCE_SECONDS)
    if child.code is None:
        return 1, f"no worker started within {PATIENCE_SECONDS:.0f} s"
    return child.code, child.words


def obstacle() -> str | None:
    """Try it, and give why MPI can start no workers from here, None if it can.

    For a process that has not started MPI itself.
    """
    code, words = _tried()
    return None if code == 0 else words or f"exit code {code}"


class ProcessEnd(NamedTuple):
    """How a child process ended: no exit code if it had to be killed."""

    code: int | None
    output: str
    words: str


def apart(module: str, function: str, patience: float) -> ProcessEnd:
    """Run a function of this package where it may end the process; MPI may.

    ``words`` is the last line it wrote to standard error.
    """
    import subprocess

    # A session of its own: an MPI that gives up may kill the whole process group.
    child = subprocess.Popen(  # noqa: S603 - this Python, with text of ours
        [*interpreter(), *calling(module, function)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, words = child.communicate(timeout=patience)
    except subprocess.TimeoutExpired:
        return ProcessEnd(None, "", f"it had not ended after {patience:.0f} s")
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    lines = [line.strip() for line in words.decode(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return ProcessEnd(child.returncode, output.decode(errors="replace"), last)


def _require_mpiexec() -> None:
    """MPICH starts processes with the mpiexec that it finds, and aborts without."""
    import shutil  # not on workers, which import this file too

    library = transports.load().Get_library_version()
    if "MPICH" not in library or shutil.which("mpiexec"):
        return
    folder = os.path.dirname(sys.executable)
    beside = os.path.exists(os.path.join(folder, "mpiexec"))
    hint = f"put {folder} on PATH, or " if beside else ""
    msg = f"MPICH starts workers with mpiexec, which is not on PATH: {hint}{INSTEAD}"
    raise LaunchError(msg)


def _start(mpi: Any, workers: int) -> Any:
    """Spawn the workers and return the intercommunicator with them."""
    deadline = threading.Timer(PATIENCE_SECONDS, _give_up)
    deadline.daemon = True
    deadline.start()
    place = f"{os.getpid()}, {os.uname().nodename!r}"
    command, *arguments = [*interpreter(), *calling("run.spawned", "main", place)]
    try:
        with _apart():
            return mpi.COMM_SELF.Spawn(command, arguments, workers)
    except mpi.Exception as error:
        msg = f"MPI cannot start workers from here ({error}): {INSTEAD}"
        raise LaunchError(msg) from error
    finally:
        deadline.cancel()


def _give_up() -> None:
    """End the process: nothing wakes a thread that waits inside MPI_Comm_spawn."""
    text = f"no worker started within {PATIENCE_SECONDS:.0f} s: {INSTEAD}"
    say_at_once(f"experimenter_mpi: {text}")
    os._exit(EXIT_WRONG)


@contextmanager
def _apart() -> Iterator[None]:
    """Keep what starts the workers out of what signals do to this process.

    MPICH's mpiexec becomes a child of this process, dies of any signal that the
    terminal or a scheduler sends to all, and takes the workers along; and when this
    process ends badly, it kills its own process group: the shell script that started
    us. It inherits the signals that are blocked here, and is given a group of its own.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    path = os.environ.get("PATH")
    try:
        with _mpiexec_in_its_own_group() as folder:
            if folder is not None:
                os.environ["PATH"] = os.pathsep.join(filter(None, [folder, path]))
            yield
    finally:
        if path is not None:
            os.environ["PATH"] = path
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _mpiexec_in_its_own_group() -> Iterator[str | None]:
    """Provide a folder with an mpiexec that leaves this process's group first.

    None where there is no mpiexec to call, or no folder to run a file from.
    """
    import shutil
    import tempfile

    real = shutil.which("mpiexec")
    if real is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="experimenter_mpi-") as folder:
        path = os.path.join(folder, "mpiexec")
        with open(path, "w", encoding="utf-8") as file:
            file.write(_wrapper(real))
        os.chmod(path, 0o700)
        # A folder for temporary files may forbid to run any.
        yield folder if os.access(path, os.X_OK) else None


def _wrapper(mpiexec: str) -> str:
    """Return a shell script that becomes ``mpiexec``, in a process group of its own."""
    from shlex import quote

    become = (
        "import os, sys; os.setpgid(0, 0); "
        "os.environ['PATH'] = os.environ['PATH'].partition(os.pathsep)[2]; "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    python = quote(sys.executable)
    return f'#!/bin/sh\nexec {python} -ISc {quote(become)} {quote(mpiexec)} "$@"\n'

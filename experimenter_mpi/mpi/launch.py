"""Whether this process is one of several ranks, asked without importing MPI.

The environment only says whether it is worth asking MPI: a laptop run never imports
it. Which rank this is, and of how many, comes from ``COMM_WORLD`` alone.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING, Any

from .. import output, thread_variables
from ..errors import LaunchError, SaidByRank0, marked

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from .transport import Transport

# How many processes the launcher says it started. Hydra and MPICH under Slurm, Open
# MPI, MVAPICH, IBM jsrun, Flux, srun itself (PMIx gives no size, srun does).
_SIZES = (
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "JSM_NAMESPACE_SIZE",
    "FLUX_JOB_SIZE",
    "PALS_SIZE",
)
# Set for each process that a launcher of MPI programs started.
_RANKS = (
    "PMI_RANK",
    "PMIX_RANK",
    "OMPI_COMM_WORLD_RANK",
    "MV2_COMM_WORLD_RANK",
    "JSM_NAMESPACE_RANK",
    "FLUX_TASK_RANK",
    "PALS_RANKID",
    "ALPS_APP_PE",
)

# How many of them run on this host.
_LOCAL_SIZES = (
    "MPI_LOCALNRANKS",
    "OMPI_COMM_WORLD_LOCAL_SIZE",
    "MV2_COMM_WORLD_LOCAL_SIZE",
    "JSM_NAMESPACE_LOCAL_SIZE",
    "PALS_LOCAL_SIZE",
)
# Whose children inherit it: a rank's process, and what tells its launch from others.
_MARK = "EXPERIMENTER_RANK"
# By which a trial may choose its GPU: the number of its worker among those of the
# node, and how many there are.
LOCAL_RANK = "EXPERIMENTER_LOCAL_RANK"
WORKERS_ON_NODE = "EXPERIMENTER_WORKERS_ON_NODE"


def launched(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher started this process as one of several.

    Slurm's own variables count only inside a step of several tasks: the batch shell
    has SLURM_PROCID=0 as well.
    """
    sizes = _sizes(environment)
    if any(size > 1 for size in sizes):
        return True
    if _number(environment.get("SLURM_STEP_NUM_TASKS", "")) > 1:
        return "SLURM_STEP_ID" in environment
    return not sizes and any(name in environment for name in _RANKS)


def has_launcher(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether a launcher of MPI programs started this process, alone or not."""
    return any(name in environment for name in _RANKS)


def told_size(environment: Mapping[str, str] = os.environ) -> int:
    """How many processes the launcher says it started, 1 where it does not say.

    What a launcher of MPI programs says comes before Slurm, which under ``mpiexec``
    counts the launcher's own daemons.
    """
    sizes = _sizes(environment)
    if not sizes and "SLURM_STEP_ID" in environment:
        sizes = [_number(environment.get("SLURM_STEP_NUM_TASKS", ""))]
    return max([1, *sizes])


def told_local_size(environment: Mapping[str, str] = os.environ) -> int:
    """How many of the launcher's processes share a host, 1 where it does not say.

    Slurm tells it of all hosts of a step, as in ``4(x2),3``: the most on any.
    """
    known = [_number(environment[n]) for n in _LOCAL_SIZES if n in environment]
    if not known and "SLURM_STEP_ID" in environment:
        hosts = environment.get("SLURM_STEP_TASKS_PER_NODE", "").split(",")
        known = [_number(host.partition("(")[0]) for host in hosts]
    return max([1, *known])


def crowding(environment: Mapping[str, str] = os.environ) -> float:
    """How many of the launcher's processes share a core of this host, at least one."""
    return max(1.0, told_local_size(environment) / (os.cpu_count() or 1))


def share_cores(environment: MutableMapping[str, str] = os.environ) -> None:
    """Limit a rank that shares its host to one thread, unless told otherwise.

    Each rank's linear algebra would else take all cores. Slurm's ``--cpus-per-task``
    says how many are a rank's own. Comes too late for what is loaded already.
    """
    if told_local_size(environment) == 1 or any(
        n in environment for n in thread_variables.VARIABLES
    ):
        return
    cores = environment.get("SLURM_CPUS_PER_TASK", "1")
    for name in thread_variables.VARIABLES:
        environment[name] = cores


def _sizes(environment: Mapping[str, str]) -> list[int]:
    return [_number(environment[name]) for name in _SIZES if name in environment]


def rank_hint(environment: Mapping[str, str] = os.environ) -> int | None:
    """Which rank the launcher says this is: never to be relied on for a role."""
    for name in (*_RANKS, "SLURM_PROCID"):
        if name in environment:
            return _number(environment[name])
    return None


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else -1


def leave_parents_launch(
    environment: MutableMapping[str, str] = os.environ,
) -> None:
    """Make a process that a rank has started count as started alone.

    A trial may start a program that uses this package. With the rank's variables MPI
    would abort there, or wait forever for the other ranks to start once more.
    """
    parent, _, launch = environment.get(_MARK, "").partition(" ")
    is_rank = parent in ("", str(os.getpid())) or "mpi4py.MPI" in sys.modules
    if is_rank or launch != _identity(environment) or _wired(environment):
        return
    from ..cluster.inherited import without_launcher

    kept = without_launcher(environment)
    for name in set(environment) - set(kept):
        del environment[name]
    environment.update(kept)


def _identity(environment: Mapping[str, str]) -> str | None:
    """Return what no other launch has at the same time, None where nothing tells."""
    if "PMIX_NAMESPACE" in environment:
        return f"{environment['PMIX_NAMESPACE']} {environment.get('PMIX_RANK')}"
    door = environment.get("PMI_PORT") or environment.get("PMI_FD")
    return door and f"{door} {environment.get('PMI_RANK')}"


def _wired(environment: Mapping[str, str]) -> bool:
    """Whether a launcher holds the other end of the descriptor that it names."""
    try:
        return stat.S_ISSOCK(os.fstat(int(environment["PMI_FD"])).st_mode)
    except (KeyError, ValueError, OSError):
        return False


def concerns_mpi() -> bool:
    """Whether to ask MPI: launched by it, or the script has loaded it itself."""
    leave_parents_launch()
    return launched() or "mpi4py.MPI" in sys.modules


def connect(*, even_alone: bool = False) -> Transport | None:
    """Return this process's transport to the other ranks, None where there are none.

    Collective the first time it asks MPI, which it does only if ``concerns_mpi()``
    or ``even_alone``.

    Raises:
        LaunchError: a launcher started this process, but no MPI library loads, or it
            loads one that sees each of the launcher's processes as a world of its own.
    """
    if not (concerns_mpi() or even_alone):
        take_place(None)
        return None
    transport = _transport()
    connected: Transport | None = transport.connect(crowding=crowding())
    if connected is None:
        _require_one_world(transport)
    take_place(connected)
    return connected


def take_place(transport: Transport | None, workers: int | None = None) -> None:
    """Set this process's number among the workers of its node, and how many there are.

    Those are the ranks from 1 to ``workers``, all unless told; rank 0 has number 0. A
    process by itself is the only one, unless a trial started it: a sweep within a
    sweep computes where that trial may.
    """
    if transport is None:
        if LOCAL_RANK not in os.environ:
            set_place(0, 1)
        return
    last = transport.size - 1 if workers is None else workers
    here = [rank for rank in transport.neighbours if 1 <= rank <= last]
    number = here.index(transport.rank) if transport.rank in here else 0
    set_place(number, max(1, len(here)))


def set_place(number: int, workers: int) -> None:
    """Set what trials, and what they start, find in their environment."""
    os.environ[LOCAL_RANK] = str(number)
    os.environ[WORKERS_ON_NODE] = str(workers)


def world_rank() -> int:
    """Return this process's rank in ``COMM_WORLD``, 0 where there is but one."""
    if not concerns_mpi():
        return 0
    transport = _transport()
    known = transport.adopted()
    if known is not None:
        return int(known.rank)
    communicator = transport.world()
    if communicator.size == 1:
        _require_one_world(transport)
    rank: int = communicator.rank
    return rank


def _require_one_world(transport: Any) -> None:
    """Refuse to be one of many that each take themselves for the only process.

    Every one of them would run the whole sweep, and write to the same database.
    """
    told = told_size()
    if told > 1:
        error = LaunchError(worlds_of_one(told, version_of(transport.load())))
        if rank_hint() not in (0, None):
            error = marked(error, SaidByRank0)
        _end_in_one_line(error)
        raise error


def _end_in_one_line(mistake: LaunchError) -> None:
    """Make a script that does not catch the mistake end as the command line does."""
    previous = sys.excepthook

    def on_uncaught(kind: Any, error: Any, frames: Any) -> None:
        if error is not mistake:
            previous(kind, error, frames)
            return
        if not isinstance(mistake, SaidByRank0):
            output.say(f"experimenter_mpi: {mistake}")
        output.flush()
        # Python would make it 1, and MPI has no other rank to tell.
        from ..exit_codes import EXIT_WRONG

        os._exit(EXIT_WRONG)

    sys.excepthook = on_uncaught


def version_of(mpi: Any) -> str:
    """Return the MPI library's name and version, one line."""
    return str(mpi.Get_library_version()).split("\n", 1)[0].strip(" \x00")


def worlds_of_one(told: int, library: str) -> str:
    """Return that each of ``told`` processes is alone, and which lines would work."""
    from ..cluster.launchers import launcher_of
    from ..cluster.schedulers import scheduler_of

    launcher = launcher_of()
    name = "the launcher" if launcher is None else launcher.name
    is_open_mpi = "Open MPI" in library
    short = "Open MPI" if is_open_mpi else library.partition(" ")[0]
    return (
        f"{name} started {told} processes, but to {short} each of them is alone (a "
        "world of size 1); nothing was run or written. Launch with "
        f"{working_lines(told, library)}"
        f"{_PLUGIN if is_open_mpi and scheduler_of() == 'flux' else ''}"
    )


_PLUGIN = (
    "; under Flux, Open MPI needs the plugin flux-pmix, which the site installs: "
    "without it, use MPICH"
)


def working_lines(ranks: int, library: str, program: str | None = None) -> str:
    """Return the lines that would start so many ranks here, of this program.

    ``library`` is what the library says of itself.
    """
    from shlex import join, quote

    from ..cluster.launch_lines import launch_lines, library_of
    from ..cluster.schedulers import scheduler_of

    family = library_of(library)
    command = program or join(["python", *sys.orig_argv[1:]])
    mpiexec = quote(mpiexec_of(family))
    lines = launch_lines(family, scheduler_of(), ranks, mpiexec=mpiexec)
    return " or ".join(f"'{line.command(command)}'" for line in lines)


def mpiexec_of(family: str) -> str:
    """Return the path of the mpiexec beside Python if it is this family's, or its name.

    A wheel of an MPI library puts it there; it starts no other library's ranks.
    """
    folder = os.path.dirname(sys.executable)
    beside = os.path.join(folder, "mpiexec")
    is_open_mpi = os.path.exists(os.path.join(folder, "prterun"))
    fits = os.path.exists(beside) and is_open_mpi == (family == "openmpi")
    return beside if fits else "mpiexec"


def _transport() -> Any:
    """Import what loads MPI, once the scheduler is asked, which may take a fork."""
    if rank_hint() in (0, None):
        from ..cluster import walltime

        walltime.collect()
    share_cores()
    if launch := _identity(os.environ):
        os.environ[_MARK] = f"{os.getpid()} {launch}"
    from . import transport

    return transport

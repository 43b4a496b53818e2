"""Which line starts N ranks: for each MPI library and scheduler, what works there.

``launch_lines(library, scheduler, ranks)`` gives the lines, the one to prefer first:

    >>> [line.text for line in launch_lines("mpich", "slurm", 4)]
    ['srun --mpi=pmi2 -n 4', 'mpiexec -n 4']

The program and its arguments follow the text. ``ranks`` may be a shell expression such
as ``"$NSLOTS"``; nothing here is quoted. A line with a ``setup`` needs those lines of
shell before it, in the same script. A wrong pairing seldom fails: it starts N worlds of
one rank each, which exit with 0.
"""

from __future__ import annotations

from typing import NamedTuple

from .schedulers import NONE, SCHEDULERS

LIBRARIES = ("mpich", "openmpi", "intel", "cray")

# Open MPI binds each rank to a core of its own, and fails where a job's cores are not
# the machine's first ones, or fewer than its ranks. Trials with threads want all cores.
UNBOUND = "--bind-to none"
HOSTS = '"$hosts"'

# Open MPI's own wheel knows neither Grid Engine nor LSF: it is told the hosts.
_HOSTS_OF_SGE = (
    "hosts=$(mktemp)",
    """awk '{print $1 " slots=" $2}' "$PE_HOSTFILE" > "$hosts\"""",
)
_HOSTS_OF_LSF = (
    "hosts=$(mktemp)",
    (
        'sort "$LSB_DJOB_HOSTFILE" | uniq -c | '
        """awk '{print $2 " slots=" $1}' > "$hosts\""""
    ),
)


class LaunchLine(NamedTuple):
    """The words before the program, and the shell lines that must come before them.

    ``launcher`` is mpiexec, srun or "flux run". ``tried`` says that the line was run
    under that scheduler; the others are what manuals say.
    """

    launcher: str
    text: str
    setup: tuple[str, ...] = ()
    tried: bool = True

    def command(self, program: str) -> str:
        """Return all of it as one line of shell that starts ``program``."""
        return "; ".join([*self.setup, f"{self.text} {program}"])


def library_of(version: str) -> str:
    """Tell the family of a library by what ``MPI_Get_library_version`` says."""
    if "Open MPI" in version or "Spectrum MPI" in version:
        return "openmpi"
    if "Intel" in version:
        return "intel"
    return "cray" if "CRAY" in version.upper() else "mpich"


def launch_lines(
    library: str,
    scheduler: str,
    ranks: int | str,
    *,
    mpiexec: str = "mpiexec",
    survive_deaths: bool = False,
) -> list[LaunchLine]:
    """Return the lines that start ``ranks`` ranks of ``library``, the best first.

    Args:
        library: One of ``LIBRARIES``; see ``library_of``.
        scheduler: One of ``SCHEDULERS``, whose job the line stands in, or "none".
        ranks: How many, or a shell expression that says it.
        mpiexec: How to call the library's own mpiexec, quoted for the shell.
        survive_deaths: Have the job go on when a rank dies, which only Open MPI's
            mpiexec can; no lines where the library cannot.

    Raises:
        ValueError: there is no such library or scheduler.
    """
    if library not in LIBRARIES or scheduler not in (*SCHEDULERS, NONE):
        msg = f"no launch line for library {library!r} under scheduler {scheduler!r}"
        raise ValueError(msg)
    own = _own_launcher(library, scheduler, ranks, mpiexec, survive_deaths)
    if survive_deaths:
        return [own] if library == "openmpi" else []
    return [*_schedulers_launcher(library, scheduler, ranks), own]


def _schedulers_launcher(
    library: str, scheduler: str, ranks: int | str
) -> list[LaunchLine]:
    """Return the scheduler's own way to start ranks, where it has one."""
    if scheduler == "slurm" and library in _PMI_OF_SLURM:
        text = f"srun --mpi={_PMI_OF_SLURM[library]} -n {ranks}"
        return [LaunchLine("srun", text, tried=library != "cray")]
    if scheduler == "flux":
        # Open MPI 5 knows only PMIx, which Flux has by its plugin flux-pmix.
        option = "-o pmi=pmix " if library == "openmpi" else ""
        return [LaunchLine("flux run", f"flux run {option}-n {ranks}", tried=False)]
    return []


# Intel MPI needs to be told of Slurm's own library; its mpiexec needs nothing.
_PMI_OF_SLURM = {"mpich": "pmi2", "openmpi": "pmix", "cray": "cray_shasta"}


def _own_launcher(
    library: str, scheduler: str, ranks: int | str, mpiexec: str, survive: bool
) -> LaunchLine:
    words = [mpiexec]
    setup: tuple[str, ...] = ()
    if library == "openmpi":
        words += ["--with-ft ulfm"] if survive else []
        setup = _HOSTS_OF.get(scheduler, ())
        words += [f"--hostfile {HOSTS}"] if setup else []
        words.append(UNBOUND)
    text = " ".join([*words, f"-n {ranks}"])
    known = library in ("mpich", "openmpi")
    tried = known and scheduler not in ("lsf", "flux")
    return LaunchLine("mpiexec", text, setup, tried)


_HOSTS_OF = {"sge": _HOSTS_OF_SGE, "lsf": _HOSTS_OF_LSF}

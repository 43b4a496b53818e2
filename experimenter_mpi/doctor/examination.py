"""All checks in their order: without a launcher in a child process, else on all ranks.

Children come first, since MPI forbids them once it has started.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from ..cluster import launchers
from ..cluster.launch_lines import library_of
from ..mpi import launch, mail, spawn, transport
from ..mpi import library as libraries
from ..mpi.detection import Environment, environment
from ..output import say
from . import database as storage
from . import installation, mpi_library, probe, ranks
from . import scheduler as job
from .findings import NOTE, PROBLEM, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = "python -m experimenter_mpi run SCRIPT"
_RANKS_SHOWN = 4


class Report(NamedTuple):
    """What was found, and whether a run would work."""

    environment: Environment
    findings: list[Finding]

    @property
    def works(self) -> bool:
        return all(finding.state != PROBLEM for finding in self.findings)

    @property
    def is_serial(self) -> bool:
        """Whether no MPI library loads, and a serial run needs none."""
        return any(
            finding.check == mpi_library.CHECK and finding.state == NOTE
            for finding in self.findings
        )


def examine(path: str, *, needs_mpi: bool = False) -> Report | None:
    """Check everything that a run with its database at ``path`` needs.

    A process by itself can run serially without MPI; ``needs_mpi`` wants it there, too.

    Collective under a launcher; only rank 0 gets a report, and every process that is
    alone in its world.
    """
    found = environment()
    if found.launcher is None and not launch.launched():
        return _examine_alone(path, found, needs_mpi=needs_mpi)
    return _examine_ranks(path, found)


# --- started by itself: on a login node, or in a job before anything is launched


def _examine_alone(path: str, found: Environment, *, needs_mpi: bool) -> Report:
    facts, died = probe.ask()
    version, family = facts["version"], mpi_library.family_of(facts["version"])
    findings = [
        *_here(),
        *_job(found),
        mpi_library.library(version, facts["error"], died, is_needed=needs_mpi),
        *_without_launcher(found, version, family, died),
        *_storage(path),
    ]
    return Report(found._replace(seen=1, rank=0), findings)


def _without_launcher(
    found: Environment, version: str | None, family: str, died: str
) -> Iterator[Finding]:
    if version is None:
        return
    has_own = found.scheduler in ("slurm", "flux")
    mpiexec = mpi_library.mpiexec(family, scheduler_launches=has_own)
    yield mpiexec
    # With another library's mpiexec no worker comes, and that only after a minute.
    if not died and mpiexec.state != PROBLEM:
        yield mpi_library.spawn(spawn.obstacle())
    yield mpi_library.fault_tolerance(family, enabled=False, is_launched=False)
    count = found.slots or 1
    ranks_shown = count if count > 1 else _RANKS_SHOWN
    yield job.start(count, launch.working_lines(ranks_shown, version, RUN))


# --- started by a launcher


def _examine_ranks(path: str, found: Environment) -> Report | None:
    looked = libraries.look()
    if looked.version is None:
        return Report(
            found,
            [
                *_here(),
                *_job(found),
                mpi_library.library(None, looked.error),
                *_storage(path),
            ],
        )
    _warn(found, looked.version)
    launch.share_cores()  # as a run does
    mpi = libraries.start()
    communicator = transport.world()
    found = found._replace(seen=communicator.size, rank=communicator.rank)
    level = libraries.thread_level(mpi)
    with _mark(path, communicator) as mark:
        described = ranks.describe(looked.version, mark)
        gathered = communicator.gather(described)
        communicator.Barrier()  # nobody looks for the mark any more
    if gathered is None:
        return None
    findings = [
        *_here(),
        *_job(found),
        mpi_library.library(looked.version, None),
        *_of_ranks(found, gathered, looked.version, storage.folder_of(path)),
        mpi_library.threads(level),
        mpi_library.fault_tolerance(
            library_of(looked.version), enabled=mail.enabled(), is_launched=True
        ),
        *_storage(path),
    ]
    return Report(found, findings)


def _of_ranks(
    found: Environment, gathered: list[ranks.Rank], version: str, folder: str
) -> Iterator[Finding]:
    if found.promised > 1 and len(gathered) == 1:
        text = launch.worlds_of_one(found.promised, version)
        text, _, remedy = text.partition("; nothing was run or written. Launch ")
        yield Finding("ranks", PROBLEM, text, f"launch {remedy}")
        return
    yield ranks.seen(gathered, found.promised)
    yield from ranks.alike(gathered)
    yield from ranks.cores(gathered)
    yield from ranks.blas(gathered)
    yield from ranks.sight(gathered, folder)


def _warn(found: Environment, version: str) -> None:
    """Warn beforehand of an MPI library that the launcher may be unable to start."""
    launcher, family = launchers.launcher_of(), library_of(version)
    if launcher is None or not launcher.families or family in launcher.families:
        return
    if launch.rank_hint() in (0, None):
        lines = launch.working_lines(found.promised, version)
        short = mpi_library.short(version)
        say(
            f"experimenter_mpi: starting {short}, which may fail under "
            f"{launcher.name}. If no report follows, launch with {lines}"
        )


@contextmanager
def _mark(path: str, communicator: Any) -> Iterator[str | None]:
    """Create a file in the database's folder on rank 0, and tell all ranks its name."""
    made = None
    if communicator.rank == 0:
        try:
            number, made = tempfile.mkstemp(
                dir=storage.folder_of(path), prefix=".doctor-"
            )
            os.close(number)
        except OSError:  # which the checks of the folder explain
            made = None
    try:
        yield communicator.bcast(made)
    finally:
        if made is not None:
            os.unlink(made)


# --- either way


def _here() -> Iterator[Finding]:
    yield installation.python()
    yield installation.packages()
    yield installation.sqlite()
    yield from installation.environment()


def _job(found: Environment) -> Iterator[Finding]:
    yield job.scheduler(found)
    yield from job.time_left(found)
    yield job.launcher(found)


def _storage(path: str) -> Iterator[Finding]:
    yield storage.database(path)
    yield from storage.file_system(path)
    yield storage.room(path)
    yield storage.locking(path)

"""Every way in which an exp.py can be run: each mode, under mpirun and alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from support.experiments import PACKAGE
from support.libraries import python_of

if TYPE_CHECKING:
    from support.launch import Launches, Running


@dataclass(frozen=True)
class Way:
    """A mode: its options for ``run``, as an expression, and how it is started.

    ``ranks`` is 0 where the process is started alone.
    """

    options: tuple[str, ...]
    expression: str
    ranks: int = 0

    def start(
        self, launches: Launches, *arguments: object, library: str, **more: Any
    ) -> Running:
        """Start Python with these arguments as this mode wants it."""
        if self.ranks:
            return launches.start_mpirun(
                self.ranks, *arguments, library=library, **more
            )
        # MPICH spawns with the mpiexec on PATH.
        folder = str(python_of(library).parent)
        path = os.pathsep.join([folder, os.environ["PATH"]])
        env = {"PATH": path, **more.pop("env", {})}
        return launches.start_serial(*arguments, library=library, env=env, **more)

    def start_run(
        self, launches: Launches, *arguments: object, library: str, **more: Any
    ) -> Running:
        """Start ``run exp.py`` in this mode."""
        verb = (*PACKAGE, "run", "exp.py", *self.options, *arguments)
        return self.start(launches, *verb, library=library, **more)


_THREADS = ("--mode", "multithreaded", "--threads", "3")
_DISTRIBUTED = ("--mode", "distributed")
_HETEROGENEOUS = ("--mode", "heterogeneous", "--threads", "2")
_WORKERS = ("--workers", "2")

WAYS = {
    "serial": Way((), "SerialMode()"),
    "multithreaded": Way(_THREADS, "MultithreadedMode(3)"),
    "distributed": Way(_DISTRIBUTED, "DistributedMode", 3),
    "heterogeneous": Way(_HETEROGENEOUS, "HeterogeneousMode(2)", 3),
    # Not "mpi": pytest-mpi would take a test's parameter for its mark.
    "coordinated": Way((), "MPIMode", 3),
    "distributed-alone": Way((*_DISTRIBUTED, *_WORKERS), "DistributedMode(2)"),
    "heterogeneous-alone": Way(
        (*_HETEROGENEOUS, *_WORKERS), "HeterogeneousMode(2, workers=2)"
    ),
}

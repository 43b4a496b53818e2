"""What a child process says of MPI: its library, then what starting it gave.

Where MPI ends the process instead, the first line is all that comes.
"""

from __future__ import annotations

import json
from typing import Any

from ..mpi import library
from ..mpi.spawn import apart

PATIENCE_SECONDS = 60.0


def main() -> int:
    """Be that child process."""
    found = library.look()
    _say(version=found.version, error=found.error)
    if found.version is not None:
        mpi = library.start()
        _say(threads=library.thread_level(mpi), size=mpi.COMM_WORLD.size)
    return 0


def _say(**facts: Any) -> None:
    print(json.dumps(facts), flush=True)  # noqa: T201 - to the parent


def ask() -> tuple[dict[str, Any], str]:
    """Return what the child said, and its last words if it did not come to its end."""
    child = apart("doctor.probe", "main", PATIENCE_SECONDS)
    facts: dict[str, Any] = {"version": None, "error": None}
    for line in child.output.splitlines():
        try:
            facts.update(json.loads(line))
        except ValueError:  # what the library itself prints
            continue
    if child.code == 0:
        return facts, ""
    return facts, child.words or f"exit code {child.code}"

"""What rank 0 tells the workers of an experiment before its first trial."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

    from .script import Script


class Origin(NamedTuple):
    """What a worker lacks that rank 0 has started: how the script was called.

    ``is_main`` says that its module is ``__main__``, where pickles look for its
    classes. ``functions`` are the trial and the store function, pickled by reference,
    and None where they have no name to be found by. ``module`` is the name to import
    its module by, None where it is a file that Python was started with.
    """

    argv: list[str]
    is_main: bool
    functions: bytes | None
    function_name: str
    init_store_function_name: str | None
    module: str | None = None


class Briefing(NamedTuple):
    """One experiment, as rank 0 has it; rank 0's is the one that counts.

    ``configuration`` is pickled by itself, since it may need the script's own classes,
    and is None where it cannot be: then each rank's own script makes the same one.
    ``arrays_folder`` and ``lock_token`` let a worker find out whether it shares the
    database's folder. ``time_left`` and ``trial_timeout`` are in seconds. ``lanes`` is
    in how many the workers serve executors, None where rank 0 itself hands out the
    trials. ``main`` is for workers that were not started with the script. ``workers``
    is how many ranks work, None where all but rank 0 do. ``reseed`` says that trials
    have random streams of their own.
    """

    name: str
    experiment_id: UUID
    configuration: bytes | None
    script: Script | None
    include: Script | None
    directory: str | None
    arrays_folder: str | None
    lock_token: str | None
    time_left: float | None
    allow_pickle: bool
    lanes: int | None = None
    main: Origin | None = None
    isolate: bool = False
    trial_timeout: float | None = None
    workers: int | None = None
    reseed: bool = True

    def pack(self) -> bytes:
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def unpack(content: bytes) -> Briefing:
        # From this job's own rank 0, never from a file.
        job: Briefing = pickle.loads(content)  # noqa: S301
        return job


def pack_if_possible(value: Any) -> bytes | None:
    """Pickle a configuration, or functions; None if something in it cannot be."""
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 - pickle raises whatever an object's hook raises
        return None


def unpack(content: bytes) -> Any:
    """Return what was packed; the script's classes must be loaded."""
    # From this job's own rank 0, never from a file.
    return pickle.loads(content)  # noqa: S301

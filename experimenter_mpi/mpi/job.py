"""What rank 0 tells the workers of an experiment before its first trial."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from uuid import UUID

    from ..script import Script


class Job(NamedTuple):
    """One experiment, as rank 0 has it; rank 0's is the one that counts.

    ``configuration`` is pickled by itself, since it may need the script's own classes,
    and is None where it cannot be: then each rank's own script makes the same one.
    ``arrays_folder`` and ``lock_token`` let a worker find out whether it shares the
    database's folder. ``time_left`` is in seconds.
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

    def pack(self) -> bytes:
        return pickle.dumps(self, pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def unpack(content: bytes) -> Job:
        # From this job's own rank 0, never from a file.
        job: Job = pickle.loads(content)  # noqa: S301
        return job


def pack_configuration(configuration: dict[str, Any]) -> bytes | None:
    """Pickle a configuration; None if something in it cannot be."""
    try:
        return pickle.dumps(configuration, pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 - pickle raises whatever an object's hook raises
        return None


def unpack_configuration(content: bytes) -> dict[str, Any]:
    """Give the configuration back; the script's classes must be loaded."""
    # From this job's own rank 0, never from a file.
    configuration: dict[str, Any] = pickle.loads(content)  # noqa: S301
    return configuration

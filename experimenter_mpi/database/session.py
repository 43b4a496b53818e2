"""Everything an open database can do: one attribute per table."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..errors import DatabaseError
from . import transfer
from .deaths import Deaths
from .experiments import Experiments
from .file import opening
from .files import sweep_leftovers
from .flat_views import FlatViews
from .notes import Notes
from .overview import Overview
from .runs import Runs
from .snapshots import Snapshots
from .trial_ledger import TrialLedger
from .trials import Trials
from .upkeep import Upkeep
from .versions import Versions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from typing_extensions import Self

    from .file.storage import Storage


class Session:
    """An open database on rank 0; a context manager that closes it at the end."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.experiments = Experiments(storage)
        self.trials = Trials(storage)
        self.deaths = Deaths(storage)
        self.snapshots = Snapshots(storage)
        self.runs = Runs(storage)
        self.versions = Versions(storage)
        self.reports = Overview(storage)
        self.upkeep = Upkeep(storage)
        self.notes = Notes(storage)
        self.views = FlatViews(storage)

    def ledger(
        self, experiment_id: UUID | str, *options: Any, **named: Any
    ) -> TrialLedger:
        """Return where a run records what becomes of trials; see ``TrialLedger``."""
        return TrialLedger(self.storage, experiment_id, *options, **named)

    def export(self, outfile: str, names: Sequence[str]) -> Session:
        transfer.export(self.storage, outfile, names)
        return open_file(outfile, allow_pickle=self.storage.allow_pickle)

    def merge(self, secondary: Session) -> None:
        transfer.merge(self.storage, secondary.storage)

    def sweep_leftovers(self) -> int:
        """Delete array files that killed runs left, before workers begin to write."""
        return sweep_leftovers(self.storage)

    def close(self) -> None:
        """Let the file go. Safe to repeat."""
        self.storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_file(
    path: str,
    *,
    create_folder: bool = True,
    read_only: bool = False,
    allow_pickle: bool = False,
) -> Session:
    """Open or create a database file; see ``open_db``."""
    storage = opening.open_storage(
        path,
        create_folder=create_folder,
        read_only=read_only,
        allow_pickle=allow_pickle,
    )
    session = Session(storage)
    if storage.was_upgraded:  # what was left out may have taken most of the file
        with suppress(DatabaseError):
            session.upkeep.tidy()
    return session


def open_memory(*, allow_pickle: bool = False) -> Session:
    """Open a database that does not persist."""
    return Session(opening.open_memory(allow_pickle=allow_pickle))

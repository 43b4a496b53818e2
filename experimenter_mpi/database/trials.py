"""The trials table as its users ask for it, and their own changes to it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, func, null, select, update

from ..experiment.experiment import Trial
from ..trial.outcome import Status
from . import documents, stored_array
from .deaths import Deaths
from .file import timestamps
from .file.rows import all_checked, checked_values, later
from .file.tables import UNFINISHED, trials
from .files import remove_unused
from .garbage import forget_arrays
from .lazy_results import lazy
from .lookup import (
    as_id,
    experiment_row,
    id_range,
    named_row,
    require_trials,
    trial_row,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection, Row, Select

    from ..encoding.codec import Encoded
    from ..experiment.share import Share
    from .file.storage import Storage

# Rows of one read transaction: a reader that took its time would hold up the writer.
_ROWS_AT_ONCE = 5_000
_INDICES_AT_ONCE = 10_000
_UNFINISHED = (Status.PENDING, Status.RUNNING, Status.FAILED)
_PROGRESS = (
    trials.c.id,
    trials.c.experiment_id,
    trials.c.trial_index,
    trials.c.configuration,
    trials.c.status,
    trials.c.attempts,
    trials.c.started_at,
    trials.c.finished_at,
    trials.c.duration,
    trials.c.run_id,
    trials.c.rank,
    trials.c.hostname,
    trials.c.error_type,
    trials.c.error_message,
    trials.c.error,
)
_COMPLETE = (
    update(trials)
    .where(trials.c.id == bindparam("trial_id"))
    .values(
        status=Status.FINISHED,
        results=bindparam("document"),
        run_id=bindparam("run_id"),
        # When it was finished, not when its results were exchanged.
        finished_at=func.iif(
            trials.c.status == Status.FINISHED,
            func.coalesce(trials.c.finished_at, bindparam("now")),
            bindparam("now"),
        ),
        error_type=null(),
        error_message=null(),
        error=null(),
    )
)


class Trials:
    """The trials of one open database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def get(self, trial_id: UUID | str) -> Trial:
        with self._storage.reading() as connection:
            row = trial_row(self._storage, connection, trial_id)
        return self._trial(row)

    def of_experiment(self, experiment_id: UUID | str) -> list[Trial]:
        with self._storage.reading() as connection:
            row = experiment_row(self._storage, connection, experiment_id)
        return [
            self._trial(each) for each in pages(self._storage, select(trials), row.id)
        ]

    def named(self, name: str) -> list[Trial]:
        return self.of_experiment(self._named(name).id)

    def ids_named(self, name: str) -> list[UUID]:
        query = select(trials.c.id)
        rows = pages(self._storage, query, self._named(name).id)
        return [UUID(row.id) for row in rows]

    def progress(self, name: str) -> list[dict[str, Any]]:
        experiment = self._named(name)
        return [
            {
                "trial_id": row.id,
                "experiment_id": row.experiment_id,
                "experiment_name": experiment.name,
                "trial_index": row.trial_index,
                "configuration": self._decode(row, "configuration"),
                "has_finished": row.status == Status.FINISHED,
                "status": row.status,
                "attempts": row.attempts,
                "started_at": row.started_at,
                "finished_at": row.finished_at,
                "duration": row.duration,
                "run_id": row.run_id,
                "rank": row.rank,
                "hostname": row.hostname,
                "error_type": row.error_type,
                "error_message": row.error_message,
                "error": row.error,
            }
            for row in pages(self._storage, select(*_PROGRESS), experiment.id)
        ]

    def finished_ratio(self, name: str) -> float:
        experiment = self._named(name)
        trial_count: int = experiment.trial_count
        return self.counts(experiment.id)[Status.FINISHED] / trial_count

    def counts(
        self, experiment_id: UUID | str, share: Share | None = None
    ) -> dict[str, int]:
        """Return the number of trials of each status."""
        with self._storage.reading() as connection:
            row = experiment_row(self._storage, connection, experiment_id)
            return count_by_status(connection, row.id, row.trial_count, share)

    def unfinished(
        self, experiment_id: UUID | str, *, retry_failed: bool = True
    ) -> list[range]:
        """Return which trials are not finished, as ranges of indices in order."""
        text = as_id(experiment_id, "an experiment")
        query = (
            select(trials.c.trial_index)
            .where(trials.c.experiment_id == text, UNFINISHED)
            .order_by(trials.c.trial_index)
        )
        if not retry_failed:
            query = query.where(trials.c.status != Status.FAILED)
        if fatal := Deaths(self._storage).fatal(experiment_id):
            query = query.where(trials.c.trial_index.not_in(fatal))
        with self._storage.reading() as connection:
            if (whole := _without_gaps(connection, query)) is not None:
                return whole
            pages = connection.execute(query).scalars().partitions(_INDICES_AT_ONCE)
            return _ranges(
                checked_values(trials.c.trial_index, list(page)) for page in pages
            )

    def complete(self, trial_id: UUID | str, results: dict[str, Any]) -> None:
        encoded = documents.encode_payload(self._storage, "results", results)
        self.complete_encoded(trial_id, encoded)

    def complete_encoded(
        self, trial_id: UUID | str, results: Encoded, run_id: int | None = None
    ) -> None:
        with self._storage.transaction() as connection:
            row = trial_row(self._storage, connection, trial_id)
            unused = forget_arrays(
                connection, row.experiment_id, documents.references(row.results)
            )
            documents.keep_arrays(connection, row.experiment_id, results.arrays)
            document = results.document
            values = {"trial_id": row.id, "document": document, "run_id": run_id}
            connection.execute(_COMPLETE, {**values, "now": timestamps.now()})
        remove_unused(self._storage, unused)

    def release_running(self, experiment_id: UUID | str) -> None:
        """Give back what was begun and has not ended."""
        text = as_id(experiment_id, "an experiment")
        running = (trials.c.experiment_id == text) & (trials.c.status == Status.RUNNING)
        query = update(trials).where(running, UNFINISHED).values(status=Status.PENDING)
        with self._storage.transaction() as connection:
            connection.execute(query)

    def _named(self, name: str) -> Row[Any]:
        with self._storage.reading() as connection:
            return named_row(self._storage, connection, name)

    def _trial(self, row: Row[Any]) -> Trial:
        return Trial(
            UUID(row.id),
            UUID(row.experiment_id),
            row.trial_index,
            self._decode(row, "configuration"),
            None if row.results is None else lazy(self._decode(row, "results")),
            row.status,
            row.attempts,
            row.error_type,
            row.error_message,
            row.error,
            row.started_at,
            row.finished_at,
            row.duration,
            row.rank,
            row.hostname,
            row.run_id,
        )

    def _decode(self, row: Row[Any], column: str) -> Any:
        what = f"{column} of trial {row.id}"
        document = getattr(row, column)
        refer = partial(stored_array.refer, self._storage, row.experiment_id, what)
        return documents.decode(self._storage, row.experiment_id, document, what, refer)


def pages(
    storage: Storage, query: Select[Any], experiment_id: str
) -> Iterator[Row[Any]]:
    """Yield an experiment's rows in trial order, a few thousand per transaction.

    ``query`` must select the trials' ``id``.
    """
    first, last = id_range(experiment_id)
    page = (
        query.where(trials.c.id > bindparam("after"), trials.c.id <= last)
        .order_by(trials.c.id)
        .limit(_ROWS_AT_ONCE)
    )
    after = first[:-1]  # sorts just before the first
    while True:
        with storage.reading() as connection:
            found = connection.execute(page, {"after": after}).all()
            rows = all_checked(trials, found)
            if rows:
                after = later(after, rows[-1].id)
        yield from rows
        if len(rows) < _ROWS_AT_ONCE:
            return


def count_by_status(
    connection: Connection,
    experiment_id: str,
    trial_count: int,
    share: Share | None = None,
) -> dict[str, int]:
    """Return the number of trials of each status, in the share if there is one.

    Raises:
        BadRowError: ``trial_count`` is not how many there are.
    """
    require_trials(connection, experiment_id, trial_count)
    query = select(
        *(func.count().filter(trials.c.status == each) for each in _UNFINISHED)
    ).where(trials.c.experiment_id == experiment_id, UNFINISHED)
    if share is not None:
        query = query.where(trials.c.trial_index % share.total == share.number - 1)
        trial_count = share.size(trial_count)
    # Only these are in the index; the finished ones are the rest.
    counts = dict(zip(_UNFINISHED, connection.execute(query).one(), strict=True))
    return {**counts, Status.FINISHED: trial_count - sum(counts.values())}


def _without_gaps(connection: Connection, query: Select[Any]) -> list[range] | None:
    """Return the selected indices if they are one range, None if they are more.

    So a fresh sweep's million need not be fetched.
    """
    index = trials.c.trial_index
    bounds = query.order_by(None).with_only_columns(
        func.count(), func.min(index), func.max(index)
    )
    count, first, last = connection.execute(bounds).one()
    if not count:
        return []
    checked_values(index, [first, last])
    return [range(first, last + 1)] if count == last - first + 1 else None


def _ranges(pages: Iterable[list[int]]) -> list[range]:
    """Join indices that follow one another."""
    ranges: list[range] = []
    for page in pages:
        for piece in _pieces(page):
            if ranges and ranges[-1].stop == piece.start:
                ranges[-1] = range(ranges[-1].start, piece.stop)
            else:
                ranges.append(piece)
    return ranges


def _pieces(page: list[int]) -> Iterable[range]:
    first, last = page[0], page[-1]
    # Most pages of a sweep with few gaps, which are not to be looked at one by one.
    if last - first == len(page) - 1 and page == list(range(first, last + 1)):
        return [range(first, last + 1)]
    return (range(index, index + 1) for index in page)

"""Which trials of an experiment a verb is about: chosen by state, run, tag or SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..trial.outcome import Status
from .arguments import count

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator

    from ..database.session import Session
    from .arguments import Parser

_STATUSES = (Status.PENDING, Status.RUNNING, Status.FINISHED, Status.FAILED)
_WHERE_HELP = (
    "trials for which this SQL expression is true: over the columns of the view "
    "trials and their JSON, as in \"results ->> '$.loss' < 1\"; trials that no run has "
    "touched are never among them"
)


def add_selection(parser: Parser) -> None:
    """Add the options that choose trials; of several, all have to hold."""
    add = parser.add_argument
    add("--status", choices=_STATUSES, help="trials in this state")
    add("--tag", metavar="TAG", help="trials that have this tag; see 'tag'")
    add(
        "--run",
        metavar="N",
        type=count,
        help="trials that this run was the last to run; see 'runs'",
    )
    add("--where", metavar="SQL", help=_WHERE_HELP)


def selected(
    session: Session, given: Namespace, rows: Iterable[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the trials that were chosen."""
    wanted = _indices(session, given)
    for row in rows:
        is_wanted = wanted is None or row["index"] in wanted
        if is_wanted and given.status in (None, row["status"]):
            yield row


def made_by(session: Session, run: int) -> str:
    """Return the SQL condition for what a run was the last to run.

    Raises:
        NotFoundError: there is no such run.
    """
    return f"run_id = {session.runs.get(run)['id']}"


def _indices(session: Session, given: Namespace) -> set[int] | None:
    """Return which trials are chosen by their indices; None if all are."""
    found = []
    if given.tag is not None:
        found.append(session.notes.tagged(given.name, given.tag))
    expressions = [] if given.where is None else [given.where]
    if given.run is not None:
        expressions.append(made_by(session, given.run))
    if expressions:
        experiment_id = session.reports.overview_of(given.name)["id"]
        found += [
            session.upkeep.indices_where(experiment_id, each, aside=given.all)
            for each in expressions
        ]
    return set.intersection(*map(set, found)) if found else None

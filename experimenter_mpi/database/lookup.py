"""Find an experiment by name or id, and say what there is when it is not found."""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, func, select

from ..errors import NotFoundError
from ..experiment.experiment import TrialIds
from .file.rows import BadRowError, checked, checked_value
from .file.tables import experiments, trials

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row, Select

    from .file.storage import Storage

_LISTED = 5


def as_id(value: UUID | str, what: str) -> str:
    """Return an id as it is stored.

    Raises:
        NotFoundError: this cannot be an id, so there is nothing of that id.
    """
    try:
        return str(value if isinstance(value, UUID) else UUID(value))
    except (ValueError, TypeError, AttributeError):
        msg = (
            f"{value!r} is not the id of {what}: ids are UUIDs, as listed by "
            "get_experiments"
        )
        raise NotFoundError(msg) from None


def id_range(experiment_id: str) -> tuple[str, str]:
    """Return the first and last id that a trial of the experiment may have."""
    ids = TrialIds(UUID(experiment_id))
    return ids.text(0), ids.text((1 << 48) - 1)


def require_trials(connection: Connection, experiment_id: str, count: int) -> None:
    """Look at its last trial whether an experiment has as many as it says.

    Raises:
        BadRowError: it has more or fewer.
    """
    first, last = id_range(experiment_id)
    query = select(func.max(trials.c.id)).where(trials.c.id.between(first, last))
    found = connection.execute(query).scalar_one()
    if found != TrialIds(UUID(experiment_id)).text(count - 1):
        msg = f"column trial_count of table experiments holds {count}, which is wrong"
        raise BadRowError(msg)


def experiment_row(
    storage: Storage, connection: Connection, experiment_id: UUID | str
) -> Row[Any]:
    """Return the experiment's row by id.

    Raises:
        NotFoundError: there is none; lists those there are.
    """
    text = as_id(experiment_id, "an experiment")
    query = select(experiments).where(experiments.c.id == text)
    row = connection.execute(query).one_or_none()
    if row is None:
        known = _known(connection)
        msg = f"{storage.name} has no experiment {text}{_listed(known, known)}"
        raise NotFoundError(msg)
    found: Row[Any] = checked(experiments, row)
    return found


def find_named(connection: Connection, name: str) -> Row[Any] | None:
    """Return the experiment's row by name, None if there is none."""
    query = select(experiments).where(experiments.c.name == name)
    row = connection.execute(query).one_or_none()
    return None if row is None else checked(experiments, row)


def named_row(storage: Storage, connection: Connection, name: str) -> Row[Any]:
    """Return the experiment's row by name.

    Raises:
        NotFoundError: there is none; lists near names.
    """
    row = find_named(connection, name)
    if row is None:
        known = _known(connection)
        near = difflib.get_close_matches(str(name), known, n=_LISTED)
        msg = f"{storage.name} has no experiment '{name}'{_listed(near, known)}"
        raise NotFoundError(msg)
    return row


def trial_row(
    storage: Storage, connection: Connection, trial_id: UUID | str, *columns: Any
) -> Row[Any]:
    """Return a trial's row, or those ``columns`` of it.

    Raises:
        NotFoundError: there is none of this id.
    """
    text = as_id(trial_id, "a trial")
    query = _of_trial(*(columns or (trials,)))
    row = connection.execute(query, {"trial_id": text}).one_or_none()
    if row is None:
        raise no_trial(storage, text)
    found: Row[Any] = checked(trials, row)
    return found


@lru_cache(maxsize=16)  # making a statement takes longer than SQLite does to answer it
def _of_trial(*columns: Any) -> Select[Any]:
    return select(*columns).where(trials.c.id == bindparam("trial_id"))


def no_trial(storage: Storage, trial_id: str) -> NotFoundError:
    """Return the error that says that there is no such trial."""
    return NotFoundError(
        f"{storage.name} has no trial {trial_id}: get_trials_ids_by_name lists the "
        "ids of an experiment's trials"
    )


def _known(connection: Connection) -> list[str]:
    query = select(experiments.c.name).order_by(experiments.c.sequence)
    rows = connection.execute(query).scalars()
    return [checked_value(experiments.c.name, name) for name in rows]


def _listed(names: list[str], known: list[str]) -> str:
    if not known:
        return ": it has none yet"
    if not names:
        names = known
        start = "it has"
    else:
        start = "it has" if names == known else "did you mean"
    shown = ", ".join(f"'{name}'" for name in names[:_LISTED])
    rest = len(names) - _LISTED
    more = f" and {rest} more" if rest > 0 else ""
    return f": {start} {shown}{more}" + ("?" if start == "did you mean" else "")

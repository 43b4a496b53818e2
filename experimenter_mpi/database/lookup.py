"""Find an experiment by name or id, and say what there is when it is not found."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import bindparam, select

from ..errors import NotFoundError
from ..experiment.experiment import TrialIds
from .file.rows import checked, checked_value
from .file.tables import experiments
from .records import TrialKeys, find

if TYPE_CHECKING:
    from sqlalchemy import Connection, Row

    from .file.storage import Storage
    from .records import TrialRow

_LISTED = 5
# So much of a trial's id says of which experiment it is; the rest is its number.
PREFIX = 24


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


_OF_TRIAL = select(experiments).where(experiments.c.trial_prefix == bindparam("prefix"))


def trial_keys(
    storage: Storage, connection: Connection, experiment_id: UUID | str
) -> TrialKeys:
    """Return the numbers and keys of an experiment's trials.

    Raises:
        NotFoundError: there is none of this id; lists those there are.
    """
    return TrialKeys(storage, experiment_row(storage, connection, experiment_id))


def keys_of_trial(
    storage: Storage,
    connection: Connection,
    trial_id: UUID | str,
    known: TrialKeys | None = None,
) -> tuple[TrialKeys, int]:
    """Return the experiment of a trial, ``known`` perhaps, and its number in it.

    Raises:
        NotFoundError: there is no trial of this id.
    """
    text = as_id(trial_id, "a trial")
    prefix, number = text[:PREFIX], int(text[PREFIX:], 16)
    if known is None or known.ids.prefix != prefix:
        row = connection.execute(_OF_TRIAL, {"prefix": prefix}).one_or_none()
        known = None if row is None else TrialKeys(storage, checked(experiments, row))
    if known is None or number >= known.size:
        raise no_trial(storage, text)
    return known, number


def trial_row(
    storage: Storage,
    connection: Connection,
    trial_id: UUID | str,
    *,
    results: bool = True,
) -> TrialRow:
    """Return all there is to say of a trial, whether it has a row or not.

    Raises:
        NotFoundError: there is none of this id.
    """
    keys, number = keys_of_trial(storage, connection, trial_id)
    return find(connection, keys, number, results=results)


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

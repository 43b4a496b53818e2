"""The views for who queries the file with SQL; this package never reads them.

``trials`` has a row for each row of ``trial_records``. Beside it each experiment has a
view of its own, with one column per parameter and result: made of its text alone, so
that a look at the text tells whether it is one of ours.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from .tables import LARGEST_NUMBER, NUMBER_BITS, STATUSES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sqlalchemy import Connection

Path = tuple[str, ...]
# SQLite makes results of 2,000 columns at most.
MOST_COLUMNS = 1_900
# Statements may have a million bytes, and a character may be four of them.
MOST_CHARACTERS = 200_000
_PREFIX = "experiment:"
_STATUS = " ".join(f"WHEN {code} THEN '{word}'" for code, word in enumerate(STATUSES))


def _iso(column: str) -> str:
    """Return SQL for a time as ``trial.outcome.iso`` writes it."""
    micros = f"CAST({column} * 1000000 + 0.5 AS INTEGER)"
    second = f"strftime('%Y-%m-%dT%H:%M:%S', {micros} / 1000000, 'unixepoch')"
    return f"{second} || printf('.%06d+00:00', {micros} % 1000000)"


def trials_of(experiment_id: str, prefix: str, source: str, condition: str) -> str:
    """Return the SELECT of the columns of ``trials``, for what the arguments say."""
    number = f"trial_records.key & {LARGEST_NUMBER}"
    return f"""SELECT
    {prefix} || printf('%012x', {number}) AS id,
    {experiment_id} AS experiment_id,
    {number} AS trial_index,
    trial_records.configuration AS configuration,
    CASE trial_records.status {_STATUS} END AS status,
    trial_records.results AS results,
    trial_records.attempts AS attempts,
    trial_errors.error_type AS error_type,
    trial_errors.error_message AS error_message,
    trial_errors.error AS error,
    {_iso("trial_records.started_at")} AS started_at,
    {_iso("trial_records.finished_at")} AS finished_at,
    trial_records.duration AS duration,
    trial_places.rank AS rank,
    trial_places.hostname AS hostname,
    trial_records.deaths AS deaths,
    trial_records.run_id AS run_id
FROM {source}
LEFT JOIN trial_places ON trial_places.id = trial_records.place
LEFT JOIN trial_errors ON trial_errors.key = trial_records.key
WHERE {condition}"""  # noqa: S608 - of our own constants


COLUMNS = tuple(re.findall(r" AS (\w+)(?=,|\n)", trials_of("''", "''", "x", "1")))
# CROSS JOIN: for each experiment a range of keys is read, never the other way round.
TRIALS = "CREATE VIEW trials AS " + trials_of(
    "experiments.id",
    "experiments.trial_prefix",
    "experiments CROSS JOIN trial_records",
    f"trial_records.key BETWEEN experiments.sequence << {NUMBER_BITS} "
    f"AND experiments.sequence << {NUMBER_BITS} | {LARGEST_NUMBER}",
)


class Column(NamedTuple):
    """A column of an experiment's view: whose entry it is, and where that stands."""

    document: str
    path: Path


_HEAD = (
    f"SELECT key & {LARGEST_NUMBER} AS trial_index, CASE status {_STATUS} END AS status"
)
_COLUMN = (
    r"(?:, json_extract\((?:configuration|results), '(?:[^']|'')*'\) "
    r'AS "(?:[^"]|"")*")*'
)
_OURS = re.compile(
    r'CREATE VIEW "(?:[^"]|"")*" AS '
    + re.escape(_HEAD)
    + _COLUMN
    + r" FROM trial_records WHERE key BETWEEN (\d{1,19}) AND (\d{1,19})"
)


def text_of(name: str, sequence: int, columns: Iterable[Column]) -> str:
    """Return the text of an experiment's view, as it stands in the schema."""
    entries = "".join(
        f", json_extract({column.document}, {_literal(_json_path(column.path))}) "
        f"AS {quoted(label)}"
        for label, column in _labelled(columns)
    )
    first = sequence << NUMBER_BITS
    return (
        f"CREATE VIEW {quoted(name)} AS {_HEAD}{entries} FROM trial_records "
        f"WHERE key BETWEEN {first} AND {first | LARGEST_NUMBER}"
    )


def sequence_of(text: str) -> int | None:
    """Return of which experiment a view is, by its text; None if it is not ours."""
    found = _OURS.fullmatch(text)
    if found is None:
        return None
    first, last = map(int, found.groups())
    sequence = first >> NUMBER_BITS
    is_whole = (first, last) == (sequence << NUMBER_BITS, first | LARGEST_NUMBER)
    return sequence if is_whole else None


def free_name(name: str, taken: Iterable[str]) -> str:
    """Return the name of an experiment's view: its own, or that with a prefix."""
    others = set(map(_folded, taken))
    while _folded(name) in others or _folded(name).startswith("sqlite_"):
        name = _PREFIX + name
    return name


def existing(connection: Connection) -> tuple[dict[int, tuple[str, str]], list[str]]:
    """Return the experiments' views, as name and text, and the names of all else."""
    query = "SELECT type, name, sql FROM sqlite_master"
    ours: dict[int, tuple[str, str]] = {}
    others: list[str] = []
    for kind, name, text in connection.exec_driver_sql(query):
        sequence = sequence_of(text or "") if kind == "view" else None
        if sequence is None or sequence in ours:
            others.append(name)
        else:
            ours[sequence] = name, text
    return ours, others


def can_be_column(path: Path) -> bool:
    """Whether SQLite's JSON functions of all versions can name this place."""
    return all(key and key.isprintable() and not {'"', "\\"} & {*key} for key in path)


def quoted(name: str) -> str:
    """Return a name as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _json_path(path: Path) -> str:
    return "$" + "".join(f'."{key}"' for key in path)


def _labelled(columns: Iterable[Column]) -> Iterator[tuple[str, Column]]:
    """Name the columns; a name that is taken gets its document's as a prefix."""
    taken = {"trial_index", "status"}
    for column in _most(columns):
        label = ".".join(key[1:] if key[:2] == "$$" else key for key in column.path)
        while _folded(label) in taken:
            label = f"{column.document}.{label}"
        taken.add(_folded(label))
        yield label, column


def _most(columns: Iterable[Column]) -> Iterator[Column]:
    """Yield as many columns as fit into a statement of SQLite."""
    room = MOST_CHARACTERS
    found = (column for column in columns if can_be_column(column.path))
    for column in islice(found, MOST_COLUMNS):
        room -= 3 * len("".join(column.path)) + 100
        if room < 0:
            return
        yield column


def _folded(name: str) -> str:
    """Return what two names have in common that are the same to SQLite."""
    return "".join(map(_lower, name))


def _lower(character: str) -> str:
    return character.lower() if character.isascii() else character

"""The tables, as the current schema version has them.

``configuration``, ``results`` and ``state`` are JSON text that any SQLite tool reads:
``SELECT configuration ->> '$.N', results ->> '$.distance' FROM trials``, which is a
view of ``trial_records``: see ``views``.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.types import UserDefinedType

metadata = MetaData()


class Blob(UserDefinedType[bytes]):
    """Bytes as the driver gives them: SQLAlchemy's own would make a number so long."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "BLOB"


# What is true of the file as a whole; its id, see properties.
database_properties = Table(
    "database_properties",
    metadata,
    Column("key", Text, primary_key=True, nullable=False),
    Column("value", Text, nullable=False),
)

experiments = Table(
    "experiments",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False, unique=True),
    Column("function_name", Text, nullable=False),
    Column("init_store_function_name", Text),
    Column("include_file", Text),
    Column("configuration", Text, nullable=False),
    Column("trial_count", Integer, nullable=False),
    Column("created_at", Text, nullable=False),
    # A decimal integer of up to 128 bits: too long for an INTEGER.
    Column("seed", Text),
    # How the ids of its trials begin; their last twelve digits are their numbers.
    Column("trial_prefix", Text, nullable=False, server_default=""),
    # Of an experiment that was extended: how many of its trials are asked for, and what
    # parameters are taken to be in trials that do not have them.
    Column("asked_count", Integer),
    Column("assume", Text),
    sqlite_autoincrement=True,
)

Index("experiments_by_prefix", experiments.c.trial_prefix, unique=True)


def _experiment_id(*, primary_key: bool = False) -> Column[str]:
    key = ForeignKey("experiments.id", ondelete="CASCADE")
    return Column("experiment_id", Text, key, nullable=False, primary_key=primary_key)


# What ``trial_records.status`` says; the view ``trials`` gives the words.
STATUSES = ("pending", "running", "finished", "failed")
PENDING, RUNNING, FINISHED, FAILED = range(len(STATUSES))
# A key is the experiment's sequence above so many bits, and the trial's number below.
NUMBER_BITS = 40
LARGEST_NUMBER = (1 << NUMBER_BITS) - 1
LARGEST_SEQUENCE = (1 << (63 - NUMBER_BITS)) - 1


def key_range(sequence: int) -> tuple[int, int]:
    """Return the first and the last key that a trial of an experiment may have."""
    first = sequence << NUMBER_BITS
    return first, first | LARGEST_NUMBER


# Runs of consecutive trial numbers. A grid without a document is the experiment's own
# configuration.
blocks = Table(
    "blocks",
    metadata,
    Column("experiment", Integer, primary_key=True, nullable=False),
    Column("first", Integer, primary_key=True, nullable=False),
    Column("count", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("document", Text),
    # Which points of its grid they are, as JSON: see boxes.py. NULL for all.
    Column("parts", Text),
)

# Runs of trial numbers that are not asked for any more.
set_aside = Table(
    "set_aside",
    metadata,
    Column("experiment", Integer, primary_key=True, nullable=False),
    Column("first", Integer, primary_key=True, nullable=False),
    Column("count", Integer, nullable=False),
)

# How many trials of an experiment have finished: counting them would read them all.
trial_counts = Table(
    "trial_counts",
    metadata,
    Column("experiment", Integer, primary_key=True, nullable=False),
    Column("finished", Integer, nullable=False, server_default=text("0")),
)

trial_places = Table(
    "trial_places",
    metadata,
    Column("id", Integer, primary_key=True, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("hostname", Text, nullable=False),
)
Index("places_by_name", trial_places.c.rank, trial_places.c.hostname, unique=True)

# The trials that matter: that ran, were completed by hand, or have a snapshot. What has
# no row is pending, and its configuration is computed.
trial_records = Table(
    "trial_records",
    metadata,
    Column("key", Integer, primary_key=True, nullable=False),
    Column("status", Integer, nullable=False, server_default=text("0")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    # How often its rank, or the whole job, died while it ran.
    Column("deaths", Integer, nullable=False, server_default=text("0")),
    # Seconds since the epoch, UTC.
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("duration", Float),
    # No foreign keys: they would be looked up for every row.
    Column("place", Integer),
    # The run that ran it last; NULL where it was completed by hand, or was never run.
    Column("run_id", Integer),
    Column("configuration", Text, nullable=False),
    Column("results", Text),
)
# Only unfinished trials are indexed: of most trials nothing is ever written but the
# row. An index of SQLite holds the key as well.
UNFINISHED = text("status <> 2")
Index("records_unfinished", trial_records.c.status, sqlite_where=UNFINISHED)
SUSPECTED = text("deaths > 0")
Index("records_suspected", trial_records.c.deaths, sqlite_where=SUSPECTED)

trial_errors = Table(
    "trial_errors",
    metadata,
    Column("key", Integer, primary_key=True, nullable=False),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("error", Text),
)

snapshots = Table(
    "snapshots",
    metadata,
    # AUTOINCREMENT: a number is never used again, so the largest is always the latest.
    Column("sequence", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column(
        "trial_id",
        Text,
        nullable=False,
        index=True,
    ),
    Column("label", Text),
    Column("state", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("run_id", Integer),
    sqlite_autoincrement=True,
)

# What people say of trials, which need no row for it.
trial_notes = Table(
    "trial_notes",
    metadata,
    Column("sequence", Integer, primary_key=True),
    Column("trial_id", Text, nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    sqlite_autoincrement=True,
)
trial_tags = Table(
    "trial_tags",
    metadata,
    Column("trial_id", Text, primary_key=True, nullable=False),
    Column("tag", Text, primary_key=True, nullable=False),
)

arrays = Table(
    "arrays",
    metadata,
    _experiment_id(primary_key=True),
    Column("id", Text, primary_key=True, nullable=False),
    Column("dtype", Text, nullable=False),
    Column("shape", Text, nullable=False),
    Column("order", Text, nullable=False),
    Column("nbytes", Integer, nullable=False),
    Column("path", Text, nullable=False),
    Column("data", Blob),
    Column("file", Text),
    Column("dataset", Text),
)
Index("arrays_in_files", arrays.c.file, sqlite_where=arrays.c.file.is_not(None))

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    _experiment_id(),
    Column("started_at", Text, nullable=False),
    Column("finished_at", Text),
    # NULL while the run is on, and until the next one after a crash.
    Column("ended", Text),
    Column("mode", Text),
    Column("ranks", Integer),
    Column("mpi_library", Text),
    Column("hostname", Text),
    Column("pid", Integer),
    Column("job_id", Text),
    Column("command_line", Text),
    Column("python_version", Text),
    Column("package_version", Text),
    Column("git_commit", Text),
    Column("git_dirty", Boolean),
    Column("finished_before", Integer),
    Column("finished", Integer),
    Column("failed", Integer),
    Column("pending", Integer),
    # What the run was asked to stop by, once it had some time to do so.
    Column("stop_reason", Text),
    # Which trials the run was for, as in 2/8; NULL for all.
    Column("share", Text),
    # The script's path, text and SHA-256, and the project's files that were used, as
    # JSON; see provenance.
    Column("script", Text),
    Column("script_hash", Text),
    Column("script_text", Text),
    Column("sources", Text),
    # JSON: the version of each package that was loaded.
    Column("packages", Text),
    Column("git_diff", Text),
    sqlite_autoincrement=True,
)

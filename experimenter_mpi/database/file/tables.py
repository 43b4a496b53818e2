"""The tables, as the current schema version has them.

``configuration``, ``results`` and ``state`` are JSON text that any SQLite tool reads:
``SELECT configuration ->> '$.N', results ->> '$.distance' FROM trials``.
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
    sqlite_autoincrement=True,
)


def _experiment_id(*, primary_key: bool = False) -> Column[str]:
    key = ForeignKey("experiments.id", ondelete="CASCADE")
    return Column("experiment_id", Text, key, nullable=False, primary_key=primary_key)


trials = Table(
    "trials",
    metadata,
    # The ids of one experiment sort by trial index, so this order is trial order.
    Column("id", Text, primary_key=True, nullable=False),
    _experiment_id(),
    Column("trial_index", Integer, nullable=False),
    Column("configuration", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("results", Text),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("error", Text),
    Column("started_at", Text),
    Column("finished_at", Text),
    Column("duration", Float),
    Column("rank", Integer),
    Column("hostname", Text),
    # How often its rank, or the whole job, died while it ran.
    Column("deaths", Integer, nullable=False, server_default=text("0")),
    # The run that ran it last; NULL where it was completed by hand, or was never run.
    # No foreign key: it would be looked up for every row. Runs go with their trials.
    Column("run_id", Integer),
)
# Only unfinished trials are indexed: a finished one leaves the index instead of moving
# inside it, and "what is left" and "how many" stay fast however large the results are.
UNFINISHED = text("status <> 'finished'")
Index(
    "trials_unfinished",
    trials.c.experiment_id,
    trials.c.trial_index,
    trials.c.status,
    sqlite_where=UNFINISHED,
)

SUSPECTED = text("deaths > 0")
Index(
    "trials_suspected",
    trials.c.experiment_id,
    trials.c.trial_index,
    sqlite_where=SUSPECTED,
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
        ForeignKey("trials.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("label", Text),
    Column("state", Text, nullable=False),
    Column("created_at", Text, nullable=False),
    Column("run_id", Integer),
    sqlite_autoincrement=True,
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

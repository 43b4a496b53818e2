"""The tables as schema version 1 had them. They must never change."""

from __future__ import annotations

STATEMENTS = (
    """
    CREATE TABLE experiments (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        function_name TEXT NOT NULL,
        init_store_function_name TEXT,
        include_file TEXT,
        configuration TEXT NOT NULL,
        trial_count INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        UNIQUE (id),
        UNIQUE (name)
    )
    """,
    """
    CREATE TABLE arrays (
        experiment_id TEXT NOT NULL,
        id TEXT NOT NULL,
        dtype TEXT NOT NULL,
        shape TEXT NOT NULL,
        "order" TEXT NOT NULL,
        nbytes INTEGER NOT NULL,
        path TEXT NOT NULL,
        data BLOB,
        file TEXT,
        dataset TEXT,
        PRIMARY KEY (experiment_id, id),
        FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX arrays_in_files ON arrays (file) WHERE file IS NOT NULL
    """,
    """
    CREATE TABLE runs (
        id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        experiment_id TEXT NOT NULL,
        started_at TEXT NOT NULL,
        finished_at TEXT,
        ended TEXT,
        mode TEXT,
        ranks INTEGER,
        mpi_library TEXT,
        hostname TEXT,
        pid INTEGER,
        job_id TEXT,
        command_line TEXT,
        python_version TEXT,
        package_version TEXT,
        git_commit TEXT,
        git_dirty BOOLEAN,
        finished_before INTEGER,
        finished INTEGER,
        failed INTEGER,
        pending INTEGER,
        FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TABLE trials (
        id TEXT NOT NULL,
        experiment_id TEXT NOT NULL,
        trial_index INTEGER NOT NULL,
        configuration TEXT NOT NULL,
        status TEXT DEFAULT 'pending' NOT NULL,
        results TEXT,
        attempts INTEGER DEFAULT 0 NOT NULL,
        error_type TEXT,
        error_message TEXT,
        error TEXT,
        started_at TEXT,
        finished_at TEXT,
        duration FLOAT,
        rank INTEGER,
        hostname TEXT,
        PRIMARY KEY (id),
        FOREIGN KEY(experiment_id) REFERENCES experiments (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX trials_unfinished ON trials (experiment_id, trial_index, status)
    WHERE status <> 'finished'
    """,
    """
    CREATE TABLE snapshots (
        sequence INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL,
        trial_id TEXT NOT NULL,
        label TEXT,
        state TEXT NOT NULL,
        created_at TEXT NOT NULL,
        UNIQUE (id),
        FOREIGN KEY(trial_id) REFERENCES trials (id) ON DELETE CASCADE
    )
    """,
    """
    CREATE INDEX ix_snapshots_trial_id ON snapshots (trial_id)
    """,
)

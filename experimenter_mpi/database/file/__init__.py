"""One SQLite file: opening, locking, schema, rows."""

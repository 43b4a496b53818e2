"""A reader that looks at a database all the time, and forgets nothing it has seen."""

from __future__ import annotations

import re
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from experimenter_mpi import DatabaseError, NotFoundError
from support import swept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from typing_extensions import Self

_DOCUMENTS = (
    ("results of", "SELECT id, results FROM trials WHERE status = 'finished'"),
    ("snapshot", "SELECT id, state FROM snapshots"),
)
_ARRAYS = "SELECT id, file, data IS NOT NULL FROM arrays"
_REFERENCE = re.compile(r'"\$array":"([0-9a-f]{32})"')
# Before the first run has made its tables, there is nothing to be read.
_NOT_YET = "not yet a database"
_NO_TABLES = ("no such table", "unable to open database file")


class Witness:
    """Polls on a thread of its own, by this package's reader and by plain sqlite3.

    ``wrong`` gets a line for all that must not be: what was seen durable and is gone
    or has changed, a reference to an array that is not there, a reader's error.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._documents: dict[tuple[str, str], str] = {}
        self._content = swept.Content({}, {})
        self._stop = threading.Event()
        self._looking = threading.Lock()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self.wrong: list[str] = []
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def look(self) -> None:
        """Look once, by both ways of reading."""
        with self._looking:
            self._look_plainly()
            self._look_as_user()
            self.looks += 1

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Leave the database alone, reading not even its locks."""
        with self._looking:
            yield

    def _poll(self) -> None:
        while not self._stop.wait(0.01):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a blind witness must not pass
                self.wrong.append(f"the witness itself: {error!r}")

    def _look_as_user(self) -> None:
        try:
            seen = swept.content(self._database)
        except NotFoundError:  # no file, or no experiment in it yet
            self._compare("trial", self._content.finished, {})
            return
        except (DatabaseError, AssertionError, ValueError) as error:
            if self._content.finished or _NOT_YET not in str(error):
                self.wrong.append(f"the package's reader: {error!r}")
            return
        self._compare("trial", self._content.finished, seen.finished)
        self._compare("snapshot", self._content.snapshots, seen.snapshots)

    def _look_plainly(self) -> None:
        try:
            documents, arrays = self._query()
        except sqlite3.OperationalError as error:
            if self._documents or not str(error).startswith(_NO_TABLES):
                self.wrong.append(f"sqlite3: {error}")
            return
        self._compare("document", self._documents, documents)
        for key, text in documents.items():
            for reference in _REFERENCE.findall(text):
                self._check_array(key, arrays.get(reference))

    def _query(self) -> tuple[dict[tuple[str, str], str], dict[str, Any]]:
        uri = f"file:{self._database}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as plain:
            plain.execute("BEGIN")
            documents = {
                (what, row[0]): row[1]
                for what, query in _DOCUMENTS
                for row in plain.execute(query)
            }
            arrays = {row[0]: row[1:] for row in plain.execute(_ARRAYS)}
        return documents, arrays

    def _check_array(self, key: Any, array: tuple[str | None, int] | None) -> None:
        if array is None:
            self.wrong.append(f"{key} refers to an array that is not in the table")
            return
        file, has_data = array
        folder = self._database.with_name(f"{self._database.name}.arrays")
        if not has_data and not (file and (folder / file).is_file()):
            self.wrong.append(f"{key} refers to {file}, which is not there")

    def _compare(
        self, what: str, before: dict[Any, str], now: Mapping[Any, str]
    ) -> None:
        for key, value in before.items():
            if key not in now:
                self.wrong.append(f"{what} {key} was there and is gone")
            elif now[key] != value:
                self.wrong.append(f"{what} {key} has changed")
        before.update(now)


def soundness(database: Path) -> str:
    """Return what SQLite's own check says: ``ok``, or what is damaged."""
    with closing(sqlite3.connect(database)) as plain:
        (verdict,) = plain.execute("PRAGMA integrity_check").fetchone()
    return str(verdict)


def unreferenced(database: Path, arrays: Path) -> set[str]:
    """Return the files in the folder ``arrays`` that no row of the database names."""
    there = {str(path.relative_to(arrays)) for path in arrays.rglob("*.*")}
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(database)) as db:
        query = "SELECT file FROM arrays WHERE file IS NOT NULL"
        there -= {row[0] for row in db.execute(query)}
    return there

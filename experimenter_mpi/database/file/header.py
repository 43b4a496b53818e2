"""What the first bytes of a file say, without opening it as a database."""

from __future__ import annotations

import os
from typing import NamedTuple

from .descriptors import first_bytes

_MAGIC = b"SQLite format 3\x00"
_BYTES = 100
_WAL_VERSION = 2
_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")


class Header(NamedTuple):
    """The part of an SQLite file's header that decides how it may be opened."""

    is_wal: bool
    application_id: int


def read_header(path: str) -> Header | None:
    """Return the file's header, None if it is no SQLite database.

    A file with nothing in it counts as a database: SQLite takes it for one.
    """
    start = first_bytes(path, _BYTES)
    if not start:
        return Header(is_wal=False, application_id=0)
    if len(start) < _BYTES or not start.startswith(_MAGIC):
        return None
    return Header(start[18] == _WAL_VERSION, int.from_bytes(start[68:72], "big"))


def has_wal(path: str) -> bool:
    """Whether changes wait beside the file that are not yet in it."""
    try:
        return os.path.getsize(path + "-wal") > 0
    except OSError:
        return False


def has_cold_journal(path: str) -> bool:
    """Whether a writer died over its journal before it had changed the database.

    SQLite writes the first byte last, and takes no notice of a journal without it.
    """
    try:
        with open(path + "-journal", "rb") as journal:
            return journal.read(1) in (b"", b"\x00") and os.path.getsize(path) > 0
    except OSError:
        return False


def is_wal(path: str) -> bool:
    """Whether the file says that it is used with a WAL."""
    try:
        header = read_header(path)
    except OSError:
        return False
    return header is not None and header.is_wal


def names_other_file(path: str) -> bool:
    """Whether rolling the journal beside the file back would touch another file.

    A journal that ends so belongs to a transaction over several databases, and names
    a file of which SQLite deletes whatever it is. We never write such a one.
    """
    try:
        with open(path + "-journal", "rb") as file:
            file.seek(-len(_JOURNAL_MAGIC), os.SEEK_END)
            return file.read() == _JOURNAL_MAGIC
    except OSError:
        return False

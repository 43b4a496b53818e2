"""``--log-level`` and ``--log-file``: where the records of this package's logger go.

Imported where they are given; who configures ``logging`` in a script needs neither.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, NamedTuple

from .. import output
from ..coordination.trail import LOGGER
from ..encoding.disk import reason
from ..errors import ExperimenterError

if TYPE_CHECKING:
    from ..trial.outcome import Place

_FORMAT = "%(asctime)s rank {rank} on {host} %(levelname)s %(message)s"
# What stands for the rank in the name of a file.
_RANKS = ("%r", "{rank}")

_handlers: list[logging.Handler] = []


class Log(NamedTuple):
    """What is logged, and where to: a file, or standard error if there is none."""

    level: str
    file: str | None = None


def begin(log: Log, place: Place) -> None:
    """Log from now on, in the place of what was given before.

    A file whose name holds no rank is rank 0's: from several hosts its lines could
    overwrite one another.

    Raises:
        ExperimenterError: the file cannot be written.
    """
    logger = logging.getLogger(LOGGER)
    while _handlers:
        before = _handlers.pop()
        logger.removeHandler(before)
        before.close()
    if log.file is not None and place.rank and not any(r in log.file for r in _RANKS):
        return
    handler = _ToStandardError() if log.file is None else _file(log.file, place.rank)
    text = _FORMAT.format(rank=place.rank, host=place.hostname)
    handler.setFormatter(logging.Formatter(text))
    logger.addHandler(handler)
    logger.setLevel(log.level.upper())
    _handlers.append(handler)


def _file(path: str, rank: int) -> logging.Handler:
    for each in _RANKS:
        path = path.replace(each, str(rank))
    try:
        return _ToFile(path)
    except OSError as error:
        msg = f"cannot write the log {path}: {reason(error)}"
        raise ExperimenterError(msg) from error


class _ToFile(logging.FileHandler):
    """Appends to a file; what cannot be written any more is dropped."""

    def __init__(self, path: str) -> None:
        folder = os.path.dirname(path)
        if folder:
            os.makedirs(folder, exist_ok=True)
        super().__init__(path, encoding="utf-8", errors="backslashreplace")

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Do nothing: a full disk is not a reason to print or to stop."""


class _ToStandardError(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        output.say(self.format(record))

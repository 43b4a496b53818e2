"""What the system says when a file cannot be written: one line, with the remedy."""

from __future__ import annotations

import errno
import os
import re

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def reason(error: BaseException) -> str:
    """Return the system's own words, to which HDF5 adds some two hundred characters."""
    number = error.errno if isinstance(error, OSError) else None
    number = number or _number_in(str(error))
    if number is None:
        return " ".join(str(error).split())
    text = os.strerror(number)
    return f"{text}; free some space and rerun" if number in _NO_ROOM else text


def _number_in(text: str) -> int | None:
    """Return the system's number, which closing an HDF5 file only tells in words."""
    found = re.search(r"\berrno = (\d+)", text)
    return int(found[1]) if found else None

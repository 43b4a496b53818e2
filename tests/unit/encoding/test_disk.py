"""What the system says when a file cannot be written, in one line."""

from __future__ import annotations

import errno

import pytest

from experimenter_mpi.encoding.disk import reason

ROOM = "No space left on device; free some space and rerun"
HDF5 = "Can't write (file write failed: time = now\n, errno = 28, error message = 'No"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ENOSPC, "in whatever words"), ROOM),
        (OSError(errno.EFBIG, ""), "File too large; free some space and rerun"),
        (OSError(errno.EDQUOT, ""), "Disk quota exceeded; free some space and rerun"),
        (OSError(errno.EROFS, HDF5), "Read-only file system"),
        (OSError(HDF5), ROOM),
        (RuntimeError(HDF5), ROOM),
        (RuntimeError("some\n  other"), "some other"),
        (OSError(), ""),
    ],
)
def test_a_reason_is_the_systems_own_words_with_the_remedy(error, expected):
    assert expected == reason(error)

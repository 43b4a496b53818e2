"""Which file system a path is on, since SQLite's WAL breaks on the networked ones."""

from __future__ import annotations

import os
import re

# WAL needs memory shared between the readers of a file, which only one kernel gives.
# Anything not known to be local is treated as shared: NFS, Lustre, GPFS, BeeGFS, ...
LOCAL = frozenset(
    {
        *("apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs"),
        *("hfsplus", "jfs", "ntfs", "ntfs3", "overlay", "ramfs", "reiserfs"),
        *("tmpfs", "ufs", "vfat", "xfs", "zfs"),
    }
)
_MOUNT_POINT = 4
_ESCAPED = re.compile(r"\\([0-7]{3})")


def type_of(path: str, mountinfo: str) -> str | None:
    """Return the type of the file system that holds ``path``, None if unknown.

    ``mountinfo`` is the text of ``/proc/self/mountinfo``; of mounts over one another
    the last one counts.
    """
    best, found = "", None
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if not separator or len(fields) <= _MOUNT_POINT:
            continue
        escaped = fields[_MOUNT_POINT]
        mount_point = _ESCAPED.sub(lambda octal: chr(int(octal[1], 8)), escaped)
        if _holds(mount_point, path) and len(mount_point) >= len(best):
            best, found = mount_point, kinds[0]
    return found


def _holds(mount_point: str, path: str) -> bool:
    folder = mount_point.rstrip("/") + "/"
    return path == mount_point or path.startswith(folder)


def kind_of(path: str) -> str | None:
    """Return the type of the file system that holds ``path`` here, None if unknown."""
    return type_of(os.path.realpath(path), _mountinfo())


def is_local(path: str) -> bool:
    """Whether ``path`` is on a file system known to be this machine's own."""
    return kind_of(path) in LOCAL


def _mountinfo() -> str:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # not Linux
        return ""

"""Which file systems may have a WAL, and times as they are stored."""

from __future__ import annotations

import time
from datetime import datetime, timezone

import pytest

from experimenter_mpi.database.file import filesystem, timestamps
from experimenter_mpi.trial.outcome import iso

MOUNTS = r"""
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:40 / /home rw,relatime shared:5 - nfs4 server:/home rw,vers=4.2
41 40 0:41 / /home/local rw - xfs /dev/sdb rw
42 27 0:42 / /scratch rw,relatime master:1 propagate_from:2 - lustre 10.0.0.1@o2ib:/s rw
43 27 0:43 / /two\040words rw - beegfs beegfs_nodev rw
44 27 0:44 / /over rw - ext4 /dev/sdc rw
45 44 0:45 / /over rw - fuse.sshfs me@there: rw
46 27 0:46 / /run/user rw - tmpfs tmpfs rw
broken line
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/heat.db", "ext4"),
        ("/", "ext4"),
        ("/home/me/heat.db", "nfs4"),
        ("/homes/me", "ext4"),
        ("/home", "nfs4"),
        ("/home/local/x", "xfs"),
        ("/scratch/a/b", "lustre"),
        ("/two words/x", "beegfs"),
        ("/over/x", "fuse.sshfs"),
        ("/run/user/0", "tmpfs"),
    ],
)
def test_the_deepest_and_latest_mount_decides(path, expected):
    assert filesystem.type_of(path, MOUNTS) == expected


def test_without_knowledge_nothing_is_local(monkeypatch):
    monkeypatch.setattr(filesystem, "_mountinfo", lambda: "")

    assert filesystem.type_of("/data", "") is None
    assert not filesystem.is_local("/data")


def test_links_are_followed(tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to("/scratch")
    monkeypatch.setattr(filesystem, "_mountinfo", lambda: MOUNTS)

    assert filesystem.is_local(str(tmp_path / "heat.db"))
    assert not filesystem.is_local(str(tmp_path / "link" / "heat.db"))


@pytest.mark.parametrize("kind", ["nfs4", "lustre", "gpfs", "beegfs", "fuse.x", "9p"])
def test_shared_and_unknown_file_systems_are_not_local(kind):
    assert kind not in filesystem.LOCAL


@pytest.mark.parametrize("seconds", [0.0, 0.9999999, 1e9 + 0.5, 1_700_000_000.123456])
def test_times_are_read_back_by_python(seconds):
    moment = datetime.fromisoformat(iso(seconds))

    assert moment.tzinfo == timezone.utc
    assert abs(moment.timestamp() - seconds) < 1e-6


def test_now_is_now():
    before = time.time()
    moment = datetime.fromisoformat(timestamps.now()).timestamp()

    assert before - 1e-5 <= moment <= time.time() + 1e-5

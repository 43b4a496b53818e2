"""Who holds a lock file, and whether that process still lives."""

from __future__ import annotations

import json
import os
import re
import socket
import uuid
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING

from ...cluster import processes
from ...cluster.schedulers import job_id
from . import timestamps

if TYPE_CHECKING:
    from ...cluster.processes import Process

# A living owner touches its lock four times a minute; NFS may show it a minute late.
DEAD_AFTER_SECONDS = 120.0
_LONGEST, _LONGEST_TEXT = 4096, 300
_LARGEST = {"pid": 2**31, "pid_start": 2**63}
# Part of the name of a file that whoever takes the lock over creates.
_TOKEN = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that holds a lock.

    ``space`` names the running kernel and its space of process ids: the same pid on
    another host, in another container or after a reboot is another process.
    """

    token: str
    host: str = ""
    pid: int = 0
    pid_start: int | None = None
    space: str | None = None
    job_id: str | None = None
    since: str = ""

    def text(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    def describe(self) -> str:
        if not self.pid:
            return "an unknown process"
        job = f", job {self.job_id}" if self.job_id else ""
        return f"process {self.pid} on {self.host}{job}, since {self.since}"

    def is_dead(self, age: float) -> bool:
        """Whether the process is gone; ``age`` is that of its last heartbeat."""
        if not self.can_be_asked():
            return age > DEAD_AFTER_SECONDS
        return not _lives(self.pid, self.pid_start)

    def can_be_asked(self) -> bool:
        """Whether the process is, or was, where this one can look for it."""
        near = self.host == socket.gethostname() and self.space == _space()
        return bool(self.pid and near)


_UNREADABLE = Owner(token="unreadable")  # noqa: S106 - no secret


def this_process() -> Owner:
    """Describe this process, with a token of its own for each lock it takes."""
    pid = os.getpid()
    return Owner(
        uuid.uuid4().hex,
        socket.gethostname(),
        pid,
        _start_of(pid),
        _space(),
        job_id(),
        timestamps.now(),
    )


def read_owner(path: str) -> Owner | None:
    """Return who a lock file names, None if there is no such file.

    One that says nothing readable was just created, or its creator died doing it.
    """
    try:
        with open(path, encoding="utf-8") as file:
            stored = json.loads(file.read(_LONGEST))
        given = {field.name: stored[field.name] for field in fields(Owner)}
        credible = all(_may_be(name, value) for name, value in given.items())
        return Owner(**given) if credible else _UNREADABLE
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return _UNREADABLE


def _may_be(name: str, value: object) -> bool:
    """Whether a field may be asked about and shown: the file may be a stranger's."""
    if name == "token":
        return isinstance(value, str) and _TOKEN.fullmatch(value) is not None
    if name in ("pid", "pid_start"):
        return value is None or (type(value) is int and 0 <= value < _LARGEST[name])
    if value is None:
        return name != "host"
    return isinstance(value, str) and len(value) < _LONGEST_TEXT and value.isprintable()


def age_of(path: str, token: str) -> float:
    """Return the seconds since the file was touched, by the file system's own clock.

    Clocks of hosts differ, so the file is compared with one that is written now.
    """
    probe = f"{path}.now-{token}"
    with open(probe, "w", encoding="utf-8") as file:
        file.write("now")
    try:
        now = os.stat(probe).st_mtime
    finally:
        os.unlink(probe)
    try:
        return now - os.stat(path).st_mtime
    except FileNotFoundError:  # released since
        return 0.0


def _lives(pid: int, pid_start: int | None) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        pass
    process = _process(pid)
    if process is None:
        return True
    return not process.has_ended and pid_start in (None, process.started)


def _start_of(pid: int) -> int | None:
    process = _process(pid)
    return None if process is None else process.started


def _process(pid: int) -> Process | None:
    try:
        return processes.stat(pid)
    except (OSError, ValueError, IndexError):
        return None


def _space() -> str | None:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None

"""How a child process ended, in words that say what probably happened."""

from __future__ import annotations

import os
import signal

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_HINTS = {
    "SIGABRT": "abort(), perhaps of a C library; its message is in the output",
    "SIGKILL": "perhaps out of memory",
    "SIGXCPU": "its CPU time was limited",
}


UNKNOWN = "its process ended, and another part of the program collected its exit status"
UNKILLABLE = "its process cannot be killed: it waits for a device or a file system"


def describe(status: int) -> str:
    """Describe how a process ended, from its ``waitpid`` status."""
    if not os.WIFSIGNALED(status):
        code = os.WEXITSTATUS(status)
        return (
            f"its process ended with exit code {code}: os._exit or a C library's exit"
        )
    name = _name(os.WTERMSIG(status))
    hint = f": {_HINTS[name]}" if name in _HINTS else ""
    return f"its process was killed by {name}{hint}"


def users_frames(stacks: str) -> str:
    """Leave out this package's own frames, which stand below the user's."""
    ours = (f'  File "{_PACKAGE}{os.sep}', '  File "<string>", line 1 in <module>')
    kept = (line for line in stacks.splitlines() if not line.startswith(ours))
    return "\n".join(kept).strip()


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal between the first and the last
        return f"signal {number}"

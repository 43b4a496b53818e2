"""Rank 0 leaves a script: the ranks that wait for it leave too, with its exit code.

Python tells nobody the code that it will exit with: an exit handler runs before it is
used, and ``sys.excepthook`` is not called for ``SystemExit``. So it is read where that
exception leaves the last frame of the main thread.
"""

from __future__ import annotations

import atexit
import gc
import sys
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from ..coordination.messages import Leave
from ..mpi.transport import CLOSE_SECONDS

if TYPE_CHECKING:
    from ..mpi.transport import Transport

# Of the numbers that sys.monitoring has for its users; 4 and below 3 have names.
_TOOL = 3


def dismiss_at_exit(transport: Transport) -> None:
    """Send the workers home when this process ends, wherever in a script they are."""
    code = ExitCode()
    atexit.register(_dismiss, transport, code)


def _dismiss(transport: Transport, code: ExitCode) -> None:
    if transport.is_open:
        transport.send_all(Leave(code.value))
        transport.flush(CLOSE_SECONDS)


class ExitCode:
    """The code that this process is about to exit with; 0 until something says else."""

    def __init__(self) -> None:
        self._given: Any = None
        if sys.version_info >= (3, 12):
            self._watch_frames(sys.monitoring)
        else:
            self._watch_lookups()

    @property
    def value(self) -> int:
        """The code as Python makes it from what ``SystemExit`` was given."""
        if self._given is None:
            return int(hasattr(sys, "last_type"))  # an exception that nobody caught
        return self._given if isinstance(self._given, int) else 1

    def _watch_frames(self, monitoring: Any) -> None:
        """Check each exception that leaves the last frame of the main thread."""

        def on_unwind(_code: object, _offset: int, error: BaseException) -> None:
            if isinstance(error, SystemExit) and _is_last(sys._getframe(1)):
                self._given = error.code

        try:
            monitoring.use_tool_id(_TOOL, __name__)
        except ValueError:  # a profiler has it
            return
        monitoring.register_callback(_TOOL, monitoring.events.PY_UNWIND, on_unwind)
        monitoring.set_events(_TOOL, monitoring.events.PY_UNWIND)

    def _watch_lookups(self) -> None:
        """Check who asks a ``SystemExit`` for its code: in the end it is Python itself.

        It does so when all frames are gone. Only Python 3.10 and 3.11 come here, and
        ``sys.exit`` has to make the exception, which they otherwise leave for later.
        """
        member = SystemExit.__dict__["code"]

        def look_up(error: SystemExit) -> Any:
            code = member.__get__(error)
            try:
                sys._getframe(1)
            except ValueError:
                self._given = code
            return code

        def leave(status: Any = None, /) -> NoReturn:
            raise SystemExit(status)

        from ctypes import py_object, pythonapi

        [attributes] = gc.get_referents(SystemExit.__dict__)
        attributes["code"] = property(look_up, member.__set__, member.__delete__)
        pythonapi.PyType_Modified(py_object(SystemExit))
        _replace_everywhere(sys.exit, leave)


def _replace_everywhere(old: object, new: object) -> None:
    """Put ``new`` wherever a module has ``old``, which it may have imported."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", {})
        for name in [name for name, value in list(names.items()) if value is old]:
            names[name] = new


def _is_last(frame: Any) -> bool:
    return (
        frame.f_back is None and threading.current_thread() is threading.main_thread()
    )

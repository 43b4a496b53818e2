"""Whether a trial that raised has stepped back, since the run is to stop, or failed.

Imported only when one has raised: most workers never read it.
"""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from .signals import pass_on, python_handlers

if TYPE_CHECKING:
    from .context import StopInfo

# How long a trial that has left waits for rank 0 to hear of the same signal.
NEWS_SECONDS = 1.0
LOOK_SECONDS = 0.01


def stepped_back(error: BaseException, trials: dict[int, Any], watch: StopInfo) -> bool:
    """Whether a trial has left since the run is to stop, and not since it failed.

    ``trials`` are the handlers that it had put in the place of the run's. One of them
    may have been called before rank 0 has said anything.
    """
    taken = [n for n, handler in trials.items() if _came_from(error, handler)]
    has_left = isinstance(error, (SystemExit, KeyboardInterrupt))
    present = python_handlers().values()
    if not (taken or has_left or any(_came_from(error, h) for h in present)):
        return False
    for number in taken:
        pass_on(number)
    deadline = time.monotonic() + NEWS_SECONDS
    while not watch.requested():
        if not trials or time.monotonic() >= deadline:
            return bool(taken)
        time.sleep(LOOK_SECONDS)
    return True


def _came_from(error: BaseException | None, handler: Any) -> bool:
    """Whether a signal handler raised this exception, or one before it."""
    if handler is signal.default_int_handler:
        return isinstance(error, KeyboardInterrupt)
    code = _code_of(handler)
    seen: set[int] = set()
    while code is not None and error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = error.__traceback__
        while frames is not None:
            if frames.tb_frame.f_code is code:
                return True
            frames = frames.tb_next
        error = error.__cause__ or error.__context__
    return False


def _code_of(handler: Any) -> Any:
    """Return the code that a handler runs, None where that is not Python's."""
    handler = getattr(handler, "func", handler)  # functools.partial
    if not hasattr(handler, "__code__"):
        handler = getattr(type(handler), "__call__", None)  # noqa: B004 - or a class's
    return getattr(handler, "__code__", None)

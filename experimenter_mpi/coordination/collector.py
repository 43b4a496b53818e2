"""The garbage collector, while trials come and go in their millions."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Python 3.12 begins with a few hundred objects frozen; whoever freezes has thousands.
FROZEN_BY_A_SCRIPT = 1000
# By how much objects become more before the collector looks at all: Python's own rule.
GROWTH = 1.25
# How many objects there were when the garbage collector last looked at all of them.
_looked_at = 0


def _freeze() -> None:
    """Hide all objects from the collector, once it has looked if they became many.

    Freezing makes it forget when it would have done so by itself, which a script of
    many runs would never come to.
    """
    global _looked_at  # noqa: PLW0603 - one collector in a process
    gc.freeze()
    _looked_at = _looked_at or gc.get_freeze_count()
    if gc.get_freeze_count() > GROWTH * _looked_at:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        _looked_at = gc.get_freeze_count()


@contextmanager
def older_objects_left_alone() -> Iterator[None]:
    """Make the garbage collector look only at objects created from now on.

    Each trial leaves a few objects that live until the next commit: enough for it to go
    through all that the imports have made, again and again.
    """
    is_ours = gc.get_freeze_count() < FROZEN_BY_A_SCRIPT
    if is_ours:
        _freeze()
    try:
        yield
    finally:
        if is_ours:
            gc.unfreeze()

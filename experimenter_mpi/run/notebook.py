"""A bar in a notebook: an output of its cell that is shown again as trials end.

It needs what every notebook has, and no widgets.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from html import escape
from typing import Any
from uuid import uuid4

# A front end draws no faster, and trials may end a thousand times a second.
REDRAW_SECONDS = 0.1


def is_notebook() -> bool:
    """Whether a notebook's kernel runs this process."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel")


class NotebookBar:
    """Shows how many of ``total`` trials are done, and a line of text beside it."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._id = f"experimenter_mpi {uuid4()}"
        self._drawn_at = 0.0
        self._is_drawn = False

    def show(self, done: int, line: str, *, last: bool = False) -> None:
        """Show it, unless it was shown just now; ``last`` is what stays there."""
        now = time.monotonic()
        if now - self._drawn_at < REDRAW_SECONDS and not last:
            return
        self._drawn_at = now
        with suppress(Exception):  # what cannot be shown stops no run
            self._draw(done, line)

    def _draw(self, done: int, line: str) -> None:
        from IPython.display import display

        style = "width: 16em; vertical-align: middle"
        bar = (
            f'<progress value="{done}" max="{self._total}" style="{style}"></progress>'
        )
        shown = {"text/plain": line, "text/html": f"{bar} {escape(line)}"}
        update, self._is_drawn = self._is_drawn, True
        show: Any = display  # which has no annotations
        show(shown, raw=True, display_id=self._id, update=update)

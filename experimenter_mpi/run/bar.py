"""The bar on a terminal, which rich draws where it is installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from .. import output

if TYPE_CHECKING:
    from collections.abc import Callable

INSTALL = 'pip install "experimenter_mpi[rich]"'
_WIDTH = 100


def is_installed() -> bool:
    """Whether there is what draws a bar."""
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return False
    return True


def rich_bar(width: int | None, pace: Callable[[], str]) -> Any:
    """Return rich's progress bar with columns for failures, and for ``pace()``."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.text import Text

    class PaceColumn(ProgressColumn):
        """Trials per second and what that makes of the rest."""

        def render(self, _task: Task) -> Text:
            return Text(pace())

    console = Console(
        file=output.beside(sys.stderr),
        force_terminal=True,
        width=width or _WIDTH,
        soft_wrap=False,
    )
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("[red]{task.fields[failures]}"),
        PaceColumn(),
        TimeElapsedColumn(),
        console=console,
    )

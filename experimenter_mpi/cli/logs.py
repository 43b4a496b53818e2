"""``--log-level`` and ``--log-file`` of ``run``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from ..run.log import Log

LEVELS = ("debug", "info", "warning", "error")  # of logging, which is not imported


def add_log(add: Callable[..., object]) -> None:
    add(
        "--log-level",
        choices=LEVELS,
        help="log what the run does, on each rank, to standard error or --log-file",
    )
    add(
        "--log-file",
        metavar="PATH",
        help="append the log to this file: that of rank 0, or with %%r or {rank} in "
        "the name one for each rank (level info, unless another is given)",
    )


def begun(given: Namespace) -> Log | None:
    """Begin to log on rank 0 if that is asked for; return what other ranks are told."""
    if given.log_level is None and given.log_file is None:
        return None
    from ..run import log
    from ..trial.outcome import Place

    file = None if given.log_file is None else os.path.abspath(given.log_file)
    chosen = log.Log(given.log_level or "info", file)
    log.begin(chosen, Place(0, os.uname().nodename))
    return chosen

"""The room that deleted results leave: given back, or said how."""

from __future__ import annotations

import sys
from shlex import quote
from typing import TYPE_CHECKING

from ..errors import DatabaseError, printable
from ..program import program
from .layout import hint

if TYPE_CHECKING:
    from uuid import UUID

    from ..database.session import Session


def give_room_back(session: Session, experiment_id: UUID | None = None) -> None:
    """Shrink the file after a deletion, which is committed already."""
    try:
        left = session.upkeep.tidy(experiment_id)
    except (DatabaseError, KeyboardInterrupt) as error:
        reason = printable(str(error)) or "interrupted"
        print(f"the file was not made smaller: {reason}", file=sys.stderr)
    else:
        if left is None:
            return
        print(f"{size(left.free)} of the file is free for new results")
    path = quote(session.storage.path or "DB")
    hint("to make it smaller", f"{program()} compact {path}")


def size(count: int) -> str:
    """Return a number of bytes as ``12.3 MB``."""
    return f"{count / 1e6:,.1f} MB"

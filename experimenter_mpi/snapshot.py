"""A snapshot: the saved state of a running trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import EncodingError

if TYPE_CHECKING:
    from uuid import UUID


class Snapshot(NamedTuple):
    """State that a trial saved, to go on from after an interruption.

    ``created_at`` is an ISO 8601 time in UTC, for people; which snapshot of a trial
    is the latest is decided by a sequence number, never by a clock.
    """

    id: UUID
    trial_id: UUID
    state: dict[str, Any]
    label: str | None
    created_at: str


def checked_label(label: object) -> str | None:
    """Give a label as plain text: a class of the user's is not known everywhere.

    Raises:
        EncodingError: it is no text.
    """
    if label is None:
        return None
    if not isinstance(label, str):
        kind = type(label).__name__
        msg = f"a snapshot's label must be text, not {kind}: give str({label!r:.40})"
        raise EncodingError(msg)
    return str.__str__(label)

"""A snapshot: the saved state of a running trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

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

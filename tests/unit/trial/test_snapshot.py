"""A snapshot: what a trial saved, as it is shown to it and to others."""

from __future__ import annotations

import uuid

import pytest

from experimenter_mpi.trial.context import Snapshot


def test_a_snapshot_does_not_change():
    snapshot = Snapshot(uuid.uuid4(), uuid.uuid4(), {"step": 1}, None, "2026-01-01")

    with pytest.raises(AttributeError):
        snapshot.label = "other"

"""Options: what execute was asked for beyond what to run and where."""

from __future__ import annotations

import inspect

from experimenter_mpi.run.execute import execute
from experimenter_mpi.run.retention import kept_snapshots
from experimenter_mpi.run.summary import Options


def test_its_defaults_are_those_of_execute():
    """The command line makes Options itself; both ways must mean the same."""
    promised = inspect.signature(execute).parameters
    shared = {
        name: promised[name].default for name in Options._fields if name in promised
    }

    shared["keep_snapshots"] = kept_snapshots(shared["keep_snapshots"])

    assert {**shared, "only": None, "log": None} == Options()._asdict()

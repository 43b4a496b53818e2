"""An experiment whose trials say when they began, and what their rank had loaded."""

from __future__ import annotations

import sys
import time
from typing import Any

from experimenter_mpi import Experiment, IntegerVariable


def began(_configuration: dict[str, Any], _trial_id: object) -> dict[str, Any]:
    """Return the time, by a clock that all processes of a machine share."""
    return {"at": time.monotonic(), "modules": len(sys.modules)}


experiment = Experiment(
    "first", function=began, configuration={"n": IntegerVariable(1, 64)}
)

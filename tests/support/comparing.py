"""Compare what two databases hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from experimenter_mpi.experiment.experiment import NoResults


def comparable(value: Any) -> Any:
    """Return a value that `==` compares wholly, arrays with their dtype and shape."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tolist()
    if isinstance(value, NoResults):
        return None
    if isinstance(value, dict):
        return {key: comparable(entry) for key, entry in value.items()}
    return value

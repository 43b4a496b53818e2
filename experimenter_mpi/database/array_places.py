"""Where the arrays of a trial's results are, for who reads parts of them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError, DatabaseError
from .lazy_results import unread
from .stored_array import StoredArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py

    from ..experiment.experiment import Trial


def array_path(trial: Trial, field: str) -> str:
    """Return the path of the HDF5 file that holds an array of a trial's results.

    ``field`` is the array's name, or those that lead to it: "spins", "final.spins".
    Any program may read the file; what it may not do is change it.

    Raises:
        ConfigurationError: there is no such array among the results.
        DatabaseError: it is in the database itself, as arrays of up to 1 MiB are.
        TrialNotFinishedError: the trial has no results.
    """
    return _stored(trial, field).place[0]


@contextmanager
def open_array(trial: Trial, field: str) -> Iterator[h5py.Dataset]:
    """Open an array of a trial's results as an h5py dataset, to read parts of it.

        with open_array(trial, "spins") as spins:
            corner = spins[:10, :10]

    The dataset is read-only and closed at the end of the block. Dates are in it as
    integers, with the attribute ``unit``; types that HDF5 lacks as bytes.

    Raises:
        As ``array_path``.
    """
    import h5py

    path, dataset = _stored(trial, field).place
    with h5py.File(path, "r", locking=False) as file:
        yield file[dataset]


def _stored(trial: Trial, field: str) -> StoredArray:
    found: Any = unread(trial.results, field)
    if isinstance(found, StoredArray):
        return found
    if type(found).__name__ == "ndarray":
        msg = (
            f"'{field}' of trial {trial.index} is in the database itself, as arrays "
            "of up to 1 MiB are: read it from trial.results"
        )
        raise DatabaseError(msg)
    msg = f"trial {trial.index} has no array '{field}' among its results"
    raise ConfigurationError(msg)

"""``to_dataframe``: an experiment as a pandas DataFrame, its types kept."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..database.handle import session_of
from ..errors import missing_package
from .columns import MISSING, Missing, named
from .trial_table import read

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from ..database.handle import ExperimentDatabase
    from .trial_table import TrialTable

# Up to here every integer is a float.
_EXACT = 1 << 53


def to_dataframe(
    database: ExperimentDatabase, name: str, *, arrays: str = "reference"
) -> pd.DataFrame:
    """Implements ``ExperimentDatabase.to_dataframe``; see there."""
    pandas = _pandas()
    return frame_of(pandas, read(session_of(database), name, arrays))


def _pandas() -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise missing_package("pandas", "pandas") from None
    return pd


def frame_of(pandas: Any, table: TrialTable) -> pd.DataFrame:
    """Return the frame of a table that was read."""
    facts = _facts(pandas, table)
    names = named(table.columns.lists, facts)
    columns = {
        name: array_of(pandas, table.columns.lists[place])
        for place, name in names.items()
    }
    frame: pd.DataFrame = pandas.DataFrame({**columns, **facts})
    numbers = table.facts.get("index", [])
    frame.index = pandas.Index(numbers, dtype="int64", name="trial")
    return frame


def _facts(pandas: Any, table: TrialTable) -> dict[str, Any]:
    def fact(name: str) -> list[Any]:
        return table.facts.get(name, [])

    errors = zip(fact("error_type"), fact("error_message"), strict=True)
    return {
        "status": array_of(pandas, fact("status")),
        "attempts": pandas.array(fact("attempts"), dtype="int64"),
        "error": array_of(
            pandas,
            [None if kind is None else f"{kind}: {text}" for kind, text in errors],
        ),
        "duration": pandas.array(fact("duration"), dtype="float64"),
        "rank": pandas.array(fact("rank"), dtype="Int64"),
        "hostname": array_of(pandas, fact("hostname")),
        "run": pandas.array(fact("run_id"), dtype="Int64"),
        **{
            name: pandas.to_datetime(fact(name), utc=True, format="ISO8601")
            for name in ("started_at", "finished_at")
        },
    }


def array_of(pandas: Any, values: Sequence[Any]) -> Any:
    """Return a column for pandas in the type that keeps all of its values."""
    kinds = frozenset(map(type, values))
    make = _MAKERS.get(kinds - {Missing, type(None)})
    made = make(pandas, values, kinds) if make is not None else None
    return _objects(pandas, values) if made is None else made


def _objects(pandas: Any, values: Sequence[Any]) -> Any:
    import numpy as np

    made = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        made[place] = None if value is MISSING else value
    return pandas.Series(made, dtype=object)


def _with_mask(values: Sequence[Any], kinds: frozenset[type], fill: Any) -> Any:
    """Return the values with ``fill`` in the gaps, and where those are, if any."""
    if kinds.isdisjoint((Missing, type(None))):
        return values, None
    mask = [value is None or value is MISSING for value in values]
    filled = [fill if gap else value for value, gap in zip(values, mask, strict=True)]
    return filled, mask


def _integers(pandas: Any, values: Sequence[Any], kinds: frozenset[type]) -> Any:
    import numpy as np

    filled, mask = _with_mask(values, kinds, 0)
    try:
        made = np.array(filled, dtype=np.int64)
    except OverflowError:
        return None
    if mask is None:
        return made
    return pandas.arrays.IntegerArray(made, np.array(mask))


def _booleans(pandas: Any, values: Sequence[Any], kinds: frozenset[type]) -> Any:
    import numpy as np

    filled, mask = _with_mask(values, kinds, fill=False)
    made = np.array(filled, dtype=bool)
    if mask is None:
        return made
    return pandas.arrays.BooleanArray(made, np.array(mask))


def _floats(pandas: Any, values: Sequence[Any], kinds: frozenset[type]) -> Any:
    import numpy as np

    if int in kinds and not all(
        -_EXACT <= value <= _EXACT for value in values if type(value) is int
    ):
        return None
    filled, mask = _with_mask(values, kinds, np.nan)
    made = np.array(filled, dtype=np.float64)
    if type(None) not in kinds:
        return made
    return pandas.arrays.FloatingArray(made, np.array(mask))


def _complex(_: Any, values: Sequence[Any], kinds: frozenset[type]) -> Any:
    import numpy as np

    if type(None) in kinds:
        return None
    filled, _mask = _with_mask(values, kinds, complex(np.nan, np.nan))
    return np.array(filled, dtype=np.complex128)


def _texts(pandas: Any, values: Sequence[Any], kinds: frozenset[type]) -> Any:
    filled, _mask = _with_mask(values, kinds, None)
    try:
        # Objects before pandas 3, which has a type for texts.
        return pandas.Series(filled).array
    except (UnicodeEncodeError, ValueError):  # half of a surrogate pair, say
        return None


def _times(pandas: Any, values: Sequence[Any], kinds: frozenset[type]) -> Any:
    filled, _mask = _with_mask(values, kinds, None)
    try:
        # Times with and without a zone, or beyond what pandas has, stay as they are.
        made = pandas.Series(filled, dtype=None)
    except (ValueError, TypeError, OverflowError):
        return None
    return None if made.dtype == object else made.array


_MAKERS: dict[frozenset[type], Callable[[Any, Sequence[Any], frozenset[type]], Any]] = {
    frozenset({int}): _integers,
    frozenset({bool}): _booleans,
    frozenset({float}): _floats,
    frozenset({int, float}): _floats,
    frozenset({complex}): _complex,
    frozenset({str}): _texts,
    frozenset({datetime}): _times,
    frozenset({timedelta}): _times,
}

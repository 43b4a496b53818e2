"""Read an experiment's trials as columns, a page of rows at a time."""

from __future__ import annotations

import json
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..database import documents
from ..database.stored_array import StoredArray
from ..errors import ConfigurationError, CorruptDocumentError
from .columns import DOCUMENTS, MISSING, Columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..database.session import Session

ARRAYS = ("reference", "load", "drop")
_ROWS_AT_ONCE = 2_000


class TrialTable:
    """Trials in order: ``columns`` of their documents, ``facts`` of their attempts.

    ``facts`` are lists by the name of what a row of the view ``trials`` holds.
    """

    def __init__(self) -> None:
        self.columns = Columns()
        self.facts: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return self.columns.count

    def add(self, page: Sequence[dict[str, Any]], decode: _Decode) -> None:
        self.columns.add({part: _read(page, part, decode) for part in DOCUMENTS})
        for name in page[0]:
            if name not in DOCUMENTS:
                self.facts.setdefault(name, []).extend(row[name] for row in page)


def read(session: Session, name: str, arrays: str = "reference") -> TrialTable:
    """Return all trials of an experiment.

    ``arrays`` is what becomes of arrays: "reference" leaves them where they are, as
    StoredArray, "load" reads them, "drop" leaves their columns out.

    Raises:
        ConfigurationError: ``arrays`` is none of these.
        NotFoundError: there is no experiment of this name.
        PickleRefusedError: a value is pickled, and the database does not allow it.
        CorruptDocumentError: what is stored of a trial is damaged.
    """
    if arrays not in ARRAYS:
        msg = f"arrays must be one of {', '.join(ARRAYS)}, not {arrays!r}"
        raise ConfigurationError(msg)
    experiment_id = str(session.experiments.get_named(name).id)
    refers: dict[str, Callable[[dict[str, Any]], Any]] = {
        "reference": partial(StoredArray, session.storage, experiment_id),
        "drop": lambda _: MISSING,
    }
    decode = _Decode(session, experiment_id, refers.get(arrays))
    table = TrialTable()
    rows = session.reports.attempted(name)
    for page in iter(lambda: list(islice(rows, _ROWS_AT_ONCE)), []):
        table.add(page, decode)
    if arrays == "drop":
        _drop_empty(table.columns)
    return table


class _Decode:
    """Decodes documents of one experiment."""

    def __init__(
        self,
        session: Session,
        experiment_id: str,
        refer: Callable[[dict[str, Any]], Any] | None,
    ) -> None:
        self._storage = session.storage
        self._experiment_id = experiment_id
        self._refer = refer

    def __call__(self, row: dict[str, Any], part: str) -> dict[str, Any]:
        what = f"{part} of trial {row['index']}"
        value = documents.decode(
            self._storage, self._experiment_id, row[part], what, self._refer
        )
        if not isinstance(value, dict):
            msg = f"{self._storage.name}: {what} is not a JSON object; rerun the trial"
            raise CorruptDocumentError(msg)
        return value


def _read(
    page: Sequence[dict[str, Any]], part: str, decode: _Decode
) -> list[dict[str, Any]]:
    """Return the documents of a page, none as an empty one.

    Plain JSON, which most are, is parsed a page at a time.
    """
    texts = [row[part] or "{}" for row in page]
    together = ",".join(texts)
    if "$" not in together and "\\u0024" not in together:
        try:
            found = json.loads(f"[{together}]")
            if len(found) == len(texts) and {dict} == set(map(type, found)):
                return found  # type: ignore[no-any-return]
        except (ValueError, RecursionError):
            pass  # one of them, which is named below
    return list(_one_by_one(page, part, decode))


def _one_by_one(
    page: Sequence[dict[str, Any]], part: str, decode: _Decode
) -> Iterator[dict[str, Any]]:
    for row in page:
        yield decode(row, part) if row[part] else {}


def _drop_empty(columns: Columns) -> None:
    for place, values in list(columns.lists.items()):
        if all(value is MISSING for value in values):
            del columns.lists[place]

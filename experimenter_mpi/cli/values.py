"""Show stored values without decoding them: no array is read, no pickle touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..encoding import codec
from ..encoding.nans import with_numbers
from ..errors import CorruptDocumentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..analysis.columns import Path

# Deeper ones are shown as they are written.
_DEEPEST = 20


def written(document: str | None) -> Any:
    """Return a document's JSON as it is written, None for none.

    Raises:
        CorruptDocumentError: it is no JSON.
    """
    return None if document is None else codec.parsed(document)


def leaves(document: str | None) -> dict[Path, Any]:
    """Return the entries of a document, nested ones by the keys that lead to them.

    Raises:
        CorruptDocumentError: it is no JSON, or no object.
    """
    value = (codec.plain(document) if document else None) or {}
    if not isinstance(value, dict):
        what = as_json(value)
        msg = f"a stored document is not a JSON object: {what:.60}; rerun the trial"
        raise CorruptDocumentError(msg)
    return dict(_entries(value, ()))


def _entries(value: dict[str, Any], above: Path) -> Iterator[tuple[Path, Any]]:
    for key, entry in value.items():
        path = (*above, key[1:] if key.startswith("$$") else key)
        nested = isinstance(entry, dict) and entry and len(path) <= _DEEPEST
        if nested and not is_tagged(entry):
            yield from _entries(entry, path)
        else:
            yield path, entry


def is_tagged(value: dict[str, Any]) -> bool:
    """Whether this object is a value that JSON lacks."""
    first = next(iter(value), "")
    return first.startswith("$") and not first.startswith("$$")


def as_json(value: Any, indent: int | None = None) -> str:
    """Return JSON text of what was read from JSON, infinities as they were in it.

    Raises:
        CorruptDocumentError: it is nested too deeply.
    """
    try:
        text = json.dumps(value, indent=indent)
        if "Infinity" not in text:
            return text
        return with_numbers(text, lambda word: word.replace("Infinity", "9e999"))
    except RecursionError:
        msg = "a stored document is nested too deeply to be shown: read it in Python"
        raise CorruptDocumentError(msg) from None

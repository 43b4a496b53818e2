"""From version 4 to 5: documents say NaN and infinities as SQL understands them.

Before, they were ``{"$float": "nan"}`` and the like, which ``avg()`` took for 0. What
is done here must never change.
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Any

from ...encoding.nans import with_nulls
from .engine import raw

if TYPE_CHECKING:
    from sqlalchemy import Connection

_DOCUMENTS = (
    ("experiments", "configuration"),
    ("trials", "configuration"),
    ("trials", "results"),
    ("snapshots", "state"),
)
_WORDS = {"nan": "NaN", "inf": "9e999", "-inf": "-9e999"}
_FUNCTION = "with_numbers_of_version_5"


def rewrite(connection: Connection) -> None:
    """Write all documents anew that hold one of them."""
    driver = raw(connection)
    driver.create_function(_FUNCTION, 1, rewritten, deterministic=True)
    for table, column in _DOCUMENTS:
        connection.exec_driver_sql(
            f"UPDATE {table} SET {column} = {_FUNCTION}({column}) "  # noqa: S608
            f"WHERE typeof({column}) = 'text' AND instr({column}, '$float')"
        )
    driver.create_function(_FUNCTION, 1, None)


def rewritten(document: str) -> str:
    """Return a document as version 5 has it; what cannot be read stays as it is."""
    try:
        text = _text(json.loads(document, parse_constant=_refuse))
        return with_nulls(text) if "NaN" in text else text
    except (ValueError, RecursionError):
        return document


def _refuse(word: str) -> Any:
    msg = f"{word} is no JSON"
    raise ValueError(msg)


def _text(plain: Any) -> str:
    if isinstance(plain, list):
        return f"[{','.join(map(_text, plain))}]"
    if isinstance(plain, float):
        return json.dumps(plain).replace("Infinity", "9e999")
    if not isinstance(plain, dict):
        return json.dumps(plain)
    if list(plain) == ["$float"] and plain["$float"] in tuple(_WORDS):
        return _WORDS[plain["$float"]]
    return "{" + ",".join(f"{quoted(key)}:{_entry(key, plain)}" for key in plain) + "}"


def _entry(key: str, plain: dict[str, Any]) -> str:
    entry = plain[key]
    if key in ("$set", "$frozenset") and isinstance(entry, list):
        # In the order of their texts, which are others now.
        return f"[{','.join(sorted(map(_text, entry)))}]"
    return _text(entry)

"""Show stored values without decoding them: no array is read, no pickle touched."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ..codec import parsed
from ..errors import CorruptDocumentError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 60
# Deeper ones are shown as they are written.
_DEEPEST = 20


def plain(document: str | None) -> Any:
    """Give a document's JSON, None for none.

    Raises:
        CorruptDocumentError: it is no JSON.
    """
    return None if document is None else parsed(document)


def flattened(value: Any) -> dict[str, Any]:
    """Give the entries of a document's JSON as columns; nested ones become ``a.b``.

    Raises:
        CorruptDocumentError: it is no object.
    """
    value = value or {}
    if not isinstance(value, dict):
        msg = f"a stored document is no object: {short(value)}; run the trial again"
        raise CorruptDocumentError(msg)
    return dict(_entries(value, "", 0))


def _entries(
    value: dict[str, Any], prefix: str, depth: int
) -> Iterator[tuple[str, Any]]:
    for key, entry in value.items():
        name = prefix + (key[1:] if key.startswith("$$") else key)
        nested = isinstance(entry, dict) and entry and depth < _DEEPEST
        if nested and not _is_tagged(entry):
            yield from _entries(entry, f"{name}.", depth + 1)
        else:
            yield name, entry


def _is_tagged(value: dict[str, Any]) -> bool:
    first = next(iter(value), "")
    return first.startswith("$") and not first.startswith("$$")


def short(value: Any) -> str:
    """Give a value of a document as a short text for a cell of a table."""
    if isinstance(value, str):
        text = value if value.isprintable() else repr(value)
    elif isinstance(value, dict) and _is_tagged(value):
        text = _tagged(value)
    elif isinstance(value, float):
        text = f"{value:.6g}"
    else:
        text = as_json(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def say(text: str) -> None:
    """Print what may be anybody's words, and no commands to the terminal."""
    print(printable(text))


def as_json(value: Any, indent: int | None = None) -> str:
    """Give JSON text of what was read from JSON.

    Raises:
        CorruptDocumentError: it is nested too deeply.
    """
    try:
        return json.dumps(value, indent=indent)
    except RecursionError:
        msg = "a stored document is nested too deeply to be shown: read it in Python"
        raise CorruptDocumentError(msg) from None


def _tagged(value: dict[str, Any]) -> str:
    tag, content = next(iter(value.items()))
    if tag == "$array" and isinstance(value.get("shape"), list):
        shape = ", ".join(map(str, value["shape"]))
        return f"array({shape}) {value.get('dtype')}"
    if tag == "$pickle":
        return f"pickled {value.get('type')}"
    if tag == "$complex" and isinstance(content, list) and len(content) == 2:  # noqa: PLR2004
        real, imaginary = content
        second = short(imaginary)
        sign = "" if second.startswith("-") else "+"
        return f"{short(real)}{sign}{second}j"
    if isinstance(content, str):
        return content
    return f"{tag[1:]} {as_json(content)}"

"""Show stored values without decoding them: no array is read, no pickle touched."""

from __future__ import annotations

import json
from typing import Any

LONGEST = 60


def flattened(document: str | None, prefix: str = "") -> dict[str, Any]:
    """Give a document's entries as columns; nested objects become ``a.b``."""
    value = json.loads(document) if document else {}
    return dict(_entries(value, prefix))


def _entries(value: dict[str, Any], prefix: str) -> Any:
    for key, entry in value.items():
        name = prefix + (key[1:] if key.startswith("$$") else key)
        if isinstance(entry, dict) and entry and not _is_tagged(entry):
            yield from _entries(entry, f"{name}.")
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
        text = json.dumps(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _tagged(value: dict[str, Any]) -> str:
    tag, content = next(iter(value.items()))
    if tag == "$array":
        shape = ", ".join(map(str, value.get("shape", ())))
        return f"array({shape}) {value.get('dtype')}"
    if tag == "$pickle":
        return f"pickled {value.get('type')}"
    if tag == "$complex":
        real, imaginary = content
        second = short(imaginary)
        sign = "" if second.startswith("-") else "+"
        return f"{short(real)}{sign}{second}j"
    if isinstance(content, str):
        return content
    return f"{tag[1:]} {json.dumps(content)}"

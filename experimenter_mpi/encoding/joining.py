"""Add entries to a document that is stored, without touching those that are there."""

from __future__ import annotations

import json

from ..errors import CorruptDocumentError
from .codec import parsed
from .rules import NAN_KEY


def joined(document: str, added: str) -> str:
    """Return a document with the entries of both, which have no key in common.

    What stands in either is repeated to the byte; where their NaNs are is one list.

    Raises:
        CorruptDocumentError: one of them is no object as ``encode`` writes it.
    """
    first, first_nans = _parts(document)
    second, second_nans = _parts(added)
    entries = ",".join(filter(None, (first, second)))
    nans = first_nans + second_nans
    if not nans:
        return f"{{{entries}}}"
    listed = json.dumps(nans, separators=(",", ":"))
    return f'{{{entries},"{NAN_KEY}":{listed}}}'


def keys_of(document: str) -> set[str]:
    """Return the keys of a document, as they are written."""
    found = parsed(document)
    if not isinstance(found, dict):
        msg = "stored results are no object"
        raise CorruptDocumentError(msg)
    return set(found) - {NAN_KEY}


def _parts(document: str) -> tuple[str, list[object]]:
    """Return what stands between the braces, and the list of NaNs at its end."""
    found = parsed(document)
    if not isinstance(found, dict) or document[:1] != "{" or document[-1:] != "}":
        msg = "stored results are no object as this package writes it"
        raise CorruptDocumentError(msg)
    nans = found.get(NAN_KEY, [])
    end = "}"
    if NAN_KEY in found:
        listed = json.dumps(nans, separators=(",", ":"))
        end = f',"{NAN_KEY}":{listed}}}'
        if not document.endswith(end) or not isinstance(nans, list):
            msg = f"stored results: {NAN_KEY} is not valid"
            raise CorruptDocumentError(msg)
    return document[1 : -len(end)], nans

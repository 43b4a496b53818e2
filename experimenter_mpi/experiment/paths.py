"""Entries of nested dicts, by the keys that lead to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .grid import Path


def entry_at(value: Any, path: Path) -> Any:
    """Return the entry at a path."""
    for key in path:
        value = value[key]
    return value


def with_entry(value: dict[str, Any], path: Path, new: Any) -> dict[str, Any]:
    """Return a dict with a new entry at a path, or without it if that is None."""
    key, *rest = path
    if rest:
        return {**value, key: with_entry(value[key], tuple(rest), new)}
    if new is None:
        return {name: entry for name, entry in value.items() if name != key}
    return {**value, key: new}

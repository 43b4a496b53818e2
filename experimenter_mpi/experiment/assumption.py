"""What a parameter is taken to be in trials that do not have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .grid import Expansion
from .variables import Variable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .grid import Path


def checked(assume: Any) -> dict[str, Any]:
    """Return what is assumed, as it is now.

    Raises:
        ConfigurationError: it is not a dict of names and values.
    """
    if not isinstance(assume, dict) or not all(isinstance(key, str) for key in assume):
        msg = f"assume must be a dict of names and values, not {assume!r}"
        raise ConfigurationError(msg)
    expansion = Expansion(assume)
    if expansion.axes or expansion.matched:
        msg = f"assume must have one value for each name, and no variable: {assume!r}"
        raise ConfigurationError(msg)
    return expansion.configuration


def essential(
    expansion: Expansion, assume: dict[str, Any], keep: frozenset[Path] = frozenset()
) -> Expansion:
    """Return a grid of as many points, with what is assumed, without what is derived.

    What is derived at the paths to ``keep`` stays.
    """
    configuration = expansion.configuration
    whole = filled(_without_derived(configuration, keep, ()), assume)
    return expansion if whole is configuration else Expansion(whole)


def derived_paths(value: dict[str, Any], path: Path = ()) -> Iterator[Path]:
    """Yield where a configuration has what follows from the rest."""
    for key, entry in value.items():
        if isinstance(entry, dict):
            yield from derived_paths(entry, (*path, key))
        elif isinstance(entry, Variable) and entry.is_derived:
            yield (*path, key)


def _without_derived(
    value: dict[str, Any], keep: frozenset[Path], path: Path
) -> dict[str, Any]:
    """Return a configuration without what is derived, itself where nothing is."""
    given = {}
    for key, entry in value.items():
        here = (*path, key)
        if isinstance(entry, dict):
            given[key] = _without_derived(entry, keep, here)
        elif here in keep or not isinstance(entry, Variable) or not entry.is_derived:
            given[key] = entry
    if len(given) == len(value) and all(given[key] is value[key] for key in given):
        return value
    return given


def filled(configuration: dict[str, Any], assume: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with what is assumed of parameters that it lacks."""
    if not assume:
        return configuration
    whole = dict(configuration)
    for key, value in assume.items():
        if key not in whole:
            whole[key] = value
        elif isinstance(value, dict) and isinstance(whole[key], dict):
            whole[key] = filled(whole[key], value)
        elif isinstance(whole[key], Variable) and whole[key].may_lack:
            whole[key] = whole[key].with_absent(value)
    return whole

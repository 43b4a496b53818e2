"""Which installed packages a run's code imports, and in which versions."""

from __future__ import annotations

import ast
import os
import sys
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from .sources import attribute_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_OURS = __name__.partition(".")[0]


def imported_by(texts: Mapping[str, bytes]) -> dict[str, str]:
    """Return the versions of the packages that these sources import, by name.

    ``texts`` are the sources by path. Names that they import from each other, from the
    standard library, or that are not installed are left out. A package is listed under
    the name it is imported by, whether its import was executed or not.
    """
    own = {_module_name(path) for path in texts}
    names = {name for text in texts.values() for name in _imports(text)}
    found = {
        name: version_of(name)
        for name in sorted(names - own - sys.stdlib_module_names - {_OURS})
    }
    return {name: version for name, version in found.items() if version is not None}


def _module_name(path: str) -> str:
    name = os.path.splitext(os.path.basename(path))[0]
    return os.path.basename(os.path.dirname(path)) if name == "__init__" else name


@lru_cache(maxsize=1000)
def _imports(source: bytes) -> frozenset[str]:
    """Return the top-level names that a source imports; none if it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its escapes, which Python has shown
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(name.partition(".")[0] for name in _imported_names(tree))


def _imported_names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module


@lru_cache(maxsize=1000)
def version_of(name: str) -> str | None:
    """Return the version of what is imported as ``name``; None if nobody says it."""
    module = sys.modules.get(name)
    said = attribute_of(module, "__version__")
    if isinstance(said, str):
        return said
    # Most packages are imported by the name they are installed by; looking for the
    # others reads what is known of every package.
    found = _installed([name])
    if found is None and module is not None:
        found = _installed(_distributions().get(name, ()))
    return found


def _installed(names: Iterable[str]) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    for name in names:
        try:
            found: str | None = version(name)
        except (PackageNotFoundError, ValueError):
            continue
        if found is not None:  # of a broken installation
            return found
    return None


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    from importlib.metadata import packages_distributions

    return packages_distributions()

"""Trials as columns: one for each parameter and each result, nested ones by their path.

{"solver": {"dt": 0.1}, "n": 3}    becomes    solver.dt, n
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Path: TypeAlias = tuple[str, ...]
# A document of a trial, and a path in it.
Place: TypeAlias = tuple[str, Path]

DOCUMENTS = ("configuration", "results")
# Deeper values stay as they are.
_DEEPEST = 20


class Missing:
    """The class of MISSING, which is in the place of a value that a trial lacks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Columns:
    """Columns that grow by pages of trials; ``lists`` are their values, by place."""

    def __init__(self) -> None:
        self.count = 0
        self.lists: dict[Place, list[Any]] = {}

    def add(self, page: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """Append trials; ``page`` has the documents of each kind, one per trial."""
        for part, documents in page.items():
            for path, entries in _columns(documents).items():
                self._column(part, path).extend(entries)
        self.count += len(next(iter(page.values())))
        for column in self.lists.values():
            column.extend([MISSING] * (self.count - len(column)))

    def _column(self, part: str, path: Path) -> list[Any]:
        place = part, path
        if place not in self.lists:
            self.lists[place] = [MISSING] * self.count
        return self.lists[place]


def _columns(documents: Sequence[dict[str, Any]]) -> dict[Path, list[Any]]:
    """Return the entries of documents by their paths, in the order of the first."""
    nested = any(dict in map(type, document.values()) for document in documents)
    if nested:
        flat = [dict(_leaves(document, ())) for document in documents]
        paths: Iterable[Path] = dict.fromkeys(path for each in flat for path in each)
        return {path: [each.get(path, MISSING) for each in flat] for path in paths}
    keys = dict.fromkeys(key for document in documents for key in document)
    return {(key,): [each.get(key, MISSING) for each in documents] for key in keys}


def _leaves(value: dict[str, Any], above: Path) -> Iterator[tuple[Path, Any]]:
    for key, entry in value.items():
        path = (*above, key)
        if _is_nested(entry) and len(path) <= _DEEPEST:
            yield from _leaves(entry, path)
        else:
            yield path, entry


def _is_nested(entry: Any) -> bool:
    return type(entry) is dict and bool(entry) and set(map(type, entry)) == {str}


def named(places: Iterable[Place], taken: Iterable[str]) -> dict[Place, str]:
    """Return the names of columns, each another; parameters come before results.

    A name that is taken gets its document's as a prefix: ``results.duration``.
    """
    names: dict[Place, str] = {}
    used = set(taken)
    found = list(places)
    for part in DOCUMENTS:
        mine = [path for kind, path in found if kind == part]
        for path, name in joined(mine).items():
            while name in used:
                name = f"{part}.{name}"  # noqa: PLW2901
            names[part, path] = name
            used.add(name)
    return names


def joined(paths: Iterable[Path]) -> dict[Path, str]:
    """Return paths as names: ``a.b``.

    Where two paths would have one name, keys with a dot are quoted, as in SQL.
    """
    names = {path: ".".join(path) for path in paths}
    if len(set(names.values())) == len(names):
        return names
    return {path: ".".join(map(_quoted, path)) for path in names}


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False) if {".", '"'} & set(key) else key

"""Expand a configuration into the configurations of its trials, one at a time."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..encoding.rules import IMMUTABLE
from ..errors import ConfigurationError
from .variables import MatchIterableVariable, Variable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

Path = tuple[str, ...]


class Axis(NamedTuple):
    """One variable of a configuration: where it stands and what it takes.

    ``others`` move together with it, or follow from it; they have as many values.
    """

    path: Path
    values: Sequence[Any]
    others: tuple[Axis, ...] = ()

    @property
    def columns(self) -> tuple[Axis, ...]:
        """All variables of the axis, each with its path and values."""
        return (self, *self.others)


# So many values are kept, as tuples are read faster; of more each is computed.
_KEPT = 10_000
# As many as the keys of the database have room for.
MOST_TRIALS = 1 << 40


class Level(NamedTuple):
    """One dict of a configuration, so prepared that a trial's is made at once.

    ``same`` has all keys in their order, and what is the same in all trials.
    """

    same: dict[Any, Any]
    chosen: list[tuple[Any, int]]
    copied: list[Any]
    inner: list[tuple[Any, Level]]
    may_lack: list[Any]

    def filled(self, values: list[Any], memo: dict[int, Any]) -> dict[Any, Any]:
        """Return a trial's dict; ``values`` are those of all variables."""
        filled = self.same.copy()
        for key, place in self.chosen:
            filled[key] = values[place]
        if self.copied:
            from .copies import copied  # which most configurations need not

            for key in self.copied:
                filled[key] = copied(filled[key], memo)
        for key, level in self.inner:
            filled[key] = level.filled(values, memo)
        if self.may_lack:
            from .listed import ABSENT

            for key in self.may_lack:
                if filled[key] is ABSENT:
                    del filled[key]
        return filled


class Expansion:
    """The trials of a configuration: nested ``for`` loops over it, top to bottom.

    Later keys vary fastest. Variables may stand at the top level or inside nested
    dictionaries; everything else is the same in every trial. A list of configurations
    has the points of each, one after the other.

    ``where`` says of a trial's configuration whether there is such a trial.

    ``configuration`` is kept as it is now: each trial gets a copy of that state of
    whatever can be changed, so neither the script nor another trial can change it.

    Raises:
        ConfigurationError: variables inside a list or tuple, matched variables whose
            length is not the number of trials, or a value that cannot be copied.
    """

    def __init__(
        self,
        configuration: dict[str, Any] | list[dict[str, Any]],
        where: Callable[[Any], Any] | None = None,
    ) -> None:
        self._unknown: tuple[Any, Any]
        if isinstance(configuration, list):
            from .listed import expansions

            self._unknown = expansions(configuration, where), None
            return  # the rest is made when it is first asked for: see __getattr__
        if not isinstance(configuration, dict):
            kind = type(configuration).__name__
            msg = (
                "configuration must be a dict of names and values, or a list of them, "
                f"not {kind}"
            )
            raise ConfigurationError(msg)
        _check_names(configuration, ())
        self._changeable: set[Path] = set()
        captured = self._captured(configuration, (), {})
        found = list(variables_in(captured, ()))
        derived = [(path, each) for path, each in found if each.is_derived]
        found = [(path, each) for path, each in found if not each.is_derived]
        axes = _axes((p, v) for p, v in found if not _is_matched(v))
        matched = [_axis(p, v) for p, v in found if _is_matched(v)]
        size = _count(axes, matched)
        self._unknown = captured, where
        if where is not None:
            return
        self.size = size
        if not all(each.is_known for _, each in (*found, *derived)):
            return
        if derived:
            from .derived import attach  # which most configurations need not

            attach(derived, axes, matched, self.size)
        self.configuration, self.axes, self.matched = captured, axes, matched
        # The order in which ``__getitem__`` chooses.
        order = list(self.matched)
        for axis in reversed(self.axes):
            order += axis.columns
        places = {axis.path: place for place, axis in enumerate(order)}
        self._root = self._level(self.configuration, (), places)

    def __getattr__(self, name: str) -> Any:
        """Work out what is not known yet."""
        if name not in ("size", "configuration", "axes", "matched", "_root"):
            raise AttributeError(name)
        from .unknown import worked_out

        made = worked_out(*self._unknown)
        vars(self).update(vars(made))
        return getattr(made, name)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Return the configuration of trial ``index`` alone, without the others."""
        values = [axis.values[index] for axis in self.matched]
        rest = index
        for axis in reversed(self.axes):
            rest, position = divmod(rest, len(axis.values))
            values.append(axis.values[position])
            if axis.others:
                values += [other.values[position] for other in axis.others]
        return self._root.filled(values, {})

    def _captured(self, value: dict[Any, Any], path: Path, memo: Any) -> dict[Any, Any]:
        """Copy a configuration, and note what has to be copied for each trial too."""
        own = {}
        for key, entry in value.items():
            here = (*path, key)
            if isinstance(entry, dict):
                own[key] = self._captured(entry, here, memo)
                continue
            own[key] = _copied_from(here, entry, memo)
            if own[key] is not entry:
                self._changeable.add(here)
        return own

    def _level(
        self, value: dict[Any, Any], path: Path, order: dict[Path, int]
    ) -> Level:
        level = Level(dict(value), [], [], [], [])
        for key, entry in value.items():
            here = (*path, key)
            if isinstance(entry, dict):
                level.inner.append((key, self._level(entry, here, order)))
            if here in order:
                level.chosen.append((key, order[here]))
            if here in self._changeable:
                level.copied.append(key)
            if isinstance(entry, Variable) and entry.may_lack:
                level.may_lack.append(key)
        return level

    def documents(self, encode: Callable[[Any], str]) -> Iterator[str]:
        """Give every trial's configuration as JSON text, in order; see ``texts``."""
        from .json_texts import documents  # which no worker needs

        return documents(self, encode)


def _count(axes: list[Axis], matched: list[Axis]) -> int:
    size = 1
    for axis in axes:
        size *= len(axis.values)
    if matched and not axes:
        size = len(matched[0].values)
    for axis in matched:
        if len(axis.values) != size:
            msg = (
                f"MatchIterableVariable '{'.'.join(axis.path)}' has "
                f"{len(axis.values)} values for {size} trials; give one per trial, "
                "or use **zipped(...) for parameters that move together"
            )
            raise ConfigurationError(msg)
    if size > MOST_TRIALS:
        raise ConfigurationError(_too_many("the configuration", "trials"))
    return size


def _axes(found: Iterable[tuple[Path, Variable]]) -> list[Axis]:
    """Return an axis for each variable, and one for those that move together."""
    axes: dict[Any, Axis] = {}
    for path, variable in found:
        own = _axis(path, variable)
        key = variable.together(path) or path
        first = axes.setdefault(key, own)
        if first is not own:
            axes[key] = first._replace(others=(*first.others, own))
    for key, axis in axes.items():
        if axis.path != key:
            _require_whole(axis, key)
    return list(axes.values())


def _require_whole(axis: Axis, paths: tuple[Path, ...]) -> None:
    """Refuse a part of what ``zipped`` made, or of what a database says."""
    if {each.path for each in axis.columns} != set(paths):
        names = [repr(".".join(path)) for path in paths]
        msg = (
            f"configuration: {' and '.join(names)} move together, so all of "
            f"them must be in one dict, under these names; write **zipped(...) there"
        )
        raise ConfigurationError(msg)
    if len({len(each.values) for each in axis.columns}) > 1:
        said = " and ".join(f"'{'.'.join(each.path)}'" for each in axis.columns)
        msg = f"configuration: {said} move together, but differ in length"
        raise ConfigurationError(msg)


def _axis(path: Path, variable: Variable) -> Axis:
    count = getattr(variable, "n", 1)
    if count > MOST_TRIALS:
        what = f"configuration: '{'.'.join(path)}'"
        raise ConfigurationError(_too_many(what, "values"))
    few = len(variable) <= _KEPT
    return Axis(path, variable.values if few else variable.sequence)


def _too_many(what: str, of_what: str) -> str:
    return f"{what} makes too many {of_what}: an experiment has at most 10^12 trials"


def _is_matched(variable: Variable) -> bool:
    return isinstance(variable, MatchIterableVariable)


def variables_in(value: Any, path: Path) -> Iterator[tuple[Path, Variable]]:
    """Yield each variable of a configuration with its path."""
    if isinstance(value, Variable):
        _refuse_hidden(value.entries_given(), path, type(value).__name__)
        yield path, value
    elif isinstance(value, dict):
        for key, entry in value.items():
            for found in variables_in(entry, (*path, key)):
                _check_names(value, path)
                yield found
    else:
        _refuse_hidden([value], path, type(value).__name__)


def _check_names(value: dict[Any, Any], path: Path) -> None:
    for key in value:
        if not isinstance(key, str):
            where = f" in '{'.'.join(path)}'" if path else ""
            msg = f"configuration: the name {key!r}{where} must be a string"
            raise ConfigurationError(msg)


def _refuse_hidden(values: Iterable[Any], path: Path, inside: str) -> None:
    if any(map(_holds_variable, values)):
        msg = (
            f"configuration: '{'.'.join(map(str, path))}' holds a variable inside a "
            f"{inside}; variables are allowed only as values of a dict"
        )
        raise ConfigurationError(msg)


def _holds_variable(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_variable, value.values()))
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_holds_variable, value))
    return isinstance(value, Variable)


def _copied_from(path: Path, value: Any, memo: dict[int, Any]) -> Any:
    """Return a copy of a value, or of a variable; itself if nothing can change it."""
    parts = value.arguments() if isinstance(value, Variable) else (value,)
    if IMMUTABLE.issuperset(map(type, parts)):
        return value
    try:
        from .copies import copied

        own = [
            _copied_from(path, part, memo)
            if isinstance(part, Variable)
            else copied(part, memo)
            for part in parts
        ]
        if all(map(operator.is_, own, parts)):
            return value
        return type(value)(*own) if isinstance(value, Variable) else own[0]
    except Exception as error:
        msg = (
            f"configuration: '{'.'.join(map(str, path))}' cannot be copied, but each "
            f"trial needs its own copy ({error}); create it in the trial function, or "
            "in init_store"
        )
        raise ConfigurationError(msg) from error

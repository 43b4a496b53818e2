"""Members of enumerations as documents: by module, class and name.

Reading imports nothing. A member comes back as itself where its class is loaded, as it
is in a run; elsewhere as the number or text that it is, or else as an ``EnumMember``.
"""

from __future__ import annotations

import os
import sys
from enum import Enum, EnumMeta, Flag
from typing import TYPE_CHECKING, Any

from .rules import Rule, expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# What a member may be besides; the plain value of each.
_BASES: dict[str, Callable[[Any], Any]] = {
    "int": int.__int__,
    "float": float.__float__,
    "str": str.__str__,
}
_TYPES: dict[str, type] = {"int": int, "float": float, "str": str}
# What scripts are loaded as where another module has their name.
_PREFIX = "experiment_"


class EnumMember:
    """A member of an enumeration whose class is not loaded here."""

    __slots__ = ("class_name", "module", "name", "value")

    def __init__(self, name: str, value: Any, class_name: str, module: str) -> None:
        self.name = name
        self.value = value
        self.class_name = class_name
        self.module = module

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EnumMember) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"<{self.class_name}.{self.name}: {self.value!r}>"

    def __str__(self) -> str:
        return f"{self.class_name}.{self.name}"

    def _key(self) -> tuple[str, ...]:
        return self.name, repr(self.value), self.class_name, self.module


def _parts(member: Any) -> Any:
    """Return name, class, module, base and value; see ``Rule``."""
    if isinstance(member, EnumMember):
        return member.name, member.class_name, member.module, None, member.value
    kind = type(member)
    if not isinstance(member, Enum):
        return NotImplemented
    module = _module_of(kind)
    if _loaded(module, kind.__qualname__) is not kind:
        return NotImplemented  # it could not be found again
    return _name(member), kind.__qualname__, module, *_content(member)


def _content(member: Enum) -> tuple[str | None, Any]:
    """Return what the member is besides, if anything, and its value if JSON has it."""
    for base, kind in _TYPES.items():
        if isinstance(member, kind):
            return base, _BASES[base](member)
    value = member._value_  # ``value`` may be a property of the user's
    return None, value if type(value) in (bool, int, float, str) else None


def _name(member: Any) -> str:
    names = type(member).__members__
    if member._name_ in names:
        return str(member._name_)
    # Several flags, or none.
    single = {n: m._value_ for n, m in names.items() if _is_power_of_2(m._value_)}
    return "|".join(name for name, bit in single.items() if bit & member._value_)


def _is_power_of_2(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _member(name: Any, class_name: Any, module: Any, base: Any, value: Any) -> Any:
    kind = _loaded(expect(str, module), expect(str, class_name))
    found = None if kind is None else _of(kind, expect(str, name), value)
    if found is not None and repr(_content(found)) == repr((base, value)):
        return found
    if base is not None:
        return expect(_TYPES[base], value)
    return EnumMember(expect(str, name), value, class_name, module)


def _of(kind: Any, name: str, value: Any) -> Any:
    found = kind.__members__.get(name)
    if found is None and issubclass(kind, Flag) and type(value) is int:
        try:
            return kind(value)
        except ValueError:  # a flag is gone
            return None
    return found


def _loaded(module: str, class_name: str) -> Any:
    """Return the enumeration of this name among the modules that are loaded."""
    for found in _modules(module):
        kind = found
        for name in class_name.split("."):
            kind = _attributes(kind).get(name)
        if isinstance(kind, EnumMeta):
            return kind
    return None


def _attributes(owner: Any) -> Any:
    """Return what is defined in a module or class; runs no code of either."""
    try:
        return object.__getattribute__(owner, "__dict__")
    except AttributeError:
        return {}


def _modules(name: str) -> Iterator[Any]:
    """Return the modules that a class of this module may be in now.

    A script is another module when it is run by itself than when it is loaded.
    """
    stem = name.removeprefix(_PREFIX)
    names = (name, stem, _PREFIX + stem)
    if _main_name() in names:
        yield sys.modules["__main__"]
    for each in names:
        if each in sys.modules:
            yield sys.modules[each]


def _module_of(kind: type) -> str:
    return _main_name() if kind.__module__ == "__main__" else kind.__module__


def _main_name() -> str:
    """Return what ``__main__`` would be called if it were imported."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    path = getattr(main, "__file__", None)
    return os.path.splitext(os.path.basename(path))[0] if path else "__main__"


RULE = Rule("enum", EnumMember, _parts, _member, ("class", "module", "base", "value"))

"""Which experiments ``run`` runs: all that the script makes, or those named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import script as scripts
from ..errors import NotFoundError, ScriptError
from .parser import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from ..experiment import Experiment
    from ..script import Script

_NAMES_SHOWN = 10


def load_experiments(script: Script, names: Sequence[str] = ()) -> list[Experiment]:
    """Load the script; return its experiments, or those of these names.

    Raises:
        ScriptError: it makes none, or two of one name.
        NotFoundError: it makes none of such a name.
    """
    module = scripts.load(script)
    experiments = scripts.experiments_of(module)
    if not experiments:
        raise ScriptError(_none(script, module))
    made = [experiment.name for experiment in experiments]
    twice = next((name for name in made if made.count(name) > 1), None)
    if twice is not None:
        msg = (
            f"{script.path} makes {made.count(twice)} experiments named '{twice}'; "
            "give each a name of its own"
        )
        raise ScriptError(msg)
    for name in names:
        if name not in made:
            raise NotFoundError(_unknown(script, name, made))
    return [each for each in experiments if not names or each.name in names]


def _none(script: Script, module: ModuleType) -> str:
    imported = scripts.imported_experiments(module)
    if not imported:
        return (
            f"{script.path} makes no experiment while it is loaded; it needs a line "
            "such as `experiment = Experiment('name', function=f, configuration={...})`"
        )
    first = imported[0]
    where = scripts.where_defined(first.namespace)
    return (
        f"{script.path} makes no experiment itself; '{first.name}' belongs to {where}: "
        "run that file, or import the experiment by its name"
    )


def _unknown(script: Script, name: str, made: list[str]) -> str:
    hint = did_you_mean(name, made)
    if not hint:
        more = f" and {len(made) - _NAMES_SHOWN} more" if made[_NAMES_SHOWN:] else ""
        hint = f"; it makes {', '.join(made[:_NAMES_SHOWN])}{more}"
    return f"{script.path} makes no experiment '{name}'{hint}"

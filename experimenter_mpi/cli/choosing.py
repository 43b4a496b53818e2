"""Which experiments ``run`` runs: all that its script makes, or those named."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..errors import NotFoundError, ScriptError, did_you_mean, printable
from ..exit_codes import EXIT_USAGE
from ..trial import script as scripts
from ..trial.functions import where_defined

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from types import ModuleType

    from ..experiment.experiment import Experiment
    from ..trial.script import Script
    from .arguments import Parser

_NAMES_SHOWN = 10
# A script that is asked for these ends with 0 and has nothing else to do.
_QUESTIONS = {"-h", "--help", "--version"}


def parsed(made: Parser, arguments: list[str]) -> Namespace:
    """Return what is said to ``run``, and as ``arguments`` what follows ``--``."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    given, unknown = made.parse_known_args(arguments[:end])
    if unknown:
        hint = "arguments of the script go after --"
        made.error(f"unrecognized arguments: {' '.join(unknown)}; {hint}")
    given.arguments = tuple(arguments[end + 1 :])
    if given.script is None and given.module is None:
        made.error("the following arguments are required: SCRIPT, or -m MODULE")
    if given.script is not None and given.module is not None:
        made.error("give SCRIPT or -m MODULE, not both")
    return given


def read_script(given: Namespace) -> Script:
    """Read what is to be loaded, which sees only its own arguments from now on."""
    sys.argv = ["-m" if given.script is None else given.script, *given.arguments]
    if given.script is None:
        script = scripts.read_module(given.module)
    else:
        script = scripts.read(given.script)
    return script._replace(arguments=given.arguments)


def load_experiments(script: Script, names: Sequence[str] = ()) -> list[Experiment]:
    """Load the script; return its experiments, or those of these names.

    Raises:
        ScriptError: it makes none, or two of one name.
        NotFoundError: it makes none of such a name.
        SystemExit: it refused its arguments, or answered them, as to --help.
    """
    module = _load(script)
    experiments = scripts.experiments_of(module)
    if not experiments:
        raise ScriptError(_none(script, module))
    made = [experiment.name for experiment in experiments]
    twice = next((name for name in made if made.count(name) > 1), None)
    if twice is not None:
        msg = (
            f"{script.path} defines {made.count(twice)} experiments named '{twice}'; "
            "give each a different name"
        )
        raise ScriptError(msg)
    for name in names:
        if name not in made:
            raise NotFoundError(_unknown(script, name, made))
    return [each for each in experiments if not names or each.name in names]


def _load(script: Script) -> ModuleType:
    try:
        return scripts.load(script)
    except ScriptError as error:
        left = error.__cause__
        if not isinstance(left, SystemExit) or not _is_answer(left, script):
            raise
        print(
            f"experimenter_mpi: {printable(script.path)} ended with exit code "
            f"{left.code or 0} while it was loaded; nothing was run",
            file=sys.stderr,
        )
        raise SystemExit(left.code or 0) from error


def _is_answer(left: SystemExit, script: Script) -> bool:
    """Whether a script ended as argparse ends it, and not by a mistake.

    Nobody may take 0 for a sweep that is finished, so it must have been asked.
    """
    if left.code:
        return left.code == EXIT_USAGE
    return not _QUESTIONS.isdisjoint(script.arguments or ())


def _none(script: Script, module: ModuleType) -> str:
    imported = scripts.imported_experiments(module)
    if not imported:
        return (
            f"{script.path} defines no experiment; it needs a line such as "
            "`experiment = Experiment('name', function=f, configuration={...})`"
        )
    first = imported[0]
    where = where_defined(first.namespace)
    return (
        f"{script.path} defines no experiment itself; '{first.name}' belongs to "
        f"{where}: run that file, or import the experiment by its name"
    )


def _unknown(script: Script, name: str, made: list[str]) -> str:
    hint = did_you_mean(name, made)
    if not hint:
        more = f" and {len(made) - _NAMES_SHOWN} more" if made[_NAMES_SHOWN:] else ""
        hint = f"; it defines {', '.join(made[:_NAMES_SHOWN])}{more}"
    return f"{script.path} defines no experiment '{name}'{hint}"

"""Load exp.py once per rank, from text that rank 0 has read for all.

Thousands of ranks opening one file at once is what parallel file systems bear least.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import ExperimenterError, ScriptError, text_of
from ..experiment.experiment import Experiment, recording
from .signals import OwnProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


class Script(NamedTuple):
    """The path and the content of a file with experiments or trial functions.

    A file in a package has a full name, ``module``, and the ``folder`` to import it
    from. ``arguments`` is what ``sys.argv`` holds beside the path while it is loaded
    and afterwards; None leaves it alone.
    """

    path: str
    source: bytes
    folder: str = ""
    module: str = ""
    arguments: tuple[str, ...] | None = None


def read(path: str) -> Script:
    """Read a script.

    Raises:
        ScriptError: there is no such file, or it cannot be read.
    """
    from .packages import package_of  # rank 0 alone reads scripts

    absolute = os.path.abspath(path)
    return Script(absolute, _content(path, absolute), *package_of(absolute))


def read_module(name: str) -> Script:
    """Read the script that ``python -m name`` would run.

    Raises:
        ScriptError: there is no such module, or it cannot be read.
    """
    from .packages import find_module

    path, folder, full_name = find_module(name)
    return Script(path, _content(path, path), folder, full_name)


def _content(path: str, absolute: str) -> bytes:
    try:
        with open(absolute, "rb") as file:
            return file.read()
    except FileNotFoundError:
        msg = f"no such script: {path} (looked for {absolute})"
    except IsADirectoryError:
        msg = f"{path} is a folder; name the script in it, such as {path}/exp.py"
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}; check its permissions"
    raise ScriptError(msg)


def source_of(path: str) -> Script:
    """Return a file as it was loaded here, or else as it is now.

    Raises:
        ScriptError: it was never loaded, and cannot be read.
    """
    return next((each for each in _loaded if each.path == path), None) or read(path)


def read_include(experiment: Experiment) -> Script | None:
    """Read the file an experiment's functions are in, if it names one."""
    path = experiment.include_file
    return None if path is None else read(path)


def load_once(script: Script) -> ModuleType:
    """Return the module of this file, loading it only if this rank has not yet."""
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == script.path:
            return module
    return load(script)


def load(script: Script) -> ModuleType:
    """Run a script as a module of its own and return it.

    Its folder is put on ``sys.path``, as ``python exp.py`` does, or, if it is part of
    a package, the folder of that, as ``python -m package.exp`` does; its ``__name__``
    is not ``"__main__"``, so that a guarded ``execute`` in it does not run.

    Raises:
        ScriptError: a syntax error, or whatever the script raises, in one line.
    """
    code = _compiled(script)
    if script.arguments is not None:
        sys.argv = [script.path, *script.arguments]
    _put_on_path(script)
    module = ModuleType(script.module or _module_name(script.path))
    module.__file__ = script.path
    made = _made[script.path] = Made(module)
    _loaded.append(script)
    _loading.append(script)
    try:
        with recording(made.add), OwnProcess():
            if script.module:
                _enter_package(module, script.path)
            _run(code, module)
    except ExperimenterError as error:
        msg = f"{_place(script, error)}: {error}"
        raise type(error)(msg) from error
    except (Exception, SystemExit) as error:
        raise ScriptError(_raised(script, error)) from error
    finally:
        _loading.pop()
    return module


def _put_on_path(script: Script) -> None:
    own = os.path.dirname(script.path)
    if script.module and sys.path[:1] != [script.folder]:
        sys.path.insert(0, script.folder)
    if own not in sys.path:
        # What lies beside a file of a package must not hide modules of others.
        sys.path.insert(len(sys.path) if script.module else 0, own)


def _enter_package(module: ModuleType, path: str) -> None:
    """Import the package that the module is in, and make it a part of that."""
    from importlib import import_module
    from importlib.machinery import ModuleSpec, SourceFileLoader

    name = module.__name__
    package, _, last = name.rpartition(".")
    if package:
        setattr(import_module(package), last, module)
    loader = SourceFileLoader(name, path)
    module.__package__, module.__loader__ = package, loader
    module.__spec__ = ModuleSpec(name, loader, origin=path)


class Made:
    """The experiments that were made while a module was loaded, in that order.

    ``own`` are those that it made itself, be it through functions of other modules;
    the rest was made by modules as they were imported.
    """

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.all: list[Experiment] = []
        self.own: set[Experiment] = set()

    def add(self, experiment: Experiment, maker: FrameType) -> None:
        self.all.append(experiment)
        frame: FrameType | None = maker
        while frame is not None and frame.f_code.co_name != "<module>":
            frame = frame.f_back
        # No module is on the stack of a thread, which only the script can have started.
        if frame is None or frame.f_globals is vars(self.module):
            self.own.add(experiment)


_loaded: list[Script] = []
_loading: list[Script] = []
_made: dict[str, Made] = {}  # by the path of the script


def first_loaded() -> str | None:
    """Return the path of the file that was loaded first, None if none was."""
    return _loaded[0].path if _loaded else None


def require_none_loading() -> None:
    """Refuse to execute what is only being loaded.

    Raises:
        ScriptError: a script calls execute() at its top level while it is loaded.
    """
    if _loading:
        msg = (
            f"{_loading[-1].path} calls execute() while it is being loaded: put the "
            'call under `if __name__ == "__main__":`'
        )
        raise ScriptError(msg)


def show_sources() -> None:
    """Make tracebacks show the lines that were loaded.

    Not those of the file, which may have been edited since, and which a thousand
    failing ranks would open. Called where a traceback is made: few ranks make one.
    """
    import linecache

    for script in _loaded:
        lines = script.source.decode("utf-8", "replace").splitlines(keepends=True)
        linecache.cache[script.path] = len(script.source), None, lines, script.path


def _run(code: Any, module: ModuleType) -> None:
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)  # noqa: S102 - running the user's script is the job
    except BaseException:
        # Half a module must not be taken for a whole one by whoever asks again.
        del sys.modules[module.__name__]
        raise


def _compiled(script: Script) -> Any:
    try:
        return compile(script.source, script.path, "exec", dont_inherit=True)
    except SyntaxError as error:
        line = "" if error.lineno is None else f", line {error.lineno}"
        where = f"{script.path}{line}"
        text = f": {error.text.strip()}" if error.text else ""
        msg = f"{where}: {type(error).__name__}: {error.msg}{text}"
    except ValueError as error:  # null bytes
        msg = f"{script.path} is not Python source: {error}"
    raise ScriptError(msg)


def _module_name(path: str) -> str:
    """Name the module after the file, so that its classes pickle, but hide nothing."""
    stem = os.path.splitext(os.path.basename(path))[0]
    loaded = sys.modules.get(stem)
    if loaded is not None and getattr(loaded, "__file__", None) == path:
        return stem
    taken = loaded is not None or stem in sys.stdlib_module_names
    return f"experiment_{stem}" if taken or not stem.isidentifier() else stem


def _raised(script: Script, error: BaseException) -> str:
    from shlex import quote

    what = f"{type(error).__name__}: {text_of(error)}"
    if isinstance(error, SystemExit):
        what = f"the script called sys.exit({error.code!r})"
    command = f"python {quote(script.path)}"
    if script.module:
        command = f"cd {quote(script.folder)} && python -m {script.module}"
    return f"{_place(script, error)}: {what}; `{command}` shows the whole traceback"


def _place(script: Script, error: BaseException) -> str:
    """Name the line of the script that an exception came through last."""
    line, frames = None, error.__traceback__
    while frames is not None:
        if frames.tb_frame.f_code.co_filename == script.path:
            line = frames.tb_lineno
        frames = frames.tb_next
    return script.path if line is None else f"{script.path}, line {line}"


def experiments_of(module: ModuleType) -> list[Experiment]:
    """Return the experiments of a module, in the order in which they were made.

    Those are what it made while it was loaded, kept or not, and what it keeps by a
    name or in a list, tuple, set or dict, whoever made that. What other modules made,
    and this one only imports along with their functions, belongs to them.
    """
    kept = dict.fromkeys(_kept_in(vars(module)))
    made = _made_by(module)
    found = [each for each in made.all if each in made.own or each in kept]
    return list(dict.fromkeys([*found, *kept]))


def imported_experiments(module: ModuleType) -> list[Experiment]:
    """Return the experiments that other modules made while this one was loaded."""
    return [e for e in _made_by(module).all if e not in _made_by(module).own]


def is_made_again(experiment: Experiment) -> bool:
    """Whether a process that loads the same file has this experiment, too."""
    if any(experiment in experiments_of(made.module) for made in _made.values()):
        return True
    return experiment in _kept_in(experiment.namespace)


def _made_by(module: ModuleType) -> Made:
    return _made.get(getattr(module, "__file__", None) or "", Made(module))


def _kept_in(namespace: dict[str, Any]) -> Iterator[Experiment]:
    """Yield what is kept by a name, or in a container that is, however deep."""
    containers = (dict, list, tuple, set, frozenset)
    levels, seen = [iter(namespace.values())], {id(namespace)}
    while levels:
        for value in levels[-1]:
            if isinstance(value, Experiment):
                yield value
            elif isinstance(value, containers) and id(value) not in seen:
                seen.add(id(value))  # a list may hold itself
                inner = dict.values(value) if isinstance(value, dict) else value
                levels.append(iter(inner))
                break
        else:
            levels.pop()

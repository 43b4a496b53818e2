"""Which files the code that runs comes from: the script, and what it imports.

Of the modules that are loaded those count that are in the script's repository, or
without one in its folder; installed packages do not.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from ..errors import ScriptError
from ..trial import script as scripts
from .git import repository_of

if TYPE_CHECKING:
    from collections.abc import Iterable

_INSTALLED = ("site-packages", "dist-packages")
_OTHERS = tuple(
    os.path.realpath(folder) + os.sep
    for folder in (
        os.path.dirname(os.__file__),
        os.path.dirname(os.path.dirname(__file__)),
    )
)
# What was read of each file, and for which loading of its module: the file may be
# edited while the old code runs on.
_read: dict[str, tuple[Any, bytes | None]] = {}


def script_path() -> str | None:
    """Return the script that this process runs; None in a notebook."""
    main = _file_of(sys.modules.get("__main__"))
    loaded = scripts.first_loaded()
    is_own = main is not None and not _is_installed(main)
    if loaded is not None and not (is_own and str(main).endswith(".py")):
        return os.path.realpath(loaded)
    return os.path.realpath(main) if main is not None and is_own else None


def root_of(script: str | None) -> str:
    """Return the folder whose files count: the repository, or the script's own."""
    folder = os.getcwd() if script is None else os.path.dirname(script)
    folder = os.path.realpath(folder)
    return repository_of(folder) or folder


def used(script: str | None, more: Iterable[str]) -> dict[str, bytes]:
    """Return the content of the script, of its modules, and of ``more`` files."""
    root = root_of(script) + os.sep
    specs: dict[str, Any] = dict.fromkeys(map(os.path.realpath, more))
    for module in list(sys.modules.values()):
        file = _file_of(module)
        if file is None or not file.endswith(".py") or _is_installed(file):
            continue
        path = os.path.realpath(file)
        if path.startswith(root) and not path.startswith(_OTHERS):
            specs[path] = attribute_of(module, "__spec__")
    if script is not None:
        specs.setdefault(script)
    contents = {path: _content(path, spec) for path, spec in specs.items()}
    return {path: text for path, text in contents.items() if text is not None}


def _content(path: str, spec: Any) -> bytes | None:
    known = _read.get(path)
    if known is None or known[0] is not spec:
        try:
            known = spec, scripts.source_of(path).source
        except ScriptError:  # it was deleted, or made while it was imported
            known = spec, None
        _read[path] = known
    return known[1]


def _is_installed(path: str) -> bool:
    folder = os.path.dirname(os.path.abspath(path))
    is_command = folder == os.path.dirname(os.path.abspath(sys.executable))
    is_package = any(name in folder.split(os.sep) for name in _INSTALLED)
    return is_command or is_package or os.path.realpath(path).startswith(_OTHERS)


def _file_of(module: Any) -> str | None:
    file = attribute_of(module, "__file__")
    return file if isinstance(file, str) else None


def attribute_of(module: Any, name: str) -> Any:
    """Return what a module has without waking one that loads when it is looked at."""
    try:
        return object.__getattribute__(module, "__dict__").get(name)
    except AttributeError:
        return None

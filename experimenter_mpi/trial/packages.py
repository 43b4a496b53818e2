"""Which package a script is part of, and which script a module is: rank 0 finds out."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

from ..errors import ScriptError


def package_of(path: str) -> tuple[str, str]:
    """Return the folder to import a script from and its full name, "" in no package.

    A package whose name is taken cannot be imported: its files are scripts by
    themselves, as they are to ``python package/exp.py``.
    """
    folder, file = os.path.split(path)
    names = [os.path.splitext(file)[0]]
    while os.path.isfile(os.path.join(folder, "__init__.py")):
        package = folder
        folder, name = os.path.split(folder)
        names.insert(0, name)
    if len(names) == 1 or _is_taken(names[0], package) or any("." in n for n in names):
        return "", ""
    return folder, ".".join(names)


def _is_taken(name: str, folder: str) -> bool:
    if not name or name in sys.stdlib_module_names:
        return True
    loaded = getattr(sys.modules.get(name), "__file__", None)
    return name in sys.modules and os.path.dirname(loaded or "") != folder


def find_module(name: str) -> tuple[str, str, str]:
    """Return the path, the folder to import from, and the full name of a module.

    As ``python -m`` does: the current folder comes first on the search path, the
    packages that the module is in are imported, and a package means its ``__main__``.

    Raises:
        ScriptError: there is none, or a package that it is in cannot be imported.
    """
    folder = os.getcwd()
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    try:
        spec = find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = find_spec(f"{name}.__main__")
    except Exception as error:
        msg = f"cannot find module {name}: {type(error).__name__}: {error}"
        raise ScriptError(f"{msg}; -m takes a name such as package.exp") from error
    if spec is None or not (spec.origin or "").endswith(".py"):
        msg = (
            f"there is no module {name} in this folder or on the search path; -m "
            "takes a name such as package.exp, and a file needs no -m"
        )
        raise ScriptError(msg)
    return os.path.abspath(str(spec.origin)), folder, spec.name

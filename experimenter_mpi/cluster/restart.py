"""Start another Python such as this one, to run a function of this package."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def interpreter() -> list[str]:
    """Return the command that starts a Python like this one, with its flags.

    As ``multiprocessing`` does, without its imports: ranks come here.
    """
    flags = sys.flags
    letters = {
        "b": flags.bytes_warning,
        "B": flags.dont_write_bytecode,
        "d": flags.debug,
        "E": flags.ignore_environment,
        "I": flags.isolated,
        "O": flags.optimize,
        "P": getattr(flags, "safe_path", False),  # since Python 3.11
        "q": flags.quiet,
        "s": flags.no_user_site,
        "S": flags.no_site,
        "v": flags.verbose,
    }
    chosen = [f"-{letter * level}" for letter, level in letters.items() if level]
    chosen += [f"-W{each}" for each in sys.warnoptions]
    for name, value in sys._xoptions.items():  # noqa: SLF001 - has no other name
        chosen += ["-X", name if value is True else f"{name}={value}"]
    return [sys.executable, *chosen]


def calling(
    module: str, function: str, given: str = "", path: Sequence[str] | None = None
) -> list[str]:
    """Return the arguments with which Python calls a function of this package.

    ``given`` is the text of what it is given. ``path`` is where it looks for modules;
    without it the folder of this package is added to where it would look anyway.
    """
    package, folder = __name__.partition(".")[0], os.path.abspath(__file__)
    for _ in range(3):
        folder = os.path.dirname(folder)
    find = f".append({folder!r})" if path is None else f"[:] = {list(path)!r}"
    code = (
        f"import sys; sys.path{find}; "
        f"from {package}.{module} import {function}; sys.exit({function}({given}))"
    )
    return ["-c", code]

"""How the files, variables and answers of several schedulers are read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def number_in(*variables: str) -> Callable[[Mapping[str, str]], int | None]:
    """Return a function that returns the first number in one of these variables."""

    def number(environment: Mapping[str, str]) -> int | None:
        texts = (environment.get(name, "") for name in variables)
        return next((int(text) for text in texts if text.isdecimal()), None)

    return number


def lines(path: str | None) -> list[str]:
    """Return the lines of a file that are not blank; none where it cannot be read."""
    if not path:
        return []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return [line.strip() for line in file if line.strip()]
    except OSError:  # on another host than the one it was written for
        return []


def attributes(text: str, sign: str) -> dict[str, str]:
    """Read lines of the form ``key sign value``."""
    pairs = (line.partition(sign) for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def quoted(path: str) -> str:
    """Quote a path in a directive if it has spaces."""
    return f'"{path}"' if " " in path else path


def user() -> str:
    """Return the name of this process's user."""
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name

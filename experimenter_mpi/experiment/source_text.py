"""The text of a function, for people to read."""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


def source_text(function: Callable[..., Any]) -> str:
    """Return the text that defines a function, of a lambda its expression alone.

    Where there is none, as of what was typed at a prompt, return the name.
    """
    try:
        text = textwrap.dedent(inspect.getsource(function)).strip()
    except (OSError, TypeError):
        return getattr(function, "__qualname__", type(function).__qualname__)
    if getattr(function, "__name__", "") != "<lambda>":
        return text
    return _lambda(text[text.find("lambda") :])


def _lambda(text: str) -> str:
    """Return the longest beginning that is an expression: what follows is not of it."""
    for end in range(len(text), 0, -1):
        try:
            body = ast.parse(text[:end], mode="eval").body
        except (SyntaxError, ValueError):
            continue
        if isinstance(body, ast.Lambda):
            return " ".join(text[:end].split())
    return text

"""Lines that no terminal breaks: text between words, commands with a backslash."""

from __future__ import annotations

import re
import sys

from ..errors import printable
from ..run.terminal import width_of, wrapped

# A word of a shell's, with what is quoted in it.
_WORD = re.compile(r"""(?:[^\s'"]|'[^']*'|"[^"]*")+""")


def say(text: str, hanging: int = 0) -> None:
    """Print what may be anybody's words, and no commands to the terminal."""
    print(wrapped(printable(text), sys.stdout, hanging), flush=True)


def hint(what: str, command: str) -> None:
    """Print what a command is for, and the command so that it can be copied."""
    line = f"{what}: {command}"
    if "\n" not in what and _fits(line):
        print(printable(line), flush=True)
    else:
        print(printable(f"{what}:\n{broken(command)}"), flush=True)


def broken(command: str) -> str:
    """Return an indented command, continued on further lines where it is too long."""
    if _fits(f"  {command}"):
        return f"  {command}"
    width = width_of(sys.stdout) or 0
    lines = [""]
    for word in _WORD.findall(command):
        room = width - len("  ") - len(" \\")
        if lines[-1] and len(lines[-1]) + 1 + len(word) > room:
            lines.append("  ")
        separator = " " if lines[-1].strip() else ""
        lines[-1] += separator + word
    return " \\\n".join(f"  {line}" for line in lines)


def _fits(line: str) -> bool:
    width = width_of(sys.stdout)
    return not width or len(line) <= width

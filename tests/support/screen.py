"""A terminal of its own for a program, and what it shows.

    python screen.py COLUMNS COMMAND...

passes on what the command writes to its terminal, and ends as it ends.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import termios

_PART = re.compile(r"\x1b\[(?P<numbers>[?\d;]*)(?P<letter>[A-Za-z])|(?P<text>[^\x1b])")


def shown(written: str) -> list[str]:
    """Return the lines that a terminal shows after this, which is wide enough.

    Colours are left out. What else a terminal knows fails: it must be added here.
    """
    lines, row, column = [""], 0, 0
    for part in _PART.finditer(written):
        letter, text = part["letter"], part["text"]
        if text == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif text == "\r" or letter == "G":
            column = 0
        elif text:
            line = lines[row].ljust(column)
            lines[row] = line[:column] + text + line[column + 1 :]
            column += 1
        elif letter == "K":
            lines[row] = "" if part["numbers"] == "2" else lines[row][:column]
        elif letter == "A":
            row -= int(part["numbers"] or 1)
        else:
            assert letter in "mhl", part[0]
    return [line.rstrip() for line in lines]


def main(columns: int, command: list[str]) -> int:
    """Run the command on a terminal, pass on what that is told."""
    # Not only a terminal for its output: Open MPI's mpiexec wants one of its own.
    pid, master = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        os.execvp(command[0], command)  # noqa: S606
    try:
        while part := os.read(master, 65536):
            os.write(1, part)
    except OSError:  # what Linux says when the last writer has gone
        pass
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))

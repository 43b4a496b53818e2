"""Pages are run: console blocks give what they show, and Python blocks work."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from support.libraries import clean_environment

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"^# (\S+\.py)\n")


@dataclass
class Command:
    """A line after a prompt, and the lines that README shows under it."""

    line: str
    shown: list[str] = field(default_factory=list)


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a page that are in this language."""
    found = BLOCK.findall(page.read_text())
    return [body for name, body in found if name == language]


def commands(page: Path) -> list[Command]:
    """Return what a page's consoles show, in order."""
    found: list[Command] = []
    for line in "".join(blocks(page, "console")).splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif line.startswith("> "):
            found[-1].line += "\n" + line[2:]
        else:
            found[-1].shown.append(line)
    return found


def normal(text: str) -> str:
    """Leave out what differs from run to run: numbers, ids, spaces, paths."""
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", text)
    text = re.sub(r"\S*/(?=exp\.py)", "", text)
    text = re.sub(r" on [\w.-]+$", " on HOST", text)
    text = re.sub(r"-?\d[\d,.:]*(e[+-]?\d+)?", "N", text)
    text = re.sub(r"\bN (ms|s|min)\b", "N s", text)
    return " ".join(text.split())


def environment(python: Path | str = sys.executable) -> dict[str, str]:
    """Return what a user's shell has, with this Python first."""
    env = clean_environment()
    env["PATH"] = f"{Path(python).parent}{os.pathsep}{env['PATH']}"
    env["COLUMNS"] = "100"
    return env


def run(command: Command, folder: Path, **chosen: Path | str) -> list[str]:
    """Run a command of a page; return the lines that it printed."""
    done = subprocess.run(
        ["bash", "-c", f"exec 2>&1\n{command.line}"],
        cwd=folder,
        env=environment(**chosen),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.stdout.splitlines()


def missing_lines(shown: list[str], printed: list[str]) -> list[str]:
    """Return the shown lines that were not printed in this order; "..." skips some."""
    remaining = iter(map(normal, printed))
    return [
        line
        for line in shown
        if line.strip() not in ("", "...") and normal(line) not in remaining
    ]


def write_files(page: Path, folder: Path) -> None:
    """Write the blocks that begin with the name of a file."""
    for source in blocks(page, "python"):
        if named := FILE.match(source):
            (folder / named[1]).write_text(source)


def check_consoles(page: Path, folder: Path) -> None:
    """Let every console block of a page print what it shows."""
    write_files(page, folder)
    for command in commands(page):
        printed = run(command, folder)

        told = "\n".join(printed)
        assert [] == missing_lines(command.shown, printed), f"{command.line}\n{told}"


def check_snippets(page: Path, folder: Path) -> None:
    """Run the Python blocks of a page that are no files."""
    for source in blocks(page, "python"):
        if FILE.match(source):
            continue
        (folder / "snippet.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "snippet.py"],
            cwd=folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert 0 == done.returncode, f"{source}\n{done.stderr}"

"""A git repository with an experiment in it."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_AS_ADA = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")


class Repository:
    """The repository in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> str:
        command = ["git", *_AS_ADA, "-c", "commit.gpgsign=false", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)

    def commit(self, *names: str) -> str:
        """Commit these files; return the commit."""
        if names:
            self.git("add", "--force", *names)
        self.git("commit", "--quiet", "--allow-empty", "--message", "a change")
        return self.git("rev-parse", "HEAD")

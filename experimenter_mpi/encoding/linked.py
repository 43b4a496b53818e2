"""An array folder that is a link, to a larger disk: followed once, on conditions.

A database may be a stranger's, and come with a link to what is none of its business.
So the link must be the work of the database's owner, and where that is not who opens
it, the folder must be the owner's, too. Files in it count by names of ours alone, and
one database has it at a time, which a file in it says: leftovers of one would be the
results of another. A database is known by its path and its id together: two nodes may
each have one at the same path, and a copy of the file has the same id.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import DatabaseWriteError
from .disk import reason

if TYPE_CHECKING:
    from collections.abc import Callable

_CLAIM = ".database"
_IS_CLAIM = re.compile(r"[0-9a-f]{32}\.database")  # the folder may hold other files
_LONGEST_CLAIM = 1 << 16


class ArrayFolder:
    """The array folder of the database at ``database``, an absolute path.

    ``path`` is the folder itself, wherever it is. ``refusal`` says why a link is not
    followed, and what to do about it.
    """

    def __init__(
        self, database: str, identify: Callable[[str], str | None] | None = None
    ) -> None:
        """``identify`` returns the id of the database at a path; only to claim it."""
        self._database = database
        self._identify = identify
        self._name = f"{database}.arrays"
        self.is_linked = os.path.islink(self._name)
        self.path = os.path.realpath(self._name) if self.is_linked else self._name
        self.refusal = self._refusal() if self.is_linked else None

    def claim(self, token: str | None, database_id: str) -> None:
        """Make sure that a linked folder is this database's, and say whose it is.

        Raises:
            DatabaseWriteError: the link is not followed, or another database is there.
        """
        if self.refusal is not None:
            raise DatabaseWriteError(self.refusal)
        if not self.is_linked:
            return
        self._require_no_neighbour()
        mine = os.path.join(self.path, _claim_name(self._database, database_id))
        was_mine = os.path.lexists(mine)
        claim = {"database": self._database, "id": database_id, "token": token}
        try:
            _write(mine, claim)
        except OSError as error:
            msg = f"the array folder {self.path} cannot be written: {reason(error)}"
            raise DatabaseWriteError(msg) from error
        try:
            # After one's own is there: of two that come at once none overlooks the
            # other. One that was there before stays: the other goes, not its owner.
            for file in _claims(self.path):
                if file != mine:
                    self._settle(file)
        except DatabaseWriteError:
            if not was_mine:
                with suppress(OSError):
                    os.unlink(mine)
            raise

    def _settle(self, file: str) -> None:
        """Refuse a folder that another database has; forget one that has moved on.

        One that cannot be looked at may be on a disk that is not mounted here, and
        these may be its arrays.
        """
        claim = _read(file)
        other = claim.get("database")
        if not isinstance(other, str) or not _is_file(other):
            if os.path.lexists(file):
                raise self._perhaps_taken(file, other)
        elif other != self._database and self._leads_here(other):
            raise self._taken(other)
        elif self._is_gone(other, claim.get("id")):
            with suppress(OSError):
                os.unlink(file)
        else:
            raise self._perhaps_taken(file, f"another database at {other}")

    def _leads_here(self, other: str) -> bool:
        return os.path.realpath(f"{other}.arrays") == self.path

    def _is_gone(self, path: str, database_id: object) -> bool:
        """Whether this claim on the folder is of no use to anybody any more.

        A database of that path and that id is here, and has another folder; or the
        claim is this database's own, from before databases had ids.
        """
        if path == self._database:
            return database_id is None and os.path.getsize(path) > 0  # not a new one
        return self._identify is not None and database_id == self._identify(path)

    def _require_no_neighbour(self) -> None:
        """Refuse the folder that stands beside a database of its own."""
        other = self.path.removesuffix(".arrays")
        if other not in (self.path, self._database) and os.path.isfile(other):
            raise self._taken(other)

    def _taken(self, other: str) -> DatabaseWriteError:
        return DatabaseWriteError(
            f"{self._name} is a link to {self.path}, the array folder of {other}: "
            f"each database needs its own. Copy it with: {self._copy()}"
        )

    def _perhaps_taken(self, file: str, other: object) -> DatabaseWriteError:
        whose = other if isinstance(other, str) else "another database"
        return DatabaseWriteError(
            f"{self._name} is a link to {self.path}, which {whose} uses according to "
            f"{file}, but that database is not found here: if it no longer exists, or "
            f"is this one under an earlier name, run: rm {shlex.quote(file)}"
        )

    def _refusal(self) -> str | None:
        link = f"the array folder {self._name} is a link"
        if not os.path.isdir(self.path):
            return (
                f"{link} to {self.path}, where there is no folder: mount the disk that "
                f"it is on, or create it with: mkdir -p {shlex.quote(self.path)}"
            )
        me = os.geteuid()
        owner = _owner(self._database) if os.path.exists(self._database) else me
        if _owner(self._name) != owner:
            why = "it was not made by the owner of the database"
        elif owner not in (me, _owner(self.path)):
            why = "the database is another user's, and the folder is not theirs"
        else:
            return None
        return (
            f"{link} to {self.path}, which is not followed: {why}. If you trust it, "
            f"turn it into a folder with: {self._copy()}"
        )

    def _copy(self) -> str:
        name, folder = shlex.quote(self._name), shlex.quote(self.path)
        return f"rm {name} && cp -R {folder} {name}"


def _owner(path: str) -> int:
    """Return who made the file, the folder, or the link itself."""
    return os.lstat(path).st_uid


def is_claimed(folder: str, token: str) -> bool:
    """Whether the writer with this token has the folder, as seen from here."""
    return any(_read(file).get("token") == token for file in _claims(folder))


def _claim_name(database: str, database_id: str) -> str:
    import hashlib  # not on a worker

    key = os.fsencode(database) + b"\0" + database_id.encode()
    return hashlib.sha256(key).hexdigest()[:32] + _CLAIM


def _is_file(path: str) -> bool:
    return "\x00" not in path and os.path.isfile(path)


def _claims(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names if _IS_CLAIM.fullmatch(name)]


def _read(file: str) -> dict[str, object]:
    """Read a claim; nothing where that cannot be done, or it was removed meanwhile."""
    try:
        with open(file, encoding="utf-8", opener=_plainly) as claim:
            found = json.loads(claim.read(_LONGEST_CLAIM))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plainly(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)


def _write(file: str, claim: dict[str, str | None]) -> None:
    temporary = f"{file}.{claim['token']}"
    try:
        with open(temporary, "w", encoding="utf-8") as new:
            json.dump(claim, new)
        os.replace(temporary, file)
    except OSError:
        with suppress(OSError):
            os.unlink(temporary)
        raise

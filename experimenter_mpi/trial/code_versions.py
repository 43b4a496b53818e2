"""Results that other versions of the code made: which, and in which words to say it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..run.provenance import Code

_NAMES_SHOWN = 3
_COMMIT_LENGTH = 8


class Version(NamedTuple):
    """What the table ``runs`` says of a run's code; files and packages are JSON."""

    commit: str | None
    sources: str | None
    packages: str | None = None


class Difference(NamedTuple):
    """How a version differs: its commit, if that is another, and the files changed.

    ``packages`` are the name and version of those that had another version then.
    """

    commit: str | None
    files: tuple[str, ...]
    packages: tuple[tuple[str, str], ...] = ()


def difference(version: Version, code: Code) -> Difference | None:
    """Return how the version differs from the code that is loaded; None if not at all.

    What is unknown of either is not compared, and only files and packages that both
    used are: one that is imported only now follows from a file that changed.
    """
    before, now = _hashes(version.sources), code.files
    files = tuple(
        name
        for name, text_hash in before.items()
        if name in now and now[name]["sha256"] != text_hash
    )
    known = version.commit is not None and code.commit is not None
    commit = version.commit if known and version.commit != code.commit else None
    packages = tuple(
        (name, was)
        for name, was in _versions(version.packages).items()
        if code.packages.get(name, was) != was
    )
    found = Difference(commit, files, packages)
    return found if any(found) else None


def _hashes(sources: str | None) -> dict[str, str]:
    """Read a run's files; a stranger's database may hold anything there."""
    try:
        stored = json.loads(sources or "{}")
        return {name: about["sha256"] for name, about in stored.items()}
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return {}


def _versions(packages: str | None) -> dict[str, str]:
    """Read a run's packages, as far as they are texts."""
    try:
        stored = json.loads(packages or "{}").items()
        return {name: each for name, each in stored if isinstance(each, str)}
    except (ValueError, RecursionError, AttributeError):
        return {}


def others(
    versions: Iterable[tuple[int, Version]], code: Code
) -> dict[int, Difference]:
    """Return which runs, by number, were of other code, and how it differs."""
    known: dict[Version, Difference | None] = {}
    found = {}
    for run_id, version in versions:
        if version not in known:
            known[version] = difference(version, code)
        if (differs := known[version]) is not None:
            found[run_id] = differs
    return found


def notice(
    what: str, others: Mapping[int, Difference], counts: Mapping[int, int], code: Code
) -> tuple[str, list[int]] | None:
    """Return a sentence on what other runs made, and which; None if there is nothing.

    ``what`` are trials or snapshots, and ``counts`` says how many of them each run
    made.
    """
    runs = [run_id for run_id in sorted(others) if counts.get(run_id)]
    if not runs:
        return None
    count = sum(counts[run_id] for run_id in runs)
    commits = dict.fromkeys(others[each].commit or "" for each in runs)
    files = dict.fromkeys(name for each in runs for name in others[each].files)
    made = _made(list(files), [each[:_COMMIT_LENGTH] for each in commits if each], code)
    packages = dict.fromkeys(each for run in runs for each in others[run].packages)
    made = " and ".join(filter(None, (made, _with_packages(list(packages), code))))
    return f"{count} {what}{' was' if count == 1 else 's were'} made {made}", runs


def _made(files: list[str], commits: list[str], code: Code) -> str:
    now = (code.commit or "")[:_COMMIT_LENGTH]
    commit = "commit" if len(commits) == 1 else "commits"
    at = f"{commit} {_listed(commits)}, now {now}" if commits else ""
    if files:
        return f"with another version of {_listed(files)}" + (f" ({at})" if at else "")
    return f"at {at} (with the same script)" if at else ""


def _with_packages(packages: list[tuple[str, str]], code: Code) -> str:
    if not packages:
        return ""
    changed = (f"{name} {was}, now {code.packages[name]}" for name, was in packages)
    return f"with {_listed(list(changed))}"


def _listed(names: Iterable[str]) -> str:
    *shown, last = list(names)
    if len(shown) >= _NAMES_SHOWN:
        more = len(shown) + 1 - _NAMES_SHOWN
        return f"{', '.join(shown[:_NAMES_SHOWN])} and {more} more"
    return f"{', '.join(shown)} and {last}" if shown else last
